"""
The function that starts jobs and tells how they stand: ``airflow_bda.aws_lambda.handler.handle``.

An event with ``inputS3Uri`` and ``outputS3Uri`` starts a job, one with ``invocationArn`` asks for a status. It has the
checks of the operator and the same promise: an event that is sent again with the same ``clientToken`` starts no second
job. Without one, Lambda's own request id is the token: it is the same when Lambda repeats an asynchronous request.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from airflow_bda.aws_lambda import replies
from airflow_bda.aws_lambda.allow_lists import AllowLists
from airflow_bda.aws_lambda.calls import bda_client, call_in_time
from airflow_bda.aws_lambda.requests import Caller, StatusEvent, read_event
from airflow_bda.aws_lambda.telemetry import Metric, Telemetry
from airflow_bda.service.arns import partition_of
from airflow_bda.service.errors import BdaError
from airflow_bda.service.model import GET_STATUS, INVOKE, service_model
from airflow_bda.service.statuses import JobState, UnexpectedAnswerError

if TYPE_CHECKING:
    from airflow_bda.aws_lambda.requests import InvokeEvent
    from airflow_bda.aws_lambda.telemetry import Context
    from airflow_bda.service.aws_errors import Failure

_CALLERS_FAULTS = range(400, 500)


def handle(event: Any, context: Context) -> dict[str, Any]:
    """
    Answer one event.

    :return: ``statusCode`` and ``body``, JSON text. Nothing is raised, so that callers have one way to read failures.
    """
    telemetry = Telemetry(context)
    try:
        _check_boto3()
        # arn:aws:lambda:<region>:<account>:function:<name>
        _, _, _, arn_region, account, *_ = context.invoked_function_arn.split(":")
        region = os.environ.get("AWS_REGION") or arn_region
        caller = Caller(region, account, partition_of(region), context.aws_request_id)
        asked = read_event(event, caller)
        if isinstance(asked, StatusEvent):
            answer = _status(asked, context, telemetry)
        else:
            AllowLists.from_environment().check(asked.request, account=caller.account)
            answer = _invoke(asked, context, telemetry)
    except BdaError as error:
        answer = replies.refused(error)
    _tell(answer, telemetry)
    return answer


def _invoke(asked: InvokeEvent, context: Context, telemetry: Telemetry) -> dict[str, Any]:
    request = asked.request
    facts = {"inputS3Uri": request.input_s3_uri, "outputS3Uri": request.output_s3_uri}
    for warning in asked.warnings:
        telemetry.warning(warning, **facts)

    def call() -> str:
        response = bda_client(context).invoke_data_automation_async(**request.to_api())
        if not response.get("invocationArn"):
            raise UnexpectedAnswerError(f"{INVOKE} was answered without an invocationArn")
        return str(response["invocationArn"])

    try:
        arn = call_in_time(call, context, on_retry=_reporter(telemetry, INVOKE))
    except Exception as error:  # noqa: BLE001  whatever boto3 raises, the caller is answered
        return replies.failed(error, operation=INVOKE, input_s3_uri=request.input_s3_uri)
    telemetry.info("A job was started, or found by its client token.", invocationArn=arn, **facts)
    telemetry.count([Metric("JobsStarted", 1)])
    return replies.started(arn, asked.warnings)


def _status(asked: StatusEvent, context: Context, telemetry: Telemetry) -> dict[str, Any]:
    allowed = AllowLists.from_environment()

    def call() -> JobState:
        response = bda_client(context).get_data_automation_status(invocationArn=asked.invocation_arn)
        return JobState.from_response(asked.invocation_arn, response)

    try:
        state = call_in_time(call, context, on_retry=_reporter(telemetry, GET_STATUS))
    except Exception as error:  # noqa: BLE001  as above
        return replies.failed(error, operation=GET_STATUS, invocation_arn=asked.invocation_arn)
    allowed.check_output(state.output_metadata_uri)
    telemetry.info("A status was asked for.", invocationArn=state.invocation_arn, status=state.status_text)
    return replies.status(state)


def _check_boto3() -> None:
    try:
        service_model()
    except BdaError as error:
        # No fault of the caller's: the function was deployed without what it needs.
        raise BdaError(error.message, remedy="Deploy a zip of `airflow-bda lambda package --with-boto3`.") from None


def _reporter(telemetry: Telemetry, operation: str) -> Any:
    def report(kind: Failure, pause: float) -> None:
        telemetry.warning("A call is tried again.", operation=operation, failure=kind.value, pauseSeconds=pause)
        telemetry.count([Metric("CallsRetried", 1)], operation=operation)

    return report


def _tell(answer: dict[str, Any], telemetry: Telemetry) -> None:
    code = answer["statusCode"]
    body = json.loads(answer["body"])
    if "errorType" not in body:
        return
    is_callers = code in _CALLERS_FAULTS
    facts = {"statusCode": code, "errorType": body["errorType"], "problems": body.get("problems")}
    (telemetry.warning if is_callers else telemetry.error)(body["error"], **facts)
    telemetry.count([Metric("RequestsRefused" if is_callers else "RequestsFailed", 1)], errorType=body["errorType"])
