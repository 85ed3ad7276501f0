"""What callers get back: a status code, and a body of JSON text. What a caller can correct is a 4xx, the rest a 500."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_bda.aws_lambda.allow_lists import NotAllowedError
from airflow_bda.service.aws_errors import Failure, call_error, classify
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.lambda_interface import (
    BAD_REQUEST,
    FAILED,
    FORBIDDEN,
    NOT_FOUND,
    OK,
    TOO_MANY_REQUESTS,
)
from airflow_bda.service.safe_values import safe_value
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from airflow_bda.service.errors import BdaError
    from airflow_bda.service.statuses import JobState

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
    """Answer that a job was started, or that it was already."""
    body: dict[str, Any] = {"message": STARTED, "invocationArn": invocation_arn}
    return _answer(OK, body | ({"warnings": list(warnings)} if warnings else {}))


def status(state: JobState) -> dict[str, Any]:
    """Answer how a job stands; a job that failed is an answer like others."""
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
    """Answer that nothing was sent, and why."""
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
    Answer that a call failed.

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
