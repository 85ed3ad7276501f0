"""
Jobs that are about a blueprint: optimization, which scores it on samples, and the recommendation of one for a document.

An optimization reads the samples with the blueprint and scores what it finds against the truth. The service also
rewrites the blueprint's instructions. The emulator finds fields by rules and has nothing to rewrite: the schema after
is the schema before, and both have the same scores.

Recommendations are two calls of the console that AWS's workshop makes with requests of its own; no SDK and no service
model has them.
https://github.com/aws-samples/amazon-bedrock-samples/tree/main/data-automation-bda/workshops/01-document
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_bda.emulator.control_plane.blueprints import LIVE
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.api_errors import ApiError, check_profile, not_found, quota_exceeded, validation_error
from airflow_bda.emulator.core.emulator import Lane
from airflow_bda.emulator.core.objects import StorageError
from airflow_bda.emulator.documents.contract import MadeBlueprint, ProcessingRequest
from airflow_bda.emulator.documents.fields.catalogue import managed_blueprint
from airflow_bda.emulator.documents.reading.input_limits import InputError
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.emulator.control_plane.blueprints import Blueprints, CustomBlueprint
    from airflow_bda.emulator.control_plane.resources import Resources
    from airflow_bda.emulator.core.faults import JobCourse

logger = logging.getLogger(__name__)

OPTIMIZATION = "blueprint-optimization-invocation"
RESULTS_FILE = "optimization_results.json"
# No quota is published: this bounds the emulator's memory.
MOST_OPTIMIZATIONS = 1000
_WORD = re.compile(r"\w+")
CREATED, IN_PROGRESS, COMPLETED, CLIENT_ERROR = "Created", "InProgress", "Completed", "ClientError"
MOST_RECOMMENDATIONS = 1000


@dataclass
class Optimization:
    """
    One job.

    :param schema: the blueprint's, as it was when the job was taken.
    :param results_uri: where its results are, on success.
    """

    arn: str
    params: Mapping[str, Any]
    blueprint: CustomBlueprint
    schema: str
    course: JobCourse
    status: JobStatus = JobStatus.CREATED
    results_uri: str | None = None
    error_type: str | None = None
    error_message: str | None = None

    def __str__(self) -> str:
        return self.arn

    def fail(self, status: JobStatus, error_type: str, error_message: str) -> None:
        """End it; the status last, so that a caller who sees it sees the rest too."""
        self.error_type, self.error_message = error_type, error_message
        self.status = status


@dataclass(frozen=True)
class Score:
    """How well one sample was read: shares from 0 to 1."""

    confidence: float
    exact_match: float
    f1: float


class Optimizations:
    """The two operations on optimizations."""

    def __init__(self, shared: Resources, blueprints: Blueprints) -> None:
        self._shared = shared
        self._blueprints = blueprints
        self._made: dict[str, Optimization] = {}
        self._lane = Lane("bda-optimization", 1, self._run)

    def invoke(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Start an optimization. It takes no client token: each call starts one."""
        check_profile(params["dataAutomationProfileArn"], region=self._shared.region, account=self._shared.account)
        if not params["samples"]:
            raise validation_error(assumptions.NO_SAMPLES_MESSAGE)
        blueprint = self._blueprints.own(params["blueprint"]["blueprintArn"])
        schema = blueprint.schema(stage=params["blueprint"].get("stage", LIVE))
        if schema is None:
            raise not_found(blueprint.arn)
        for sample in params["samples"]:
            self._shared.read_object(sample["assetS3Object"])
            self._shared.read_object(sample["groundTruthS3Object"])
        self._shared.check_output(params["outputConfiguration"]["s3Object"]["s3Uri"])
        first_key = S3Uri.parse(params["samples"][0]["assetS3Object"]["s3Uri"]).key
        with self._shared.lock:
            if len(self._made) >= MOST_OPTIMIZATIONS:
                limits = {"what": "blueprint optimizations", "limit": MOST_OPTIMIZATIONS}
                raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(**limits))
            arn = self._shared.add(OPTIMIZATION, params)
            course = self._shared.emulator.faults.course_of_job(first_key)
            job = self._made[arn] = Optimization(arn, params, blueprint, schema, course)
        if not course.stuck:
            self._lane.submit(job)
        return {"invocationArn": arn}

    def status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of an optimization."""
        job = self._made.get(params["invocationArn"])
        if job is None:
            raise not_found(params["invocationArn"])
        status = job.status
        answer: dict[str, Any] = {"status": str(status)}
        if status is JobStatus.SUCCESS:
            answer["outputConfiguration"] = {"s3Object": {"s3Uri": job.results_uri}}
        elif status.is_terminal:
            answer |= {"errorType": job.error_type, "errorMessage": job.error_message}
        return answer

    def _run(self, job: Optimization) -> None:
        settings, cancelled = self._shared.emulator.settings, self._shared.cancelled
        if cancelled.wait(settings.created_seconds):
            return
        job.status = JobStatus.IN_PROGRESS
        if cancelled.wait(settings.in_progress_seconds + job.course.extra_seconds):
            return
        if job.course.end is not None:
            job.fail(JobStatus(job.course.end), job.course.error_type, job.course.error_message)
            return
        try:
            self._finish(job, [self._score(job, sample) for sample in job.params["samples"]])
        except InputError as error:
            job.fail(JobStatus.CLIENT_ERROR, error.error_type, error.error_message)
        except (ApiError, StorageError, ValueError, RecursionError) as error:
            job.fail(JobStatus.CLIENT_ERROR, assumptions.OPTIMIZATION_ERROR_TYPE, str(error)[:1000])
        except Exception as error:
            logger.exception("The emulator could not finish %s", job.arn)
            job.fail(JobStatus.SERVICE_ERROR, assumptions.INTERNAL_ERROR_TYPE, f"{type(error).__name__}: {error}")

    def _score(self, job: Optimization, sample: Mapping[str, Any]) -> Score:
        asset, truth = sample["assetS3Object"], json.loads(self._shared.read_object(sample["groundTruthS3Object"]))
        if not isinstance(truth, dict):
            uri = sample["groundTruthS3Object"]["s3Uri"]
            raise InputError(assumptions.OPTIMIZATION_ERROR_TYPE, f"{uri} is no JSON object of expected values.")
        asset_uri = S3Uri.parse(asset["s3Uri"])
        request = ProcessingRequest(
            bucket=asset_uri.bucket,
            key=asset_uri.key,
            data=self._shared.read_object(asset),
            blueprint_arns=(job.blueprint.arn,),
            region=self._shared.region,
            account=self._shared.account,
            made_blueprints=(MadeBlueprint(job.blueprint.arn, job.blueprint.name, job.schema, job.blueprint.type),),
        )
        processed = self._shared.emulator.process(request)
        custom = next((each.custom for asset in processed.assets for each in asset.segments if each.custom), {})
        return score(truth.get("inference_result", truth), custom)

    def _finish(self, job: Optimization, scores: list[Score]) -> None:
        metrics = {
            name: round(sum(values) / len(values), 4)
            for name, values in (
                ("confidence", [score.confidence for score in scores]),
                ("exactMatch", [score.exact_match for score in scores]),
                ("f1", [score.f1 for score in scores]),
            )
        }
        side = {"schema": job.schema, "aggregateMetrics": metrics}
        folder = S3Uri.parse(job.params["outputConfiguration"]["s3Object"]["s3Uri"])
        uri = S3Uri(folder.bucket, "/".join(filter(None, (folder.key.rstrip("/"), RESULTS_FILE))))
        document = {"evaluationComparison": {"before": side, "after": side}}
        if self._shared.cancelled.is_set():
            return
        self._shared.storage.write(uri, json.dumps(document).encode())
        self._shared.storage.announce(uri)
        job.blueprint.optimization = {
            "optimizationSamples": job.params["samples"],
            "optimizationTime": datetime.now(timezone.utc).isoformat(),
        }
        job.results_uri = str(uri)
        job.status = JobStatus.SUCCESS


def score(truth: Any, custom: Mapping[str, Any]) -> Score:
    """
    Score what was found in one sample.

    :param truth: the expected values, in the shape of ``inference_result``.
    :param custom: a custom output; empty where the blueprint did not match.
    """
    expected, found = dict(_leaves(truth)), dict(_leaves(custom.get("inference_result", {})))
    pairs = [(value, found.get(path, "")) for path, value in expected.items()]
    confidences = list(_confidences(custom.get("explainability_info", [])))
    return Score(
        confidence=sum(confidences) / len(confidences) if confidences else 0.0,
        exact_match=sum(value == other for value, other in pairs) / len(pairs) if pairs else 0.0,
        f1=sum(_f1(value, other) for value, other in pairs) / len(pairs) if pairs else 0.0,
    )


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, (*path, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _leaves(member, (*path, index))
    else:
        yield path, "" if value is None else str(value).strip()


def _confidences(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        if isinstance(value.get("confidence"), (int, float)):
            yield float(value["confidence"])
        else:
            for member in value.values():
                yield from _confidences(member)
    elif isinstance(value, list):
        for member in value:
            yield from _confidences(member)


def _f1(expected: str, found: str) -> float:
    """Compare two texts by their words."""
    if expected == found:
        return 1.0
    wanted, given = Counter(_WORD.findall(expected.lower())), Counter(_WORD.findall(found.lower()))
    common = (wanted & given).total()
    return 2 * common / (wanted.total() + given.total()) if common else 0.0


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
