"""
BDA's runtime as moto takes it: the six operations of one account in one region, and the wire in front of them.

The wire is AWS JSON 1.1, dispatched on ``X-Amz-Target``.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.core.base_backend import BackendDict, BaseBackend

from airflow_bda.emulator.control_plane.control_api import BdaControlBackend, bedrockdataautomation_backends
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.answering import Answer, ApiResponse, Call, RateLimiter
from airflow_bda.emulator.core.api_errors import ApiError, check_profile, validation_error
from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.core.registration import URL_BASES, bda_regions
from airflow_bda.emulator.documents.contract import ProcessedInput, ProcessingRequest
from airflow_bda.emulator.documents.reading.input_limits import InputError
from airflow_bda.emulator.runtime.call_checks import check_access, look_up
from airflow_bda.emulator.runtime.job_records import Job, JobBook, JobOrder, digest_of, lay_out, to_json
from airflow_bda.emulator.runtime.workers import EventSender, WorkerPool
from airflow_bda.service.arns import INVOCATION, Arn
from airflow_bda.service.model import SERVICE, UPGRADE, botocore_version, service_model
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from airflow_bda.emulator.aws.iam_callers import Caller, Place

_TOKEN = "clientToken"  # noqa: S105  the member's name


class BdaRuntimeBackend(BaseBackend):
    """The jobs of one account in one region, and what can be asked of them."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.emulator = EMULATOR
        self.book = JobBook()
        self.limiter = RateLimiter()
        self._workers = WorkerPool(self.emulator)

    @property
    def _url_module(self) -> Any:
        # Where moto takes ``url_bases`` and ``url_paths`` from: else from a module ``urls`` beside this one.
        return sys.modules[__name__]

    def reset(self) -> None:
        """Forget everything, as moto's reset does; running jobs end and write nothing, and faults are removed."""
        self.book.cancelled.set()
        self.emulator.faults.clear()
        super().reset()

    def invoke_data_automation_async(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Start a job."""
        check_profile(params["dataAutomationProfileArn"], region=self.region_name, account=self.account_id)
        extraction = look_up(params, self._control)
        token = params.get(_TOKEN)
        digest = digest_of({name: value for name, value in params.items() if name != _TOKEN})
        if known := self.book.find_by_token(token, digest):
            return {"invocationArn": known.arn}
        input_uri = S3Uri.parse(params["inputConfiguration"]["s3Uri"])
        data = self._control.resources.read_object(params["inputConfiguration"])
        self._control.resources.check_output(params["outputConfiguration"]["s3Uri"])
        order = JobOrder(
            arn=Arn(self.partition, self.region_name, self.account_id, INVOCATION, str(uuid4())),
            digest=digest,
            input_uri=input_uri,
            output_uri=params["outputConfiguration"]["s3Uri"],
            modality=extraction.project.routed_modality(data)
            or self.emulator.processor.modality_of(input_uri.key, data),
            client_token=token,
            project_arn=extraction.project_arn,
            blueprint_arns=extraction.blueprint_arns,
            made_blueprints=extraction.made,
            project=extraction.project,
            course=self.emulator.faults.course_of_job(input_uri.key),
            sends_events=_asks_for_events(params),
        )
        settings = self.emulator.settings
        job, is_new = self.book.add(order, _tags(params), limit=settings.open_jobs, kept=settings.kept_jobs)
        if is_new:
            for listener in tuple(self.emulator.listeners):
                listener.job_created(job)
            if not job.order.course.stuck:
                self._workers.submit(job)
        return {"invocationArn": job.arn}

    def get_data_automation_status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of a job."""
        job = self.book.poll(params["invocationArn"])
        # Read once: the job may move on meanwhile.
        status = job.status
        answer: dict[str, Any] = {"status": str(status)}
        if status is JobStatus.SUCCESS:
            answer["outputConfiguration"] = {"s3Uri": str(job.metadata_uri)}
        elif status.is_terminal:
            answer |= {"errorType": job.error_type, "errorMessage": job.error_message}
        if self.emulator.settings.job_times:
            answer |= _times(job, ended_at=job.ended_at if status.is_terminal else None)
        return answer

    def invoke_data_automation(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Process an input while the caller waits."""
        check_profile(params["dataAutomationProfileArn"], region=self.region_name, account=self.account_id)
        extraction = look_up(params, self._control, sync=True)
        source = params["inputConfiguration"]
        input_uri = S3Uri.parse(source["s3Uri"]) if source.get("s3Uri") else None
        if (input_uri is None) == (source.get("bytes") is None):
            raise validation_error("inputConfiguration needs exactly one of bytes and s3Uri")
        output_uri = (params.get("outputConfiguration") or {}).get("s3Uri")
        if output_uri is not None:
            self._control.resources.check_output(output_uri)
        if input_uri is not None:
            data = self._control.resources.read_object(source)
        else:
            try:
                data = base64.b64decode(source["bytes"], validate=True)
            except binascii.Error as error:
                message = f"inputConfiguration.bytes is not base64: {error}"
                raise ApiError("SerializationException", message) from error
        request = ProcessingRequest(
            bucket=input_uri.bucket if input_uri else "",
            key=input_uri.key if input_uri else "",
            data=data,
            blueprint_arns=extraction.blueprint_arns,
            made_blueprints=extraction.made,
            project=extraction.project,
            region=self.region_name,
            account=self.account_id,
            sync=True,
        )
        try:
            processed = self.emulator.process(request)
        except InputError as error:
            message = f"{error.error_type}: {error.error_message}"
            raise ApiError(assumptions.SYNC_INPUT_ERROR_CODE, message) from error
        if output_uri is not None:
            return self._write_sync_output(output_uri, input_uri, processed)
        return {
            "semanticModality": str(processed.modality),
            "outputSegments": [_inline(segment) for asset in processed.assets for segment in asset.segments],
        }

    def tag_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Add tags to a job."""
        self.book.get(params["resourceARN"]).tags.update(_tags(params))
        return {}

    def untag_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Remove tags from a job."""
        tags = self.book.get(params["resourceARN"]).tags
        for key in params["tagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List the tags of a job."""
        tags = self.book.get(params["resourceARN"]).tags
        return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}

    @property
    def _control(self) -> BdaControlBackend:
        return bedrockdataautomation_backends[self.account_id][self.region_name]

    def _write_sync_output(self, output_uri: str, input_uri: S3Uri | None, processed: ProcessedInput) -> dict[str, Any]:
        storage = self._control.resources.storage
        files = lay_out(output_uri=output_uri, job_id=str(uuid4()), input_uri=input_uri, processed=processed)
        for uri, content in files.files.items():
            storage.write(uri, content)
        for uri in files.files:
            storage.announce(uri)
        return {
            "semanticModality": str(processed.modality),
            "outputConfiguration": {"s3Uri": str(files.metadata_uri)},
        }


def _asks_for_events(params: Mapping[str, Any]) -> bool:
    notification = params.get("notificationConfiguration") or {}
    return bool((notification.get("eventBridgeConfiguration") or {}).get("eventBridgeEnabled"))


def _tags(params: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in params.get("tags") or ()}


def _times(job: Job, *, ended_at: datetime | None) -> dict[str, Any]:
    times: dict[str, Any] = {"jobSubmissionTime": iso_time(job.created_at)}
    if ended_at is not None:
        times["jobCompletionTime"] = iso_time(ended_at)
        times["jobDurationInSeconds"] = math.ceil((ended_at - job.created_at).total_seconds())
    return times


def iso_time(moment: datetime) -> str:
    """Return a time as the service writes it: a string, where JSON 1.1 usually has a number."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _inline(segment: Any) -> dict[str, str]:
    inline = {}
    if segment.custom_status is not None:
        inline["customOutputStatus"] = segment.custom_status
    if segment.custom is not None:
        inline["customOutput"] = to_json(segment.custom).decode()
    if segment.standard is not None:
        inline["standardOutput"] = to_json(segment.standard).decode()
    return inline


bedrockdataautomationruntime_backends = BackendDict(
    BdaRuntimeBackend,
    "bedrock-data-automation-runtime",
    use_boto3_regions=False,
    additional_regions=bda_regions(),
)
EMULATOR.listeners.append(EventSender(EMULATOR.faults))


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
        """Run the operation."""
        return OPERATIONS[call.operation](backend, params)

    def send_error(self, error: ApiError) -> Answer:
        """Send a refusal: the code in the body, and in a header as newer clients read it."""
        document = {"__type": error.code, "message": error.message}
        return self.send(error.http_status, document, **{"x-amzn-ErrorType": error.code})


url_bases = list(URL_BASES)
url_paths = {"{0}/$": BdaRuntimeResponse.dispatch}
