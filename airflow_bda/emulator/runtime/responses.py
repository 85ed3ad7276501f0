"""The runtime's wire: AWS JSON 1.1, dispatched on ``X-Amz-Target``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.core.answering import Answer, ApiResponse, Call
from airflow_bda.emulator.core.errors import ApiError
from airflow_bda.emulator.runtime.models import BdaRuntimeBackend, bedrockdataautomationruntime_backends
from airflow_bda.emulator.runtime.permissions import check_access
from airflow_bda.service.model import SERVICE, UPGRADE, botocore_version, service_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bda.emulator.aws.iam_callers import Caller, Place

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET_PREFIX = "AmazonBedrockKeystoneRuntimeService"

OPERATIONS: Mapping[str, Callable[[BdaRuntimeBackend, Mapping[str, Any]], dict[str, Any]]] = {
    "InvokeDataAutomationAsync": BdaRuntimeBackend.invoke_data_automation_async,
    "GetDataAutomationStatus": BdaRuntimeBackend.get_data_automation_status,
    "InvokeDataAutomation": BdaRuntimeBackend.invoke_data_automation,
    "TagResource": BdaRuntimeBackend.tag_resource,
    "UntagResource": BdaRuntimeBackend.untag_resource,
    "ListTagsForResource": BdaRuntimeBackend.list_tags_for_resource,
}
# The oldest pinned release that was tried; 1.39.11 has neither InvokeDataAutomation nor the times of a job.
_FIRST_KNOWN_BOTOCORE = "botocore 1.42.61 is known to have it."


class BdaRuntimeResponse(ApiResponse):
    """One request to the runtime API."""

    service = SERVICE
    content_type = CONTENT_TYPE
    unreadable = "SerializationException"

    def find_call(self) -> Call:
        """Find the operation by the request's target, and count it: refused calls count too."""
        operation = self.headers.get("X-Amz-Target", "").removeprefix(f"{TARGET_PREFIX}.")
        if operation not in OPERATIONS:
            raise ApiError(
                "UnknownOperationException",
                f"{SERVICE} has no operation {operation!r} here; it has {', '.join(OPERATIONS)}.",
            )
        model = service_model()
        if operation not in model.operation_names:
            raise ApiError(
                "UnknownOperationException",
                f"The emulator checks requests by botocore's service model, and the installed botocore "
                f"{botocore_version()} is too old for {operation}. {UPGRADE} {_FIRST_KNOWN_BOTOCORE}",
            )
        return Call(operation, model.operation_model(operation), {})

    def find_backend(self) -> BdaRuntimeBackend:
        """Return the caller's account in the region that was called."""
        return bedrockdataautomationruntime_backends[self.current_account][self.region]

    def check_access(self, caller: Caller, call: Call, params: Mapping[str, Any], place: Place) -> None:
        """Check the call, and all that BDA does with the caller's permissions."""
        check_access(caller, call.operation, params, place)

    def work(self, backend: BdaRuntimeBackend, call: Call, params: Mapping[str, Any]) -> dict[str, Any]:
        """Do what was asked for."""
        return OPERATIONS[call.operation](backend, params)

    def send_error(self, error: ApiError) -> Answer:
        """Send a refusal: the code in the body, and in a header as newer clients read it."""
        document = {"__type": error.code, "message": error.message}
        return self.send(error.http_status, document, **{"x-amzn-ErrorType": error.code})
