"""The control plane's wire: REST and JSON, found by method and path."""

from __future__ import annotations

import json
import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from botocore.loaders import Loader
from botocore.model import ServiceModel
from moto.core.responses import BaseResponse

from airflow_bda.emulator.aws.permissions.callers import Place, caller_of
from airflow_bda.emulator.aws.permissions.evaluation import Question
from airflow_bda.emulator.control_plane.errors import HTTP_STATUS_OF_CODE
from airflow_bda.emulator.control_plane.models import BdaControlBackend, bedrockdataautomation_backends
from airflow_bda.emulator.core import errors
from airflow_bda.emulator.core.errors import ApiError
from airflow_bda.emulator.core.faults import FaultKind
from airflow_bda.emulator.runtime.permissions import refuse_unless_allowed
from airflow_bda.emulator.runtime.request_checks import refuse_problems
from airflow_bda.service.model import find_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel

logger = logging.getLogger(__name__)

SERVICE = "bedrock-data-automation"
Answer = tuple[int, dict[str, str], str]

_OPERATIONS: Mapping[str, Callable[[BdaControlBackend, Mapping[str, Any]], dict[str, Any]]] = {
    "CreateBlueprint": BdaControlBackend.create_blueprint,
    "CreateBlueprintVersion": BdaControlBackend.create_blueprint_version,
    "CreateDataAutomationProject": BdaControlBackend.create_data_automation_project,
    "DeleteBlueprint": BdaControlBackend.delete_blueprint,
    "DeleteDataAutomationProject": BdaControlBackend.delete_data_automation_project,
    "GetBlueprint": BdaControlBackend.get_blueprint,
    "GetDataAutomationProject": BdaControlBackend.get_data_automation_project,
    "ListBlueprints": BdaControlBackend.list_blueprints,
    "ListDataAutomationProjects": BdaControlBackend.list_data_automation_projects,
    "UpdateBlueprint": BdaControlBackend.update_blueprint,
    "UpdateDataAutomationProject": BdaControlBackend.update_data_automation_project,
}


class BdaControlResponse(BaseResponse):
    """One request to the control plane."""

    def __init__(self) -> None:
        super().__init__(service_name=SERVICE)

    def call_action(self) -> Answer:
        """Answer the request that moto has taken apart."""
        try:
            operation, path_params = find_route(self.method, urlsplit(self.uri).path)
            answer = self._answer(operation, path_params)
        except ApiError as error:
            status = HTTP_STATUS_OF_CODE.get(error.code, error.http_status)
            return self._send(status, {"message": error.message}, {"x-amzn-ErrorType": error.code})
        except Exception as error:
            logger.exception("The emulator could not answer %s %s", self.method, self.uri)
            return self._send(500, {"message": str(error)}, {"x-amzn-ErrorType": "InternalServerException"})
        return self._send(int(operation.http.get("responseCode", 200)), answer, {})

    @property
    def backend(self) -> BdaControlBackend:
        """The caller's account in the region that was called."""
        return bedrockdataautomation_backends[self.current_account][self.region]

    def _answer(self, operation: OperationModel, path_params: dict[str, str]) -> dict[str, Any]:
        backend = self.backend
        settings = backend.emulator.settings
        if not backend.limiter.allows(operation.name, settings.requests_per_second.get(operation.name)):
            raise errors.throttled()
        if fault := backend.emulator.faults.before_call(operation.name):
            raise errors.throttled() if fault.kind is FaultKind.THROTTLING else errors.internal_error()
        params = {**_query_params(operation, self.uri), **_read_body(self.body), **path_params}
        if settings.enforce_iam:
            place = Place(self.region, self.current_account, backend.partition)
            resource = path_params.get("projectArn") or path_params.get("blueprintArn") or "*"
            refuse_unless_allowed(caller_of(self.headers, place), Question(f"bedrock:{operation.name}", resource))
        refuse_problems(find_problems(operation.input_shape, params, ""))
        return _OPERATIONS[operation.name](backend, params)

    def _send(self, http_status: int, document: dict[str, Any], headers: dict[str, str]) -> Answer:
        own = {"status": str(http_status), "Content-Type": "application/json", "x-amzn-RequestId": str(uuid4())}
        return http_status, {**self.response_headers, **own, **headers}, json.dumps(document)


def find_route(method: str, path: str) -> tuple[OperationModel, dict[str, str]]:
    """
    Find the operation of a request, and the parameters in its path.

    :raises ApiError: when there is none here.
    """
    for route_method, pattern, operation in _routes():
        match = pattern.fullmatch(unquote(path)) if method == route_method else None
        if match:
            return operation, match.groupdict()
    raise ApiError("UnknownOperationException", f"{SERVICE} has no {method} {path} here.", 404)


def is_path(path: str) -> bool:
    """Whether a path is one of the control plane's; no other service of Bedrock has such."""
    return unquote(path).startswith(("/data-automation-projects/", "/blueprints/"))


@cache
def _routes() -> tuple[tuple[str, re.Pattern[str], OperationModel], ...]:
    model = ServiceModel(Loader().load_service_model(SERVICE, "service-2"), SERVICE)
    found = []
    for name in _OPERATIONS:
        operation = model.operation_model(name)
        path = operation.http["requestUri"].rstrip("/")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>arn:[^/]+/[^/]+)", path)
        found.append((operation.http["method"], re.compile(f"{pattern}/?"), operation))
    return tuple(found)


def _query_params(operation: OperationModel, uri: str) -> dict[str, Any]:
    query = parse_qs(urlsplit(uri).query)
    members = operation.input_shape.members if operation.input_shape else {}
    return {name: query[name][0] for name in members if name in query}


def _read_body(body: str | bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or "{}")
    except ValueError as error:
        raise ApiError("ValidationException", f"The request's body is not JSON: {error}") from error
    if not isinstance(params, dict):
        raise ApiError("ValidationException", "The request's body must be a JSON object.")
    return {name: value for name, value in params.items() if value is not None}
