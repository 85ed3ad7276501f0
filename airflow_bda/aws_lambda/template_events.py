"""
The optional parts of the template: what becomes of jobs' events and of requests that nobody could answer, and alarms.

Events go from EventBridge to a queue, which an AssetWatcher of Airflow or the second function reads; one of the two,
since a message is for one reader.
"""

from __future__ import annotations

from typing import Any

from airflow_bda.aws_lambda.package import JOB_EVENTS_HANDLER
from airflow_bda.aws_lambda.telemetry import DEFAULT_NAMESPACE
from airflow_bda.aws_lambda.template_parts import (
    Part,
    either,
    function,
    function_role,
    given,
    log_group,
    policy,
    queue,
    ref,
    resource,
    statement,
    sub,
    text,
)
from airflow_bda.service.events import DETAIL_TYPE_PREFIX, SOURCE

PARAMETERS: Part = {
    "Events": text(
        "What becomes of the account's job events: nothing, a queue for Airflow, or a queue and a function of its own",
        "none",
        AllowedValues=["none", "queue", "function"],
    ),
    "DeadLetters": text(
        "Whether requests and events that cannot be worked on are kept", "yes", AllowedValues=["yes", "no"]
    ),
    "AlarmTopicArn": text(
        "The SNS topic that gets the alarms; empty for no alarms", "", AllowedPattern="^(arn:aws.*)?$"
    ),
}
CONDITIONS: Part = {
    "HasEvents": {"Fn::Not": [{"Fn::Equals": [ref("Events"), "none"]}]},
    "HasEventFunction": {"Fn::Equals": [ref("Events"), "function"]},
    "HasDeadLetters": {"Fn::Equals": [ref("DeadLetters"), "yes"]},
    "HasAlarms": given("AlarmTopicArn"),
    "HasDeadLetterAlarm": {"Fn::And": [{"Condition": "HasAlarms"}, {"Condition": "HasDeadLetters"}]},
    "HasEventAlarm": {"Fn::And": [{"Condition": "HasAlarms"}, {"Condition": "HasEventFunction"}]},
}
OUTPUTS: Part = {
    "EventQueueUrl": {
        "Condition": "HasEvents",
        "Description": "For an AssetWatcher, where no function reads it",
        "Value": ref("EventQueue"),
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
_FOURTEEN_DAYS = 14 * _DAY_SECONDS


def resources() -> Part:
    """Return the resources, each with the condition that it is made under."""
    return {**_queues(), **_event_function(), **_alarms()}


def _queues() -> Part:
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}, "maxReceiveCount": _TRIES}
    pattern = {"source": [SOURCE], "detail-type": [{"prefix": DETAIL_TYPE_PREFIX}]}
    from_rule = {
        "Sid": "FromTheRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["EventQueue", "Arn"]},
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["EventRule", "Arn"]}}},
    }
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
        "EventQueuePolicy": resource(
            "AWS::SQS::QueuePolicy",
            {"Queues": [ref("EventQueue")], "PolicyDocument": policy(from_rule)},
            "HasEvents",
        ),
        "EventRule": resource(
            "AWS::Events::Rule",
            {
                "Description": "What becomes of data automation jobs that were started with EventBridge enabled",
                "EventPattern": pattern,
                "State": "ENABLED",
                "Targets": [{"Id": "EventQueue", "Arn": {"Fn::GetAtt": ["EventQueue", "Arn"]}}],
            },
            "HasEvents",
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
            description="Takes note of what becomes of data automation jobs",
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
