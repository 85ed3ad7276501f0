"""
The function that starts jobs and returns their status: ``airflow_bda.aws_lambda.handler.handle``.

An event with ``inputS3Uri`` and ``outputS3Uri`` starts a job, one with ``invocationArn`` asks for a status. It has the
checks of the operator and the same promise: an event that is sent again with the same ``clientToken`` starts no second
job. Without one, Lambda's own request id is the token: it is the same when Lambda repeats an asynchronous request.
"""

from __future__ import annotations

import json
import os
import random
import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from airflow_bda import __version__
from airflow_bda.aws_lambda import messages
from airflow_bda.aws_lambda.allow_lists import AllowLists
from airflow_bda.aws_lambda.messages import Caller, StatusEvent, read_event
from airflow_bda.aws_lambda.telemetry import Metric, Telemetry
from airflow_bda.service.arns import partition_of
from airflow_bda.service.aws_errors import Failure, classify
from airflow_bda.service.errors import BdaError
from airflow_bda.service.model import GET_STATUS, INVOKE, SERVICE, service_model
from airflow_bda.service.safe_values import make_responses_encodable
from airflow_bda.service.statuses import JobState, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.aws_lambda.messages import InvokeEvent
    from airflow_bda.aws_lambda.telemetry import Context

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
        answer = messages.refused(error)
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
        return messages.failed(error, operation=INVOKE, input_s3_uri=request.input_s3_uri)
    telemetry.info("A job was started, or found by its client token.", invocationArn=arn, **facts)
    telemetry.count([Metric("JobsStarted", 1)])
    return messages.started(arn, asked.warnings)


def _status(asked: StatusEvent, context: Context, telemetry: Telemetry) -> dict[str, Any]:
    allowed = AllowLists.from_environment()

    def call() -> JobState:
        response = bda_client(context).get_data_automation_status(invocationArn=asked.invocation_arn)
        return JobState.from_response(asked.invocation_arn, response)

    try:
        state = call_in_time(call, context, on_retry=_reporter(telemetry, GET_STATUS))
    except Exception as error:  # noqa: BLE001  as above
        return messages.failed(error, operation=GET_STATUS, invocation_arn=asked.invocation_arn)
    allowed.check_output(state.output_metadata_uri)
    telemetry.info("A status was asked for.", invocationArn=state.invocation_arn, status=state.status_text)
    return messages.status(state)


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


_Answer = TypeVar("_Answer")

_CONNECT_TIMEOUT_SECONDS = 3
_LONGEST_READ_SECONDS, _SHORTEST_READ_SECONDS = 15, 1
_ANSWER_SECONDS = 1
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
# What a last try and the answer to the caller may need: a function that times out returns no answer.
RESERVE_SECONDS = float(_CONNECT_TIMEOUT_SECONDS + _SHORTEST_READ_SECONDS + _ANSWER_SECONDS)


def bda_client(context: Context) -> Any:
    """Return a client that waits for an answer no longer than the function may run."""
    left = context.get_remaining_time_in_millis() // 1000 - _CONNECT_TIMEOUT_SECONDS - _ANSWER_SECONDS
    return warm_client(max(_SHORTEST_READ_SECONDS, min(_LONGEST_READ_SECONDS, left)))


@cache
def warm_client(read_timeout_seconds: int) -> Any:
    """Return a client, made once for as long as Lambda keeps the function warm."""
    client = boto3.client(
        SERVICE,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout_seconds,
            # botocore would try again without looking at the time that is left.
            retries={"mode": "standard", "total_max_attempts": 1},
            user_agent_extra=f"airflow-bda-lambda/{__version__}",
        ),
    )
    return make_responses_encodable(client)


def call_in_time(
    call: Callable[[], _Answer],
    context: Context,
    *,
    on_retry: Callable[[Failure, float], None],
    sleep: Callable[[float], None] = time.sleep,
) -> _Answer:
    """
    Make a call, and make it again while it is throttled, fails on the service's side or gets no answer.

    :param call: must be safe to repeat: a status, or an invoke with a client token.
    :param context: has the time for which the function may still run.
    :param on_retry: called with the kind of the failure and the seconds until the next try.
    :raises Exception: the last try's own, when it would fail again or no time is left.
    """
    tries = 0
    while True:
        try:
            return call()
        except Exception as error:
            kind = classify(error)
            # Any time up to a limit that doubles: functions that were throttled together must not stay in step.
            limit = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 16))
            pause = random.uniform(0.0, limit)  # noqa: S311  spreads calls over time, keeps no secret
            is_time_left = context.get_remaining_time_in_millis() / 1000 > pause + RESERVE_SECONDS
            if kind not in {Failure.BUSY, Failure.UNREACHABLE} or not is_time_left:
                raise
        on_retry(kind, pause)
        sleep(pause)
        tries += 1
