"""
What a failed call means: worth another try, a passing absence, or the caller's to mend. Codes decide, never texts.

The codes are the runtime's own (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html)
and those that any AWS endpoint may give.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from json import JSONDecodeError
from typing import Any

from botocore import exceptions as botocore_exceptions
from botocore.parsers import ResponseParserError

from airflow_bda.service.errors import BdaConnectionError, BdaError, BdaPermissionError, BdaRequestError
from airflow_bda.service.statuses import UnexpectedAnswerError


class Failure(Enum):
    """
    What to do about a failed call.

    ``BUSY``, ``EXPIRED`` and ``UNREACHABLE`` are passing: the same call may go through later. ``NOT_FOUND`` passes only
    right after an invoke. The others are the caller's to mend.
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
        """Whether waiting alone may mend it."""
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
# Not known: whether a status can be asked for right after the invoke. This is long for a replica to lag behind, and
# short for somebody who mistyped an ARN.
NOT_FOUND_GRACE_SECONDS = 60.0
_SERVER_FAULT = 500
_TOO_MANY_REQUESTS = 429


def error_code(error: BaseException) -> str | None:
    """Give the service's code of a refused call; None for anything else."""
    if isinstance(error, botocore_exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Code") or "") or None
    return None


def classify(error: BaseException) -> Failure:
    """Tell what kind of failure an exception of boto3 or aiobotocore is."""
    if isinstance(error, botocore_exceptions.ClientError):
        return _classify_answer(error.response)
    for exception_types, kind in _KINDS_OF_EXCEPTIONS:
        if isinstance(error, exception_types):
            return kind
    return Failure.OTHER


def _classify_answer(response: Any) -> Failure:
    code = response.get("Error", {}).get("Code")
    for codes, kind in _KINDS_OF_CODES:
        if code in codes:
            return kind
    http_status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Failure.BUSY if http_status >= _SERVER_FAULT or http_status == _TOO_MANY_REQUESTS else Failure.OTHER


def is_passing(error: BaseException) -> bool:
    """Whether a call's failure, or the one that it was explained from, may pass by waiting."""
    return classify(error.__cause__ or error).is_passing


def is_absence(error: BaseException) -> bool:
    """Whether a call named something that the service does not know, or does not know yet."""
    return classify(error.__cause__ or error) is Failure.NOT_FOUND


def call_error(
    error: BaseException,
    *,
    operation: str,
    invocation_arn: str | None = None,
    input_s3_uri: str | None = None,
    remedy: str | None = None,
) -> BdaError:
    """
    Turn a failed call into the error to raise, with what to do about it.

    :param operation: the API operation, as IAM names it (``InvokeDataAutomationAsync``).
    :param remedy: what the caller knows better than the code alone says.
    """
    kind = classify(error)
    error_class, what, default_remedy = _EXPLANATIONS[kind]
    return error_class(
        f"{operation} {what}.",
        remedy=remedy or default_remedy.format(operation=operation),
        invocation_arn=invocation_arn,
        error_type=error_code(error) or type(error).__name__,
        error_message=_message(error),
        input_s3_uri=input_s3_uri,
    )


def _message(error: BaseException) -> str | None:
    if isinstance(error, botocore_exceptions.ClientError):
        message: str | None = error.response.get("Error", {}).get("Message")
        return message
    return str(error)


_EXPLANATIONS: dict[Failure, tuple[type[BdaError], str, str]] = {
    Failure.BUSY: (
        BdaConnectionError,
        "was throttled or failed on the service's side",
        "Let the task retry; if it goes on, lower the number of tasks that call BDA at once.",
    ),
    Failure.EXPIRED: (
        BdaConnectionError,
        "was refused because the credentials have expired",
        "Renew the connection's credentials; credentials of a role renew themselves.",
    ),
    Failure.UNREACHABLE: (
        BdaConnectionError,
        "got no answer that is BDA's",
        "Check the region, the connection's endpoint_url and the network path to it.",
    ),
    Failure.NOT_FOUND: (
        BdaRequestError,
        "names something that does not exist in this account and region",
        "Check the ARN, and that the connection's account and region are the ones that it was made in.",
    ),
    Failure.PERMISSION: (
        BdaPermissionError,
        "was refused for want of a permission",
        "Allow bedrock:{operation} to the identity of the connection, on the resources that the message names.",
    ),
    Failure.INVALID: (
        BdaRequestError,
        "was refused by the service's validation",
        "The message names what is wrong; the arguments are those of the API.",
    ),
    Failure.NO_REGION: (
        BdaRequestError,
        "could not be called, since no AWS region is set",
        "Pass region_name, or set region_name in the connection's extra or AWS_DEFAULT_REGION in the environment.",
    ),
    Failure.CREDENTIALS: (
        BdaConnectionError,
        "could not be signed with valid credentials",
        "Check the Airflow connection (aws_conn_id), or the environment's or the machine's AWS credentials.",
    ),
    Failure.OTHER: (
        BdaError,
        "failed",
        "The message is the service's own.",
    ),
}
