"""
BDA's control plane as moto takes it: the backend of one account in one region, and the wire in front of it.

The wire is REST and JSON; an operation is found by method and path.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.core.base_backend import BackendDict, BaseBackend

from airflow_bda.emulator.aws.iam_policies import Question
from airflow_bda.emulator.control_plane.blueprint_jobs import Optimizations, Recommendations
from airflow_bda.emulator.control_plane.blueprints import Blueprints
from airflow_bda.emulator.control_plane.libraries import CONTROL_SERVICE, Libraries
from airflow_bda.emulator.control_plane.projects import Projects
from airflow_bda.emulator.control_plane.resources import Resources
from airflow_bda.emulator.core.answering import Answer, ApiResponse, Call, RateLimiter, model_of
from airflow_bda.emulator.core.api_errors import ApiError, refuse_unless_allowed
from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.core.registration import CONTROL_URL_BASES, bda_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bda.emulator.aws.iam_callers import Caller, Place

    Operation = Callable[["BdaControlBackend", Mapping[str, Any]], dict[str, Any]]


class BdaControlBackend(BaseBackend):
    """The projects, blueprints and libraries of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.emulator = EMULATOR
        self.limiter = RateLimiter()
        self.resources = Resources(self.partition, region_name, account_id, EMULATOR)
        self.blueprints = Blueprints(self.resources)
        self.libraries = Libraries(self.resources)
        self.projects = Projects(self.resources, self.blueprints, self.libraries.is_there)
        self.optimizations = Optimizations(self.resources, self.blueprints)
        self.recommendations = Recommendations(self.resources, self.blueprints)

    @property
    def _url_module(self) -> Any:
        # Where moto takes ``url_bases`` and ``url_paths`` from: else from a module ``urls`` beside this one.
        return sys.modules[__name__]

    def reset(self) -> None:
        """Forget everything, as moto's reset does; what runs in the background ends and writes nothing."""
        self.resources.cancelled.set()
        super().reset()

    def list_blueprints(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List blueprints: all, or those that a project names."""
        stages = self.projects.stages_of(params.get("projectFilter"))
        if stages is None:
            return self.blueprints.listing(params, None)
        named = [item for stage in stages for item in (*stage.blueprints, *stage.fallback_blueprints)]
        return self.blueprints.listing(params, named)

    def list_libraries(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List libraries: all, or those that a project uses."""
        stages = self.projects.stages_of(params.get("projectFilter"))
        if stages is None:
            return self.libraries.listing(params, None)
        used = [arn for stage in stages for arn in stage.libraries]
        return self.libraries.listing(params, used)


bedrockdataautomation_backends = BackendDict(
    BdaControlBackend,
    "bedrock-data-automation",
    use_boto3_regions=False,
    additional_regions=bda_regions(),
)


OPERATIONS: Mapping[str, Operation] = {
    "CopyBlueprintStage": lambda backend, params: backend.blueprints.copy_stage(params),
    "CreateBlueprint": lambda backend, params: backend.blueprints.create(params),
    "CreateBlueprintVersion": lambda backend, params: backend.blueprints.create_version(params),
    "CreateDataAutomationLibrary": lambda backend, params: backend.libraries.create(params),
    "CreateDataAutomationProject": lambda backend, params: backend.projects.create(params),
    "DeleteBlueprint": lambda backend, params: backend.blueprints.delete(params),
    "DeleteDataAutomationLibrary": lambda backend, params: backend.libraries.delete(params),
    "DeleteDataAutomationProject": lambda backend, params: backend.projects.delete(params),
    "GetBlueprint": lambda backend, params: backend.blueprints.read(params),
    "GetBlueprintOptimizationStatus": lambda backend, params: backend.optimizations.status(params),
    "GetDataAutomationLibrary": lambda backend, params: backend.libraries.read(params),
    "GetDataAutomationLibraryEntity": lambda backend, params: backend.libraries.read_entity(params),
    "GetDataAutomationLibraryIngestionJob": lambda backend, params: backend.libraries.read_ingestion(params),
    "GetDataAutomationProject": lambda backend, params: backend.projects.read(params),
    "InvokeBlueprintOptimizationAsync": lambda backend, params: backend.optimizations.invoke(params),
    "InvokeDataAutomationLibraryIngestionJob": lambda backend, params: backend.libraries.invoke_ingestion(params),
    "ListBlueprints": BdaControlBackend.list_blueprints,
    "ListDataAutomationLibraries": BdaControlBackend.list_libraries,
    "ListDataAutomationLibraryEntities": lambda backend, params: backend.libraries.list_entities(params),
    "ListDataAutomationLibraryIngestionJobs": lambda backend, params: backend.libraries.list_ingestions(params),
    "ListDataAutomationProjects": lambda backend, params: backend.projects.listing(params),
    "ListTagsForResource": lambda backend, params: backend.resources.list_tags_for_resource(params),
    "TagResource": lambda backend, params: backend.resources.tag_resource(params),
    "UntagResource": lambda backend, params: backend.resources.untag_resource(params),
    "UpdateBlueprint": lambda backend, params: backend.blueprints.update(params),
    "UpdateDataAutomationLibrary": lambda backend, params: backend.libraries.update(params),
    "UpdateDataAutomationProject": lambda backend, params: backend.projects.update(params),
}
# Calls of the console, which no service model has: method, path, operation.
_WITHOUT_MODEL = (
    ("POST", "/invokeBlueprintRecommendationAsync", "InvokeBlueprintRecommendationAsync"),
    ("POST", "/getBlueprintRecommendation/{jobId}/", "GetBlueprintRecommendation"),
)
_WORK_WITHOUT_MODEL: Mapping[str, Operation] = {
    "InvokeBlueprintRecommendationAsync": lambda backend, params: backend.recommendations.invoke(params),
    "GetBlueprintRecommendation": lambda backend, params: backend.recommendations.status(params),
}
# From the service model; the runtime answers 400 to all of them.
_HTTP_STATUS_OF_CODE = {
    "AccessDeniedException": HTTPStatus.FORBIDDEN,
    "ConflictException": HTTPStatus.CONFLICT,
    "ResourceNotFoundException": HTTPStatus.NOT_FOUND,
    "ServiceQuotaExceededException": HTTPStatus.PAYMENT_REQUIRED,
    "ThrottlingException": HTTPStatus.TOO_MANY_REQUESTS,
}
_PREFIXES = (
    *("/blueprints/", "/data-automation-projects/", "/data-automation-libraries/"),
    *("/getBlueprintOptimizationStatus/", "/getBlueprintRecommendation/"),
)
_PATHS = frozenset({"/invokeBlueprintOptimizationAsync", "/invokeBlueprintRecommendationAsync"})
# Bedrock itself has these paths too, and the same signature.
TAG_PATHS = frozenset({"/listTagsForResource", "/tagResource", "/untagResource"})


class BdaControlResponse(ApiResponse):
    """One request to the control plane."""

    service = CONTROL_SERVICE
    content_type = "application/json"
    unreadable = "ValidationException"

    def find_call(self) -> Call:
        """Find the operation by method and path."""
        path = unquote(urlsplit(self.uri).path)
        for method, pattern, operation in _routes():
            if self.method == method and (match := pattern.fullmatch(path)):
                model = model_of(CONTROL_SERVICE)
                known = operation in model.operation_names
                return Call(operation, model.operation_model(operation) if known else None, match.groupdict())
        raise ApiError("UnknownOperationException", f"{CONTROL_SERVICE} has no {self.method} {path} here.", 404)

    def find_backend(self) -> BdaControlBackend:
        """Return the caller's account in the region that was called."""
        return bedrockdataautomation_backends[self.current_account][self.region]

    def read_members(self, call: Call) -> dict[str, Any]:
        """Read the members in the query and in the body."""
        query = parse_qs(urlsplit(self.uri).query, keep_blank_values=True)
        members = call.model.input_shape.members if call.model and call.model.input_shape else {}
        return {**{name: query[name][0] for name in members if name in query}, **super().read_members(call)}

    def check_access(self, caller: Caller, call: Call, params: Mapping[str, Any], place: Place) -> None:  # noqa: ARG002
        """Check the call on the thing that it names; a listing names none."""
        named = [params.get(name) for name in ("projectArn", "blueprintArn", "libraryArn", "invocationArn")]
        named += [params.get("resourceARN"), (params.get("blueprint") or {}).get("blueprintArn")]
        resource = next((arn for arn in named if isinstance(arn, str)), "*")
        refuse_unless_allowed(caller, Question(f"bedrock:{call.operation}", resource))

    def work(self, backend: BdaControlBackend, call: Call, params: Mapping[str, Any]) -> dict[str, Any]:
        """Run the operation."""
        work = OPERATIONS.get(call.operation) or _WORK_WITHOUT_MODEL[call.operation]
        return work(backend, params)

    def send_error(self, error: ApiError) -> Answer:
        """Send a refusal: the code in a header, with the status of the service model."""
        status = _HTTP_STATUS_OF_CODE.get(error.code, error.http_status)
        return self.send(status, {"message": error.message}, **{"x-amzn-ErrorType": error.code})


def is_path(path: str) -> bool:
    """Whether a path is one of the control plane's; no other service of Bedrock has such."""
    decoded = unquote(path)
    return decoded in _PATHS or decoded.startswith(_PREFIXES)


@cache
def _routes() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    model = model_of(CONTROL_SERVICE)
    routes = list(_WITHOUT_MODEL)
    for name in OPERATIONS:
        if name in model.operation_names:
            http = model.operation_model(name).http
            routes.append((http["method"], http["requestUri"], name))
    # The longest first: an ARN has slashes in it, so that what stands behind one must be looked for before.
    routes.sort(key=lambda route: len(re.sub(r"\{\w+\}", "", route[1])), reverse=True)
    return tuple(
        (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+?)", path.rstrip("/")) + "/?", re.DOTALL), name)
        for method, path, name in routes
    )


url_bases = list(CONTROL_URL_BASES)
url_paths = {"{0}/(?P<path>.+)$": BdaControlResponse.dispatch}
