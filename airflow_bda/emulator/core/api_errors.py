"""The errors that the emulated operations answer with, and the checks that raise them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow_bda.emulator.aws.iam_policies import Decision
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.faults import FaultKind
from airflow_bda.service.arns import PROFILE, PROFILE_OF_REGION, Arn
from airflow_bda.service.model import Problem, Rule, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_bda.emulator.aws.iam_callers import Caller
    from airflow_bda.emulator.aws.iam_policies import Question

INVALID_PROFILE_MESSAGE = "The provided DataAutomationProfile ARN is invalid."


class ApiError(Exception):
    """
    A call that is refused.

    :param code: the error's name, as in ``ValidationException``.
    :param message: the service's text.
    :param http_status: as the runtime has it, 400 for all that the caller did, throttling and missing things included
        (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html).
    """

    def __init__(self, code: str, message: str, http_status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = int(http_status)


def validation_error(message: str) -> ApiError:
    """Return the error for a request that is not valid."""
    return ApiError("ValidationException", message)


def access_denied() -> ApiError:
    """Return the error for S3 objects and buckets that are missing or not allowed; its text was seen on the service."""
    return ApiError("AccessDeniedException", "Access Denied. Check S3 URIs and read/write permissions")


def not_found(arn: str) -> ApiError:
    """Return the error for what this account and region do not have."""
    return ApiError("ResourceNotFoundException", assumptions.NOT_FOUND_MESSAGE.format(arn=arn))


def invocation_not_found(arn: str, *, forgotten: int = 0) -> ApiError:
    """
    Return the error for an invocation that this account and region do not have.

    :param forgotten: how many ended jobs the emulator has forgotten here, of which this may be one.
    """
    message = assumptions.UNKNOWN_INVOCATION_MESSAGE.format(arn=arn)
    if forgotten:
        message += f" {assumptions.FORGOTTEN_JOBS_MESSAGE.format(count=forgotten)}"
    return ApiError("ResourceNotFoundException", message)


def conflict(name: str) -> ApiError:
    """Return the error for a name that is taken."""
    return ApiError("ConflictException", assumptions.NAME_TAKEN_MESSAGE.format(name=name))


def quota_exceeded(message: str) -> ApiError:
    """Return the error for one thing more than the account may have."""
    return ApiError("ServiceQuotaExceededException", message)


def throttled() -> ApiError:
    """Return the error for calls that come too fast."""
    return ApiError("ThrottlingException", assumptions.THROTTLED_MESSAGE)


def internal_error(message: str = assumptions.INTERNAL_ERROR_MESSAGE) -> ApiError:
    """Return the error for a fault of the service's own."""
    return ApiError("InternalServerException", message, HTTPStatus.INTERNAL_SERVER_ERROR)


def unknown_region(region: str) -> ApiError:
    """Return the error for a call to a region that AWS does not have."""
    return ApiError(assumptions.UNKNOWN_REGION_CODE, assumptions.UNKNOWN_REGION_MESSAGE.format(region=region), 403)


def unknown_operation(what: str) -> ApiError:
    """Return the error for a call that neither the emulator nor moto has; clients do not retry its status."""
    return ApiError("NotImplemented", f"The emulator does not have this operation: {what}", HTTPStatus.NOT_IMPLEMENTED)


_ERROR_OF_FAULT: Mapping[FaultKind, Callable[[], ApiError]] = {
    FaultKind.THROTTLING: throttled,
    FaultKind.SERVER_ERROR: internal_error,
    FaultKind.SERVICE_UNAVAILABLE: lambda: ApiError(
        "ServiceUnavailableException",
        assumptions.INTERNAL_ERROR_MESSAGE,
        assumptions.SERVICE_UNAVAILABLE_HTTP_STATUS,
    ),
    FaultKind.EXPIRED_CREDENTIALS: lambda: ApiError("ExpiredTokenException", assumptions.EXPIRED_CREDENTIALS_MESSAGE),
}


def error_of_fault(kind: FaultKind, message: str | None = None) -> ApiError:
    """
    Return the error of a fault of calls.

    :param message: None for the error's own text.
    """
    error = _ERROR_OF_FAULT[kind]()
    return ApiError(error.code, message or error.message, error.http_status)


def refuse_unless_allowed(caller: Caller, question: Question) -> None:
    """
    Check that a caller may do one thing.

    :raises ApiError: AccessDeniedException in AWS's phrasing.
    """
    decision = caller.decide(question)
    if decision is Decision.ALLOWED:
        return
    because = (
        "with an explicit deny in an identity-based policy"
        if decision is Decision.EXPLICIT_DENY
        else f"because no identity-based policy allows the {question.action} action"
    )
    message = (
        f"User: {caller.arn} is not authorized to perform: {question.action} on resource: {question.resource} {because}"
    )
    raise ApiError("AccessDeniedException", message)


def refuse_problems(found: Iterable[Problem]) -> None:
    """
    Refuse a request that breaks rules of the service model.

    :raises ApiError: a ValidationException that tells every problem in AWS's phrasing, or a SerializationException.
    """
    # Services read past members that they do not know; a client may be newer than the installed botocore.
    problems = [problem for problem in found if problem.rule is not Rule.UNKNOWN]
    if any(problem.rule is Rule.TYPE for problem in problems):
        raise ApiError("SerializationException", "; ".join(map(str, problems)))
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        listed = "; ".join(_phrase(problem) for problem in problems)
        raise validation_error(f"{len(problems)} validation {noun} detected: {listed}")


def _phrase(problem: Problem) -> str:
    if problem.rule is Rule.REQUIRED:
        return f"Value null at '{problem.path}' failed to satisfy constraint: Member must not be null"
    if problem.rule is Rule.PATTERN:
        constraint = "Member must satisfy regular expression pattern: " + problem.valid.removeprefix("it must match ")
    elif problem.rule is Rule.ENUM:
        constraint = f"Member must satisfy enum value set: [{problem.valid.removeprefix('it must be one of ')}]"
    else:
        constraint = problem.valid
    return f"Value {shorten(problem.value)} at '{problem.path}' failed to satisfy constraint: {constraint}"


def check_profile(text: str, *, region: str, account: str) -> None:
    """
    Check that a profile is the one for calls made in *region* by *account*.

    :raises ApiError: when it is not; https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html has the text.
    """
    profile = parse_arn(text, INVALID_PROFILE_MESSAGE)
    if (profile.resource_type, profile.region, profile.account) != (PROFILE, region, account):
        raise validation_error(INVALID_PROFILE_MESSAGE)
    listed = PROFILE_OF_REGION.get(region)
    if listed != profile.resource_id and not (listed is None and assumptions.UNLISTED_REGIONS_TAKE_ANY_PROFILE):
        raise validation_error(INVALID_PROFILE_MESSAGE)


def parse_arn(text: str, message: str) -> Arn:
    """
    Parse an ARN.

    :raises ApiError: a ValidationException with *message* where it is none of Bedrock's.
    """
    try:
        return Arn.parse(text)
    except ValueError:
        raise validation_error(message) from None
