"""BDA's wire: AWS JSON 1.1, dispatched on ``X-Amz-Target``, with the faults that are in force."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ConnectionClosedError
from moto.core.responses import BaseResponse

from airflow_bda.emulator.aws.permissions.callers import Place, caller_of
from airflow_bda.emulator.core import assumptions, errors
from airflow_bda.emulator.core.errors import ApiError
from airflow_bda.emulator.core.faults import Fault, FaultKind
from airflow_bda.emulator.runtime.models import BdaRuntimeBackend, bedrockdataautomationruntime_backends
from airflow_bda.emulator.runtime.permissions import check_access
from airflow_bda.service.model import SERVICE, UPGRADE, botocore_version, service_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET_PREFIX = "AmazonBedrockKeystoneRuntimeService"

Answer = tuple[int, dict[str, str], str]

_OPERATIONS: Mapping[str, Callable[[BdaRuntimeBackend, Mapping[str, Any]], dict[str, Any]]] = {
    "InvokeDataAutomationAsync": BdaRuntimeBackend.invoke_data_automation_async,
    "GetDataAutomationStatus": BdaRuntimeBackend.get_data_automation_status,
    "InvokeDataAutomation": BdaRuntimeBackend.invoke_data_automation,
    "TagResource": BdaRuntimeBackend.tag_resource,
    "UntagResource": BdaRuntimeBackend.untag_resource,
    "ListTagsForResource": BdaRuntimeBackend.list_tags_for_resource,
}


class BdaRuntimeResponse(BaseResponse):
    """One request to the runtime API."""

    def __init__(self) -> None:
        super().__init__(service_name=SERVICE)

    def call_action(self) -> Answer:
        """Answer the request that moto has taken apart."""
        operation = self.headers.get("X-Amz-Target", "").removeprefix(f"{TARGET_PREFIX}.")
        try:
            answer, spoilers = self._answer(operation)
        except ApiError as error:
            return self._send_error(error)
        except ConnectionClosedError:
            raise
        except Exception as error:
            logger.exception("The emulator could not answer %s", operation)
            return self._send_error(errors.internal_error(f"{type(error).__name__}: {error}"))
        return self._send_spoilt(operation, answer, spoilers)

    @property
    def backend(self) -> BdaRuntimeBackend:
        """The caller's account in the region that was called."""
        return bedrockdataautomationruntime_backends[self.current_account][self.region]

    def _answer(self, operation: str) -> tuple[dict[str, Any], list[Fault]]:
        work = _find_operation(operation)
        backend = self.backend
        backend.book.count_call(operation)
        if not backend.limiter.allows(operation, backend.emulator.settings.requests_per_second.get(operation)):
            raise errors.throttled()
        if fault := backend.emulator.faults.before_call(operation):
            self._fail(fault)
        params = _read_params(self.body)
        if backend.emulator.settings.enforce_iam:
            place = Place(self.region, self.current_account, backend.partition)
            check_access(caller_of(self.headers, place), operation, params, place)
        answer = work(backend, params)
        return answer, backend.emulator.faults.after_call(operation)

    def _fail(self, fault: Fault) -> None:
        if fault.kind is FaultKind.DROPPED_REQUEST:
            self._drop_connection()
        error = _CALL_ERRORS[fault.kind]()
        raise ApiError(error.code, fault.error_message or error.message, error.http_status)

    def _drop_connection(self) -> None:
        # In a process botocore takes this for a connection that broke; the server turns it into one.
        raise ConnectionClosedError(endpoint_url=self.uri)

    def _send_spoilt(self, operation: str, answer: dict[str, Any], spoilers: list[Fault]) -> Answer:
        kinds = {fault.kind for fault in spoilers}
        if FaultKind.LOST_ANSWER in kinds:
            self._drop_connection()
        if FaultKind.UNKNOWN_MEMBERS in kinds:
            answer = answer | {"aMemberOfTomorrow": {"operation": operation, "values": [1, None, "two"]}}
        for fault in spoilers:
            if fault.kind is FaultKind.UNKNOWN_STATUS and "status" in answer:
                answer = answer | {"status": fault.status or "Pondering"}
        status, headers, body = self._send(200, answer)
        if FaultKind.NOT_JSON in kinds:
            return status, headers | {"Content-Type": "text/html"}, "<html><body>A proxy was here.</body></html>"
        return status, headers, body

    def _send_error(self, error: ApiError) -> Answer:
        status, headers, body = self._send(error.http_status, {"__type": error.code, "message": error.message})
        return status, headers | {"x-amzn-ErrorType": error.code}, body

    def _send(self, http_status: int, document: dict[str, Any]) -> Answer:
        headers = {
            **self.response_headers,
            # moto's own responses carry their status here too, and parts of moto read it.
            "status": str(http_status),
            "Content-Type": CONTENT_TYPE,
            "x-amzn-RequestId": str(uuid4()),
        }
        return http_status, headers, json.dumps(document)


def _find_operation(operation: str) -> Callable[[BdaRuntimeBackend, Mapping[str, Any]], dict[str, Any]]:
    if operation not in _OPERATIONS:
        raise ApiError(
            "UnknownOperationException",
            f"{SERVICE} has no operation {operation!r} here; it has {', '.join(_OPERATIONS)}.",
        )
    if operation not in service_model().operation_names:
        raise ApiError(
            "UnknownOperationException",
            f"The emulator checks requests by botocore's service model, and the installed botocore "
            f"{botocore_version()} is too old for {operation}. {UPGRADE} {_FIRST_KNOWN_BOTOCORE}",
        )
    return _OPERATIONS[operation]


# The oldest pinned release that was tried; 1.39.11 has neither InvokeDataAutomation nor the times of a job.
_FIRST_KNOWN_BOTOCORE = "botocore 1.42.61 is known to have it."


def _read_params(body: str | bytes) -> Mapping[str, Any]:
    try:
        params = json.loads(body or "{}")
    except ValueError as error:
        raise ApiError("SerializationException", f"The request's body is not JSON: {error}") from error
    if not isinstance(params, dict):
        raise ApiError("SerializationException", "The request's body must be a JSON object.")
    return {name: value for name, value in params.items() if value is not None}


_CALL_ERRORS: Mapping[FaultKind, Callable[[], ApiError]] = {
    FaultKind.THROTTLING: errors.throttled,
    FaultKind.SERVER_ERROR: errors.internal_error,
    FaultKind.SERVICE_UNAVAILABLE: lambda: ApiError(
        "ServiceUnavailableException",
        assumptions.INTERNAL_ERROR_MESSAGE,
        assumptions.SERVICE_UNAVAILABLE_HTTP_STATUS,
    ),
    FaultKind.EXPIRED_CREDENTIALS: lambda: ApiError("ExpiredTokenException", assumptions.EXPIRED_CREDENTIALS_MESSAGE),
}
