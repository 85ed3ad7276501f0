"""
Blueprint recommendation: which blueprint fits a document.

Two calls of the console that AWS's workshop makes with requests of its own; no SDK and no service model has them.
https://github.com/aws-samples/amazon-bedrock-samples/tree/main/data-automation-bda/workshops/01-document
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.errors import check_profile, not_found, quota_exceeded, validation_error
from airflow_bda.emulator.core.lanes import Lane
from airflow_bda.emulator.documents.contract import ProcessingRequest
from airflow_bda.emulator.documents.fields.catalogue import managed_blueprint
from airflow_bda.emulator.documents.reading.input_limits import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.control_plane.blueprints import Blueprints
    from airflow_bda.emulator.control_plane.resources import Resources
    from airflow_bda.service.s3 import S3Uri

CREATED, IN_PROGRESS, COMPLETED, CLIENT_ERROR = "Created", "InProgress", "Completed", "ClientError"
MOST_RECOMMENDATIONS = 1000


@dataclass
class Recommendation:
    """One job."""

    job_id: str
    uri: S3Uri
    data: bytes
    status: str = CREATED
    recommendation: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return self.job_id


class Recommendations:
    """The two calls."""

    def __init__(self, shared: Resources, blueprints: Blueprints) -> None:
        self._shared = shared
        self._blueprints = blueprints
        self._made: dict[str, Recommendation] = {}
        self._lane = Lane("bda-recommendation", 1, self._run)

    def invoke(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Start a recommendation. No model describes its members, so they are checked here."""
        source, profile = params.get("inputDataConfiguration"), params.get("dataAutomationProfileArn")
        if not isinstance(source, dict) or not isinstance(source.get("s3Uri"), str) or not isinstance(profile, str):
            raise validation_error(assumptions.RECOMMENDATION_MEMBERS_MESSAGE)
        check_profile(profile, region=self._shared.region, account=self._shared.account)
        uri = self._shared.parse_uri(source["s3Uri"])
        job = Recommendation(str(uuid4()), uri, self._shared.read_object(source))
        with self._shared.lock:
            if len(self._made) >= MOST_RECOMMENDATIONS:
                limits = {"what": "blueprint recommendations", "limit": MOST_RECOMMENDATIONS}
                raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(**limits))
            self._made[job.job_id] = job
        self._lane.submit(job)
        return {"jobId": job.job_id}

    def status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of a recommendation, and its result once it is completed."""
        job = self._made.get(params["jobId"])
        if job is None:
            raise not_found(params["jobId"])
        if job.status != COMPLETED:
            return {"jobId": job.job_id, "status": job.status}
        results = [{"type": "BLUEPRINT_RECOMMENDATION", "blueprintRecommendation": job.recommendation}]
        return {"jobId": job.job_id, "status": job.status, "results": results}

    def _run(self, job: Recommendation) -> None:
        settings = self._shared.emulator.settings
        if self._shared.cancelled.wait(settings.created_seconds):
            return
        job.status = IN_PROGRESS
        if self._shared.cancelled.wait(settings.in_progress_seconds):
            return
        try:
            job.recommendation = self._recommend(job)
            job.status = COMPLETED
        except InputError:
            job.status = CLIENT_ERROR
        finally:
            # The document is not needed any more, and may be large.
            job.data = b""

    def _recommend(self, job: Recommendation) -> Mapping[str, Any]:
        processor = self._shared.emulator.processor
        listed = processor.blueprints(region=self._shared.region, account=self._shared.account)
        # Those that are known by their names only can match nothing.
        with_schema = [arn for arn, _ in listed if (managed := managed_blueprint(arn)) is None or managed.schema]
        request = ProcessingRequest(
            bucket=job.uri.bucket,
            key=job.uri.key,
            data=job.data,
            blueprint_arns=tuple(with_schema),
            region=self._shared.region,
            account=self._shared.account,
        )
        processed = self._shared.emulator.process(request)
        custom = next((each.custom for asset in processed.assets for each in asset.segments if each.custom), None)
        if custom is None:
            # The service proposes a new blueprint here, which a model writes.
            schema = json.dumps({"class": "Document", "type": "object", "properties": {}})
            return {"documentClass": {"type": "Document"}, "schema": schema}
        matched = custom["matched_blueprint"]
        blueprint = self._blueprints.read({"blueprintArn": matched["arn"]})["blueprint"]
        return {
            "documentClass": {"type": (custom.get("document_class") or {}).get("type", blueprint["blueprintName"])},
            "matchedBlueprint": {
                "blueprintArn": matched["arn"],
                "name": blueprint["blueprintName"],
                "confidence": matched.get("confidence", 0.0),
            },
            "schema": blueprint["schema"],
        }
