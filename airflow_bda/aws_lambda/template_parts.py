"""What the template is put together from: CloudFormation's own words, and what both functions have alike."""

from __future__ import annotations

from typing import Any, TypeAlias

Part: TypeAlias = dict[str, Any]

NOTHING: Part = {"Ref": "AWS::NoValue"}
# boto3 in this runtime knows BDA. The code is Python alone, so the cheaper processor does.
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
    """Hold where a text parameter is not empty."""
    return {"Fn::Not": [{"Fn::Equals": [ref(parameter), ""]}]}


def list_given(parameter: str) -> Part:
    """Hold where a list parameter is not empty."""
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
        # The ARN of a log group ends in ":*", which stands for its streams.
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
