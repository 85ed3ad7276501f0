"""The errors that the emulated operations answer with."""

from __future__ import annotations

from http import HTTPStatus

from airflow_bda.emulator.core import assumptions


class ApiError(Exception):
    """
    A call that is refused.

    :param code: the error's name, as in ``ValidationException``.
    :param message: the service's text.
    :param http_status: 400 for all that the caller did, throttling and missing things included
        (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html).
    """

    def __init__(self, code: str, message: str, http_status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = int(http_status)


def validation_error(message: str) -> ApiError:
    """Give the error for a request that is not valid."""
    return ApiError("ValidationException", message)


def access_denied() -> ApiError:
    """Give the error for S3 objects and buckets that are not there or not allowed; its text was seen on the service."""
    return ApiError("AccessDeniedException", "Access Denied. Check S3 URIs and read/write permissions")


def invocation_not_found(arn: str) -> ApiError:
    """Give the error for an invocation that this account and region do not have."""
    return ApiError("ResourceNotFoundException", assumptions.UNKNOWN_INVOCATION_MESSAGE.format(arn=arn))


def throttled() -> ApiError:
    """Give the error for calls that come too fast."""
    return ApiError("ThrottlingException", assumptions.THROTTLED_MESSAGE)


def internal_error(message: str = assumptions.INTERNAL_ERROR_MESSAGE) -> ApiError:
    """Give the error for a fault of the service's own."""
    return ApiError("InternalServerException", message, HTTPStatus.INTERNAL_SERVER_ERROR)
