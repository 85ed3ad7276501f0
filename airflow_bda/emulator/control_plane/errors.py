"""The control plane's refusals, whose HTTP codes differ from the runtime's."""

from __future__ import annotations

from http import HTTPStatus

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.errors import ApiError

# From the service model; the runtime answers 400 to all of them.
HTTP_STATUS_OF_CODE = {
    "AccessDeniedException": HTTPStatus.FORBIDDEN,
    "ConflictException": HTTPStatus.CONFLICT,
    "ResourceNotFoundException": HTTPStatus.NOT_FOUND,
    "ServiceQuotaExceededException": HTTPStatus.PAYMENT_REQUIRED,
    "ThrottlingException": HTTPStatus.TOO_MANY_REQUESTS,
}


def not_found(arn: str) -> ApiError:
    """Give the error for a project or a blueprint that is not there."""
    return ApiError("ResourceNotFoundException", assumptions.NOT_FOUND_MESSAGE.format(arn=arn))


def conflict(name: str) -> ApiError:
    """Give the error for a name that is taken."""
    return ApiError("ConflictException", assumptions.NAME_TAKEN_MESSAGE.format(name=name))
