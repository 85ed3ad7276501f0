"""
What the template is put together from: CloudFormation's functions, what both functions share, and the optional parts.

The optional parts are job events, requests that could not be answered (dead letters), and alarms. Events go from
EventBridge to a queue, which an AssetWatcher of Airflow or the second function reads; one of the two, since a message
is for one reader.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from airflow_bda.aws_lambda.telemetry import DEFAULT_NAMESPACE
from airflow_bda.service.events import DETAIL_TYPE_PREFIX, SOURCE, STATUS_OF_DETAIL_TYPE

Part: TypeAlias = dict[str, Any]

NOTHING: Part = {"Ref": "AWS::NoValue"}
HANDLER = "airflow_bda.aws_lambda.handler.handle"
JOB_EVENTS_HANDLER = "airflow_bda.aws_lambda.job_events.handle"
# boto3 in this runtime has BDA. The code is pure Python, so the cheaper processor can run it.
RUNTIME = "python3.13"
ARCHITECTURE = "arm64"
MEMORY_MB = 256


def ref(name: str) -> Part:
    """Refer to a parameter, or to a resource's own name."""
    return {"Ref": name}


def sub(pattern: str) -> Part:
    """Put values for the ``${...}`` in a text."""
    return {"Fn::Sub": pattern}


def either(condition: str, value: Any, otherwise: Any = NOTHING) -> Part:
    """Return a value where a condition holds, and else another or none."""
    return {"Fn::If": [condition, value, otherwise]}


def given(parameter: str) -> Part:
    """Return the condition that a text parameter is not empty."""
    return {"Fn::Not": [{"Fn::Equals": [ref(parameter), ""]}]}


def list_given(parameter: str) -> Part:
    """Return the condition that a list parameter is not empty."""
    return {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", ref(parameter)]}, ""]}]}


def text(description: str, default: str | None = None, **constraints: Any) -> Part:
    """Declare a parameter that is a text; it is required where it has no default."""
    parameter = {"Type": "String", "Description": description, **constraints}
    return parameter if default is None else parameter | {"Default": default}


def texts(description: str) -> Part:
    """Declare a parameter that is a list, empty by default."""
    return {"Type": "CommaDelimitedList", "Description": description, "Default": ""}


def number(description: str, default: int, **constraints: Any) -> Part:
    """Declare a parameter that is a number."""
    return {"Type": "Number", "Description": description, "Default": default, **constraints}


def statement(sid: str, actions: list[str], resources: Any, condition: Part | None = None) -> Part:
    """Allow actions on resources."""
    allowed = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return allowed | ({"Condition": condition} if condition else {})


def policy(*statements: Part) -> Part:
    """Make a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def resource(kind: str, properties: Part, condition: str | None = None) -> Part:
    """Make a resource, where a condition holds."""
    return {"Type": kind, **({"Condition": condition} if condition else {}), "Properties": properties}


def function_role(statements: list[Any], *, log_group_name: str = "LogGroup", condition: str | None = None) -> Part:
    """
    Make the role of a function: what it is for, its log, and its dead letters.

    :param log_group_name: the resource of its log.
    """
    log = {"Fn::GetAtt": [log_group_name, "Arn"]}
    service = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    # The usual policy for functions in a VPC would also let the role write every log of the account.
    vpc = sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaENIManagementAccess")
    dead_letters = statement("KeepDeadLetters", ["sqs:SendMessage"], [{"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}])
    everything = [
        *statements,
        # The ARN of a log group ends in ":*": its streams.
        statement("WriteLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [log]),
        either("HasDeadLetters", dead_letters),
        either("HasDataKey", statement("UseDataKey", ["kms:Decrypt", "kms:GenerateDataKey"], [ref("DataKeyArn")])),
    ]
    return resource(
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": policy(service),
            "ManagedPolicyArns": either("InVpc", [vpc]),
            "Policies": [{"PolicyName": "Function", "PolicyDocument": policy(*everything)}],
        },
        condition,
    )


def log_group(name: str, *, condition: str | None = None) -> Part:
    """Make a function's log."""
    return resource(
        "AWS::Logs::LogGroup",
        {
            "LogGroupName": sub(name),
            "RetentionInDays": ref("LogRetentionDays"),
            "KmsKeyId": either("HasDataKey", ref("DataKeyArn")),
        },
        condition,
    )


def queue(properties: Part, condition: str) -> Part:
    """Make a queue that is encrypted, with a key of one's own or with SQS's."""
    encryption = {
        "SqsManagedSseEnabled": either("HasDataKey", NOTHING, otherwise=True),
        "KmsMasterKeyId": either("HasDataKey", ref("DataKeyArn")),
    }
    return resource("AWS::SQS::Queue", {**properties, **encryption}, condition)


def function(  # noqa: PLR0913  what the two functions differ in
    *,
    name: Any,
    description: str,
    handler: str,
    role: str,
    log_group: str,
    timeout: Any,
    variables: Part,
    condition: str | None = None,
) -> Part:
    """Make a function from the zip."""
    return resource(
        "AWS::Lambda::Function",
        {
            "FunctionName": name,
            "Description": description,
            "Runtime": RUNTIME,
            "Architectures": [ARCHITECTURE],
            "Handler": handler,
            "Code": {"S3Bucket": ref("CodeBucket"), "S3Key": ref("CodeKey")},
            "Role": {"Fn::GetAtt": [role, "Arn"]},
            "MemorySize": MEMORY_MB,
            "Timeout": timeout,
            "ReservedConcurrentExecutions": either("HasLimit", ref("ReservedConcurrency")),
            "Environment": {"Variables": variables},
            "KmsKeyArn": either("HasDataKey", ref("DataKeyArn")),
            "LoggingConfig": {"LogFormat": "JSON", "LogGroup": ref(log_group)},
            "DeadLetterConfig": {"TargetArn": either("HasDeadLetters", {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]})},
            "VpcConfig": either("InVpc", {"SubnetIds": ref("SubnetIds"), "SecurityGroupIds": ref("SecurityGroupIds")}),
        },
        condition,
    )


OPTIONAL_PARAMETERS: Part = {
    "Events": text(
        "Where the account's job events go: nowhere, to a queue for Airflow, or to a queue and a function of its own",
        "none",
        AllowedValues=["none", "queue", "function"],
    ),
    "Hints": text(
        "Whether the ends of jobs also go to a queue for [bda] job_events_queue, so that waits see them at once",
        "no",
        AllowedValues=["yes", "no"],
    ),
    "DeadLetters": text(
        "Whether requests and events that cannot be worked on are kept", "yes", AllowedValues=["yes", "no"]
    ),
    "AlarmTopicArn": text(
        "The SNS topic that gets the alarms; empty for no alarms", "", AllowedPattern="^(arn:aws.*)?$"
    ),
}
OPTIONAL_CONDITIONS: Part = {
    "HasEvents": {"Fn::Not": [{"Fn::Equals": [ref("Events"), "none"]}]},
    "HasEventFunction": {"Fn::Equals": [ref("Events"), "function"]},
    "HasHints": {"Fn::Equals": [ref("Hints"), "yes"]},
    "HasDeadLetters": {"Fn::Equals": [ref("DeadLetters"), "yes"]},
    "HasAlarms": given("AlarmTopicArn"),
    "HasDeadLetterAlarm": {"Fn::And": [{"Condition": "HasAlarms"}, {"Condition": "HasDeadLetters"}]},
    "HasEventAlarm": {"Fn::And": [{"Condition": "HasAlarms"}, {"Condition": "HasEventFunction"}]},
}
OPTIONAL_OUTPUTS: Part = {
    "EventQueueUrl": {
        "Condition": "HasEvents",
        "Description": "For an AssetWatcher, where no function reads it",
        "Value": ref("EventQueue"),
    },
    "HintQueueUrl": {
        "Condition": "HasHints",
        "Description": "For [bda] job_events_queue in Airflow's configuration",
        "Value": ref("HintQueue"),
    },
    "DeadLetterQueueUrl": {
        "Condition": "HasDeadLetters",
        "Description": "Holds what could not be worked on",
        "Value": ref("DeadLetterQueue"),
    },
}

_TIMEOUT_SECONDS = 30
# Lambda's advice is six times the function's time-out.
_VISIBILITY_SECONDS = 6 * _TIMEOUT_SECONDS
_TRIES = 5
_DAY_SECONDS = 24 * 60 * 60
_HINT_SECONDS = 15 * 60
_FOURTEEN_DAYS = 14 * _DAY_SECONDS


def optional_resources() -> Part:
    """Return the resources, each with the condition that it is made under."""
    return {**_queues(), **_hint_queue(), **_event_function(), **_alarms()}


def _queues() -> Part:
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}, "maxReceiveCount": _TRIES}
    return {
        "DeadLetterQueue": queue({"MessageRetentionPeriod": _FOURTEEN_DAYS}, "HasDeadLetters"),
        "EventQueue": queue(
            {
                "MessageRetentionPeriod": _FOURTEEN_DAYS,
                "VisibilityTimeout": _VISIBILITY_SECONDS,
                "RedrivePolicy": either("HasDeadLetters", redrive),
            },
            "HasEvents",
        ),
        **_rule("Event", "Events of data automation jobs", [{"prefix": DETAIL_TYPE_PREFIX}], "HasEvents"),
    }


def _hint_queue() -> Part:
    """Return the queue that waits read; a hint that nobody took within minutes is of no use to anybody."""
    ends = [name for name, status in STATUS_OF_DETAIL_TYPE.items() if status.is_terminal]
    attributes = {"MessageRetentionPeriod": _HINT_SECONDS, "VisibilityTimeout": _TIMEOUT_SECONDS}
    return {
        "HintQueue": queue(attributes, "HasHints"),
        **_rule("Hint", "Ends of data automation jobs", ends, "HasHints"),
    }


def _rule(name: str, description: str, detail_types: list[Any], condition: str) -> Part:
    """Return a rule that sends events of BDA to the queue of that name, and the queue's policy that lets it."""
    queue_arn = {"Fn::GetAtt": [f"{name}Queue", "Arn"]}
    from_rule = {
        "Sid": "FromTheRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [f"{name}Rule", "Arn"]}}},
    }
    return {
        f"{name}QueuePolicy": resource(
            "AWS::SQS::QueuePolicy",
            {"Queues": [ref(f"{name}Queue")], "PolicyDocument": policy(from_rule)},
            condition,
        ),
        f"{name}Rule": resource(
            "AWS::Events::Rule",
            {
                "Description": f"{description} that were started with EventBridge enabled",
                "EventPattern": {"source": [SOURCE], "detail-type": detail_types},
                "State": "ENABLED",
                "Targets": [{"Id": f"{name}Queue", "Arn": queue_arn}],
            },
            condition,
        ),
    }


def _event_function() -> Part:
    when = "HasEventFunction"
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    reads = statement("ReadEvents", actions, [{"Fn::GetAtt": ["EventQueue", "Arn"]}])
    return {
        "EventRole": function_role([reads], log_group_name="EventLogGroup", condition=when),
        "EventLogGroup": log_group("/aws/lambda/${FunctionName}-events", condition=when),
        "EventFunction": function(
            name=sub("${FunctionName}-events"),
            description="Logs the events of data automation jobs",
            handler=JOB_EVENTS_HANDLER,
            role="EventRole",
            log_group="EventLogGroup",
            timeout=_TIMEOUT_SECONDS,
            variables={"BDA_METRICS_NAMESPACE": DEFAULT_NAMESPACE},
            condition=when,
        ),
        "EventSource": resource(
            "AWS::Lambda::EventSourceMapping",
            {
                "EventSourceArn": {"Fn::GetAtt": ["EventQueue", "Arn"]},
                "FunctionName": ref("EventFunction"),
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
            when,
        ),
    }


def _alarms() -> Part:
    of_function = [{"Name": "FunctionName", "Value": ref("Function")}]
    of_events = [{"Name": "FunctionName", "Value": ref("EventFunction")}]
    of_queue = [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]
    return {
        "FunctionAlarm": _alarm(
            "The function timed out or raised an error", "AWS/Lambda", "Errors", of_function, "HasAlarms"
        ),
        "RequestAlarm": _alarm(
            "Requests failed, and not by the caller's error",
            DEFAULT_NAMESPACE,
            "RequestsFailed",
            of_function,
            "HasAlarms",
        ),
        "DeadLetterAlarm": _alarm(
            "Requests or events could not be worked on",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            of_queue,
            "HasDeadLetterAlarm",
        ),
        "JobAlarm": _alarm(
            "Jobs failed on the service's side", DEFAULT_NAMESPACE, "JobsFailedByService", of_events, "HasEventAlarm"
        ),
    }


def _alarm(description: str, namespace: str, metric: str, dimensions: list[Any], condition: str) -> Part:
    return resource(
        "AWS::CloudWatch::Alarm",
        {
            "AlarmDescription": description,
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": dimensions,
            "Statistic": "Maximum" if namespace == "AWS/SQS" else "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "TreatMissingData": "notBreaching",
            "AlarmActions": [ref("AlarmTopicArn")],
        },
        condition,
    )
