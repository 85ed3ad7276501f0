"""
Classify AWS errors: retryable, not visible yet, or the caller's error. Codes decide, never texts.

The codes are the runtime's own (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html)
and those that any AWS endpoint may return.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from botocore import exceptions as botocore_exceptions
from botocore.parsers import ResponseParserError

from airflow_bda.service.errors import BdaConnectionError, BdaError, BdaPermissionError, BdaRequestError
from airflow_bda.service.safe_values import safe_text
from airflow_bda.service.statuses import UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Failure(Enum):
    """
    What to do about a failed call.

    ``BUSY``, ``EXPIRED`` and ``UNREACHABLE`` are passing: the same call may go through later. ``NOT_FOUND`` passes only
    right after an invoke. The others are the caller's errors.
    """

    BUSY = "busy"
    EXPIRED = "credentials expired"
    UNREACHABLE = "unreachable"
    NOT_FOUND = "not found"
    PERMISSION = "no permission"
    INVALID = "invalid"
    NO_REGION = "no region"
    CREDENTIALS = "no credentials"
    OTHER = "other"

    @property
    def is_passing(self) -> bool:
        """Whether it may pass by waiting alone."""
        return self in {Failure.BUSY, Failure.EXPIRED, Failure.UNREACHABLE}


# AWS's own retry list for submits holds ServiceQuotaExceededException: it means "too many open jobs right now".
_BUSY_CODES = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceQuotaExceededException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_PERMISSION_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_INVALID_CODES = frozenset({"ValidationException", "ValidationError", "SerializationException"})
_NOT_FOUND_CODES = frozenset({"ResourceNotFoundException"})
_CREDENTIALS_CODES = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_KINDS_OF_CODES = (
    (_BUSY_CODES, Failure.BUSY),
    (_EXPIRED_CODES, Failure.EXPIRED),
    (_PERMISSION_CODES, Failure.PERMISSION),
    (_INVALID_CODES, Failure.INVALID),
    (_NOT_FOUND_CODES, Failure.NOT_FOUND),
    (_CREDENTIALS_CODES, Failure.CREDENTIALS),
)
_KINDS_OF_EXCEPTIONS: tuple[tuple[tuple[type[BaseException], ...], Failure], ...] = (
    (
        (
            botocore_exceptions.NoCredentialsError,
            botocore_exceptions.PartialCredentialsError,
            botocore_exceptions.ProfileNotFound,
            botocore_exceptions.NoAuthTokenError,
        ),
        Failure.CREDENTIALS,
    ),
    ((botocore_exceptions.CredentialRetrievalError, botocore_exceptions.TokenRetrievalError), Failure.EXPIRED),
    ((botocore_exceptions.ParamValidationError,), Failure.INVALID),
    ((botocore_exceptions.NoRegionError,), Failure.NO_REGION),
    (
        # A body that is not JSON reaches the caller as the decoder's own error.
        (
            botocore_exceptions.ConnectionError,
            botocore_exceptions.HTTPClientError,
            ResponseParserError,
            OSError,
            asyncio.TimeoutError,
            JSONDecodeError,
            UnicodeDecodeError,
            UnexpectedAnswerError,
        ),
        Failure.UNREACHABLE,
    ),
)
_SERVER_FAULT = 500
_TOO_MANY_REQUESTS = 429
_FORBIDDEN, _ABSENT = 403, 404
_NOT_FOUND_OF_KMS = "NotFoundException"
# A page of HTML may be an answer's whole text.
_MOST_OF_A_FOREIGN_ANSWER = 200
# What a call can raise, whichever client makes it, once `reading_answers` has converted the rest.
CALL_FAILURES = (
    botocore_exceptions.ClientError,
    botocore_exceptions.BotoCoreError,
    OSError,
    ValueError,
    UnexpectedAnswerError,
)


def error_code(error: BaseException) -> str | None:
    """Return the service's code of a refused call; None for anything else."""
    if isinstance(error, botocore_exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Code") or "") or None
    return None


def classify(error: BaseException) -> Failure:
    """Return what kind of failure an exception of boto3 or aiobotocore is."""
    if isinstance(error, botocore_exceptions.ClientError):
        return _classify_answer(error)
    for exception_types, kind in _KINDS_OF_EXCEPTIONS:
        if isinstance(error, exception_types):
            return kind
    return Failure.OTHER


def _classify_answer(error: botocore_exceptions.ClientError) -> Failure:
    code = error.response.get("Error", {}).get("Code")
    for codes, kind in _KINDS_OF_CODES:
        if code in codes:
            return kind
    http_status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if http_status >= _SERVER_FAULT or http_status == _TOO_MANY_REQUESTS:
        return Failure.BUSY
    return Failure.UNREACHABLE if _is_foreign(error) else Failure.OTHER


def _is_foreign(error: botocore_exceptions.ClientError) -> bool:
    """
    Whether something else than AWS answered: a proxy's 403 or 407, a redirect to a portal.

    Every error of AWS's has a code, except those of HEAD requests, which have no body. botocore puts the HTTP status
    where there is none.
    """
    code = str(error.response.get("Error", {}).get("Code") or "")
    return code.isdigit() and not str(error.operation_name).startswith("Head")


def is_passing(error: BaseException) -> bool:
    """Whether a call's failure, or the one that it was explained from, may pass by waiting."""
    return classify(error.__cause__ or error).is_passing


def is_absence(error: BaseException) -> bool:
    """Whether a call named something that the service does not know, or does not know yet."""
    return classify(error.__cause__ or error) is Failure.NOT_FOUND


@contextmanager
def reading_answers() -> Iterator[None]:
    """
    Raise :class:`UnexpectedAnswerError` for an answer that botocore cannot read, which is not the service's.

    A body that is ``null``, a list or nested a thousand times deep, or an invalid time, reaches the caller as an
    AttributeError, RecursionError, ValueError or the like. Wrap the call alone.
    """
    try:
        yield
    except (
        botocore_exceptions.ClientError,
        botocore_exceptions.BotoCoreError,
        OSError,
        JSONDecodeError,
        UnicodeDecodeError,
        asyncio.TimeoutError,
        UnexpectedAnswerError,
        BdaError,
    ):
        raise
    except Exception as error:
        raise UnexpectedAnswerError(f"the answer cannot be read: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Refusal:
    """
    A call that failed, for a caller who continues without its answer.

    :param code: AWS's error code; empty where there was no answer.
    :param http_status: 0 where there was no answer.
    """

    kind: Failure
    code: str
    http_status: int
    text: str

    @property
    def is_absence(self) -> bool:
        """Whether what was looked for is not there."""
        # KMS answers 400, and has a code of its own.
        return self.http_status == _ABSENT or self.kind is Failure.NOT_FOUND or self.code == _NOT_FOUND_OF_KMS

    @property
    def is_denial(self) -> bool:
        """Whether the caller may not make the call."""
        return self.kind is Failure.PERMISSION or self.http_status == _FORBIDDEN


def answer_or_refusal(call: Callable[[], Any]) -> Any:
    """
    Make a call, and return its answer, or the :class:`Refusal` that it met with.

    :raises Exception: what is not a failed call, such as a mistake in *call* itself.
    """
    try:
        return call()
    except botocore_exceptions.ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error_code(error))
        message = str(_message(error) or "")
        # botocore makes the status the code, and the page the message, of an answer that it cannot read.
        text = f"{code}: {_NOT_AWS if message.lstrip().startswith('<') else message}"
        return Refusal(classify(error), code, status, _one_line(text))
    except ResponseParserError as error:
        # Its text quotes the whole answer, which may be a web page.
        return Refusal(classify(error), "", 0, _NOT_AWS)
    except (botocore_exceptions.BotoCoreError, OSError) as error:
        return Refusal(classify(error), "", 0, _one_line(f"{type(error).__name__}: {error}"))


_NOT_AWS = "the answer is not from AWS"
# A line of a report.
_LONGEST_LINE = 300


def _one_line(text: str) -> str:
    return safe_text(" ".join(text.split()), _LONGEST_LINE)


def call_error(  # noqa: PLR0913  what callers know about a failure
    error: BaseException,
    *,
    operation: str,
    invocation_arn: str | None = None,
    input_s3_uri: str | None = None,
    remedy: str | None = None,
    cause: str | None = None,
) -> BdaError:
    """
    Turn a failed call into the error to raise, with what to do about it.

    :param operation: the API operation, as IAM names it (``InvokeDataAutomationAsync``).
    :param remedy: replaces the remedy of the error code.
    :param cause: the reason that the caller found out; it is said first.
    """
    kind = classify(error)
    error_class, what, default_remedy = _EXPLANATIONS[kind]
    return error_class(
        f"{operation} was denied. {cause}" if cause else f"{operation} {what}.",
        remedy=remedy or ("" if cause else default_remedy.format(operation=operation)),
        invocation_arn=invocation_arn,
        error_type=error_code(error) or type(error).__name__,
        error_message=_message(error),
        input_s3_uri=input_s3_uri,
    )


def _message(error: BaseException) -> str | None:
    if not isinstance(error, botocore_exceptions.ClientError):
        return str(error)[:_MOST_OF_A_FOREIGN_ANSWER] if isinstance(error, ResponseParserError) else str(error)
    message: str | None = error.response.get("Error", {}).get("Message")
    return message[:_MOST_OF_A_FOREIGN_ANSWER] if message and _is_foreign(error) else message


_EXPLANATIONS: dict[Failure, tuple[type[BdaError], str, str]] = {
    Failure.BUSY: (
        BdaConnectionError,
        "was throttled, or the service failed",
        "Let the task retry; if it keeps failing, lower the number of tasks that call BDA at once.",
    ),
    Failure.EXPIRED: (
        BdaConnectionError,
        "was refused: the credentials have expired",
        "Renew the connection's credentials; credentials of a role renew themselves.",
    ),
    Failure.UNREACHABLE: (
        BdaConnectionError,
        "did not return a valid response",
        "Check the region, the connection's endpoint_url and the network path to it.",
    ),
    Failure.NOT_FOUND: (
        BdaRequestError,
        "found nothing: it does not exist in this account and region",
        "Check the ARN, and that the connection's account and region are the ones that it was made in.",
    ),
    Failure.PERMISSION: (
        BdaPermissionError,
        "was denied: a permission is missing",
        "Allow bedrock:{operation} to the identity of the connection, on the resources that the message names.",
    ),
    Failure.INVALID: (
        BdaRequestError,
        "was refused: the service found the request invalid",
        "The message names what is wrong; the arguments are those of the API.",
    ),
    Failure.NO_REGION: (
        BdaRequestError,
        "could not be called: no AWS region is set",
        "Pass region_name, or set region_name in the connection's extra or AWS_DEFAULT_REGION in the environment.",
    ),
    Failure.CREDENTIALS: (
        BdaConnectionError,
        "was refused: the credentials are missing or not valid",
        "Check the Airflow connection (aws_conn_id), or the environment's or the machine's AWS credentials.",
    ),
    Failure.OTHER: (
        BdaError,
        "failed",
        "The message is the service's own.",
    ),
}
