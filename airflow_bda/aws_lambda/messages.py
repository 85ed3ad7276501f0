"""
The events that callers send, read and checked, and the answers that they get: a status code and a body of JSON text.

A member that is not known is ignored, since callers send what they like beside ours; one that looks like a misspelling
is refused, since its value would be lost. What a caller can correct is answered with a 4xx code, the rest with a 500.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from airflow_bda.aws_lambda.allow_lists import NotAllowedError
from airflow_bda.service.arns import UnknownRegionError, check_invocation_arn, derive_profile_arn
from airflow_bda.service.aws_errors import Failure, call_error, classify
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.json_reading import mapping, mappings, text
from airflow_bda.service.lambda_interface import (
    ARGUMENT_OF_KEY,
    BAD_REQUEST,
    FAILED,
    FORBIDDEN,
    INVOCATION_ARN,
    NOT_FOUND,
    OK,
    TOO_MANY_REQUESTS,
)
from airflow_bda.service.request.request import build_request, request_warnings
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.safe_values import safe_text, safe_value
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from airflow_bda.service.errors import BdaError
    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

_KEY_OF_ARGUMENT = {argument: key for key, argument in ARGUMENT_OF_KEY.items()}
_ARGUMENT = re.compile(rf"\b({'|'.join(_KEY_OF_ARGUMENT)})\b")
_INVOCATION_ARGUMENT = re.compile(r"\binvocation_arn\b")
# Limits for reporting unknown members; comparing them with ours takes time as well.
_LONGEST_KEY, _MOST_UNKNOWN, _MOST_COMPARED = 80, 20, 100
_LONGEST_URI = 1100
_STARTS_A_JOB = frozenset({"inputS3Uri", "outputS3Uri"})


@dataclass(frozen=True)
class Caller:
    """
    Where the function runs, and for which request.

    :param request_id: Lambda's own id of the request, the same when Lambda itself repeats an asynchronous one.
    """

    region: str
    account: str
    partition: str
    request_id: str


@dataclass(frozen=True)
class InvokeEvent:
    """
    A job to start.

    :param warnings: what is suspicious in a valid request, a sentence each.
    """

    request: InvocationRequest
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class StatusEvent:
    """A job to look at."""

    invocation_arn: str


def read_event(event: Any, caller: Caller) -> InvokeEvent | StatusEvent:
    """
    Read an event.

    :raises BdaRequestError: lists all that is wrong with it.
    """
    if not isinstance(event, Mapping):
        raise _bad_event(f"it is a {type(event).__name__}, and must be an object")
    asks_for_status, starts_a_job = INVOCATION_ARN in event, not _STARTS_A_JOB.isdisjoint(event)
    if asks_for_status and starts_a_job:
        raise _bad_event(
            f"{INVOCATION_ARN} asks for a status, inputS3Uri and outputS3Uri start a job: send one of them"
        )
    if asks_for_status:
        return StatusEvent(_invocation_arn(event[INVOCATION_ARN]))
    if starts_a_job:
        return _read_invoke(event, caller)
    if object_uri := _uri_of_notification(event):
        raise _bad_event(
            f"it is a notification of S3, which does not say where results go. Send {{'inputS3Uri': {object_uri!r}, "
            "'outputS3Uri': 's3://...'}: by an EventBridge rule with an input transformer, or from a function of "
            "your own"
        )
    if "detail-type" in event or "Records" in event:
        raise _bad_event("it is from EventBridge: those go to the function of airflow_bda.aws_lambda.job_events")
    raise _bad_event(
        f"it has neither inputS3Uri and outputS3Uri, to start a job, nor {INVOCATION_ARN}, to ask for a status"
    )


def _uri_of_notification(event: Mapping[str, Any]) -> str | None:
    """Return the object that S3 reports, by a notification of its own or by EventBridge; None for other events."""
    records = mappings(event, "Records")
    if records and records[0].get("eventSource") == "aws:s3":
        place = mapping(records[0], "s3")
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html: keys are encoded.
        key = unquote_plus(text(mapping(place, "object"), "key") or "")
    elif event.get("source") == "aws.s3":
        place = mapping(event, "detail")
        key = text(mapping(place, "object"), "key") or ""
    else:
        return None
    bucket = text(mapping(place, "bucket"), "name") or "bucket"
    return safe_text(S3Uri(bucket, key), _LONGEST_URI)


def _read_invoke(event: Mapping[str, Any], caller: Caller) -> InvokeEvent:
    unknown = [safe_text(key, _LONGEST_KEY) for key in event if key not in ARGUMENT_OF_KEY]
    spellings = {_letters(key): key for key in ARGUMENT_OF_KEY}
    problems = [
        f"{key} is not known: write {spellings[near]}."
        for key in unknown[:_MOST_COMPARED]
        for near in get_close_matches(_letters(key), spellings, n=1, cutoff=0.85)
    ]
    arguments: dict[str, Any] = {argument: event.get(key) for key, argument in ARGUMENT_OF_KEY.items()}
    if arguments["client_token"] is None:
        arguments["client_token"] = caller.request_id
    if arguments["profile_arn"] is None:
        try:
            arguments["profile_arn"] = derive_profile_arn(
                region=caller.region, account=caller.account, partition=caller.partition
            )
        except UnknownRegionError as error:
            problems.append(f"profileArn is missing: {error}")
    try:
        request = build_request(**arguments, region=caller.region, problems=problems)
    except BdaRequestError as error:
        raise BdaRequestError(error.message, problems=map(in_keys, error.problems)) from None
    ignored = [f"The event's {key} is not known here and was ignored." for key in unknown[:_MOST_UNKNOWN]]
    if len(unknown) > _MOST_UNKNOWN:
        ignored.append(f"{len(unknown) - _MOST_UNKNOWN} more members of the event are not known here.")
    return InvokeEvent(request, (*map(in_keys, request_warnings(request)), *ignored))


def in_keys(sentence: str) -> str:
    """Replace the names of our arguments in a sentence by the event's keys."""
    return _ARGUMENT.sub(lambda argument: _KEY_OF_ARGUMENT[argument.group()], sentence)


def _letters(key: str) -> str:
    return "".join(filter(str.isalnum, key)).lower()


def _invocation_arn(value: Any) -> str:
    try:
        return check_invocation_arn(value)
    except BdaRequestError as error:
        problems = tuple(_INVOCATION_ARGUMENT.sub(INVOCATION_ARN, problem) for problem in error.problems)
        raise BdaRequestError(
            f"The status was not requested: {INVOCATION_ARN} is not the ARN of an invocation.",
            problems=problems,
            remedy="It reads arn:aws:bedrock:<region>:<account>:data-automation-invocation/<job id>, as the answer to "
            "an invoke event returns it.",
        ) from None


def _bad_event(why: str) -> BdaRequestError:
    return BdaRequestError(f"The event cannot be used: {why}.")


STARTED = "BDA invocation started"

_CODE_OF_FAILURE = {
    Failure.BUSY: TOO_MANY_REQUESTS,
    Failure.INVALID: BAD_REQUEST,
    Failure.NOT_FOUND: NOT_FOUND,
    Failure.PERMISSION: FORBIDDEN,
}
# The words of the rest speak of Airflow's tasks and connections.
_REMEDY_OF_FAILURE = {
    Failure.BUSY: "It was tried again for as long as the function may run. Send the event again later, with the same "
    "clientToken; it can start no second job.",
    Failure.UNREACHABLE: "Check the function's region and network; in a VPC it needs a route to BDA's endpoint.",
    Failure.EXPIRED: "Send the event again: Lambda renews the function's credentials.",
    Failure.CREDENTIALS: "Check the function's role.",
    Failure.NOT_FOUND: "Check the ARN; a function sees the jobs of its own account and region only.",
    Failure.PERMISSION: "The service gives this code for many causes: the input object does not exist (mind the "
    "extension); the function's role may not s3:GetObject it, or s3:PutObject under the output; it lacks "
    "bedrock:{operation} on the project, a blueprint or the profile in one of the regions that it routes to; or it may "
    "not use a KMS key (kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKey).",
    Failure.OTHER: "The message is the service's own.",
}


def started(invocation_arn: str, warnings: tuple[str, ...]) -> dict[str, Any]:
    """Return the answer that a job was started, or had been before."""
    body: dict[str, Any] = {"message": STARTED, "invocationArn": invocation_arn}
    return _answer(OK, body | ({"warnings": list(warnings)} if warnings else {}))


def status(state: JobState) -> dict[str, Any]:
    """Return the status of a job; a job that failed is a valid answer."""
    body: dict[str, Any] = {"status": state.status_text, "invocationArn": state.invocation_arn}
    if state.status is JobStatus.SUCCESS:
        body["outputLocation"] = state.output_metadata_uri
    if state.status in {JobStatus.SERVICE_ERROR, JobStatus.CLIENT_ERROR}:
        body["error"] = {"type": state.error_type, "message": state.error_message}
    if state.duration_seconds is not None:
        body["durationSeconds"] = state.duration_seconds
    for name, moment in (("submissionTime", state.submitted_at), ("completionTime", state.completed_at)):
        if moment is not None:
            body[name] = moment.isoformat()
    return _answer(OK, body)


def refused(error: BdaError) -> dict[str, Any]:
    """Return the answer that nothing was sent, and why."""
    code = FAILED
    if isinstance(error, NotAllowedError):
        code = FORBIDDEN
    elif isinstance(error, BdaRequestError):
        code = BAD_REQUEST
    body: dict[str, Any] = {"error": str(error), "errorType": type(error).__name__}
    problems = getattr(error, "problems", ())
    return _answer(code, body | ({"problems": list(problems)} if problems else {}))


def failed(error: Exception, *, operation: str, **facts: Any) -> dict[str, Any]:
    """
    Return the answer that a call failed.

    :param operation: as IAM names it.
    :param facts: what it was about, as :func:`airflow_bda.service.aws_errors.call_error` takes it.
    """
    kind = classify(error)
    remedy = _REMEDY_OF_FAILURE.get(kind)
    explained = call_error(error, operation=operation, remedy=remedy and remedy.format(operation=operation), **facts)
    code = _CODE_OF_FAILURE.get(kind, FAILED)
    if kind is Failure.BUSY and isinstance(error, ClientError):
        # Throttling is an answer of its own; a fault on the service's side is not.
        http_status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = FAILED if http_status >= FAILED else code
    return _answer(code, {"error": str(explained), "errorType": explained.error_type})


def _answer(code: int, body: dict[str, Any]) -> dict[str, Any]:
    # Bounded: megabytes in an event must not come back as megabytes of warnings.
    return {"statusCode": code, "body": json.dumps(safe_value(body))}
