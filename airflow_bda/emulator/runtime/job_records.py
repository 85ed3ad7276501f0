"""
One account's jobs in one region: what is known of each, which client token made it, and the files that it leaves.

The layout of the files is the one recorded from the service: the prefix as given, a slash, the job's id; so that a
prefix that ends in a slash gives ``//``. https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from hashlib import sha256
from threading import Event, RLock
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.api_errors import ApiError, invocation_not_found, validation_error
from airflow_bda.emulator.core.faults import JobCourse
from airflow_bda.emulator.documents.contract import ProjectConfiguration
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.documents.contract import MadeBlueprint, ProcessedInput, SegmentOutput
    from airflow_bda.service.arns import Arn
    from airflow_bda.service.s3 import Modality

METADATA_FILE = "job_metadata.json"
# Written, empty, when a job starts: three public sources list it.
_ACCESS_CHECK = "0/.s3_access_check"
# The status in this file is a third spelling: the API says Success, an event SUCCESS.
_PROCESSED = "PROCESSED"
_NO_PROJECT = ProjectConfiguration()
# With these, there is a custom output.
_MATCHED = frozenset({"MATCH", "FALLBACK"})


@dataclass(frozen=True, slots=True)
class JobOrder:
    """
    What a caller asked for, checked and looked up.

    :param digest: of the request without its client token: two requests are the same when their digests are.
    :param output_uri: where the results go, as the caller wrote it.
    :param blueprint_arns: the blueprints to apply; the request's, else its project's.
    :param made_blueprints: those of them that were made in the control plane, as they were at the invoke.
    :param project: what the project asked for at the invoke.
    :param sends_events: whether the request asks for events on EventBridge.
    """

    arn: Arn
    digest: bytes
    input_uri: S3Uri
    output_uri: str
    modality: Modality
    client_token: str | None = None
    project_arn: str | None = None
    blueprint_arns: tuple[str, ...] = ()
    made_blueprints: tuple[MadeBlueprint, ...] = ()
    project: ProjectConfiguration = field(default_factory=ProjectConfiguration)
    course: JobCourse = field(default_factory=JobCourse)
    sends_events: bool = False


def digest_of(request: Mapping[str, Any]) -> bytes:
    """Return the same 32 bytes for equal requests: a job keeps these instead of the request."""
    return sha256(json.dumps(request, sort_keys=True).encode()).digest()


@dataclass(slots=True)
class Job:
    """
    One invocation. Only the thread that runs it moves it on.

    :param modality: what the input turned out to be; None until it was read.
    :param notes: what the emulator left out of its results.
    :param polls: how often its status was asked for.
    :param cancelled: set when the emulator is reset; all jobs of a book share it.
    """

    order: JobOrder
    tags: dict[str, str]
    cancelled: Event
    status: JobStatus = JobStatus.CREATED
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    metadata_uri: S3Uri | None = None
    error_type: str | None = None
    error_message: str | None = None
    modality: Modality | None = None
    notes: tuple[str, ...] = ()
    polls: int = 0

    @property
    def arn(self) -> str:
        """The invocation's ARN."""
        return str(self.order.arn)

    def __str__(self) -> str:
        return self.arn

    def start(self) -> None:
        """Move on to ``InProgress``."""
        self.started_at = datetime.now(timezone.utc)
        self.status = JobStatus.IN_PROGRESS

    def end(
        self,
        status: JobStatus,
        *,
        metadata_uri: S3Uri | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
    ) -> None:
        """End in ``Success`` with the URI of the results, or in ``ClientError`` or ``ServiceError`` with an error."""
        self.metadata_uri = metadata_uri
        self.error_type, self.error_message = error_type, error_message
        self.ended_at = datetime.now(timezone.utc)
        # What only the work needed: each schema may have 100 KB.
        self.order = replace(self.order, made_blueprints=(), project=_NO_PROJECT)
        # The status last: a poll that sees it sees the rest too.
        self.status = status


class JobBook:
    """The jobs of one account in one region: the open ones, and the last ones that have ended."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._jobs: dict[str, Job] = {}
        self._by_token: dict[str, Job] = {}
        # Apart from the rest, so that an invoke does not look at all the jobs that have ended.
        self._open: list[Job] = []
        self._ended: deque[Job] = deque()
        self._forgotten = 0
        self.cancelled = Event()

    def add(self, order: JobOrder, tags: dict[str, str], *, limit: int, kept: int) -> tuple[Job, bool]:
        """
        Add a job, unless its client token already has one.

        :param limit: how many jobs may be open at once.
        :param kept: how many ended jobs stay; the oldest of the others are forgotten, with their client tokens.
        :return: the job, and whether it is new.
        :raises ApiError: when too many jobs are open, or the token stands for another request.
        """
        with self._lock:
            if known := self.find_by_token(order.client_token, order.digest):
                return known, False
            self._forget_old(kept)
            if len(self._open) >= limit:
                raise ApiError(
                    "ServiceQuotaExceededException", assumptions.TOO_MANY_OPEN_JOBS_MESSAGE.format(limit=limit)
                )
            job = self._jobs[str(order.arn)] = Job(order, tags, self.cancelled)
            self._open.append(job)
            if order.client_token is not None:
                self._by_token[order.client_token] = job
            return job, True

    def _forget_old(self, kept: int) -> None:
        was_open, self._open = self._open, []
        for job in was_open:
            (self._ended if job.status.is_terminal else self._open).append(job)
        while len(self._ended) > kept:
            old = self._ended.popleft()
            self._forgotten += 1
            del self._jobs[old.arn]
            if old.order.client_token is not None:
                del self._by_token[old.order.client_token]

    def find_by_token(self, token: str | None, digest: bytes) -> Job | None:
        """
        Return the job that a client token made before.

        :raises ApiError: when it made it of another request.
        """
        with self._lock:
            job = self._by_token.get(token) if token is not None else None
        if job is not None and job.order.digest != digest:
            raise validation_error(assumptions.TOKEN_MISMATCH_MESSAGE)
        return job

    def poll(self, arn: str) -> Job:
        """
        Return a job whose status is asked for, and count that.

        :raises ApiError: when there is none, or it is still to be hidden.
        """
        with self._lock:
            job = self.get(arn)
            job.polls += 1
            if job.polls <= job.order.course.hidden_polls:
                raise invocation_not_found(arn)
            return job

    def get(self, arn: str) -> Job:
        """
        Return a job.

        :raises ApiError: when there is none.
        """
        with self._lock:
            if arn not in self._jobs:
                raise invocation_not_found(arn, forgotten=self._forgotten)
            return self._jobs[arn]

    def all(self) -> list[Job]:
        """Return the jobs, oldest first."""
        with self._lock:
            return list(self._jobs.values())


@dataclass(frozen=True)
class OutputFiles:
    """
    What to write.

    :param metadata_uri: where ``job_metadata.json`` stands; it is among the files, and comes last.
    :param files: the content of each file, by its URI.
    """

    metadata_uri: S3Uri
    files: Mapping[S3Uri, bytes]


def job_folder(output_uri: str, job_id: str) -> S3Uri:
    """
    Return the folder of a job.

    :param output_uri: ``outputConfiguration.s3Uri`` as the caller wrote it, trailing slash included.
    """
    prefix = S3Uri.parse(output_uri)
    # Whether a bucket without a prefix gets a slash is not known; a key that starts with one would be a surprise.
    return S3Uri(prefix.bucket, f"{prefix.key}/{job_id}" if prefix.key else job_id)


def access_check(output_uri: str, job_id: str) -> S3Uri:
    """Return the URI of the empty object that a job writes when it starts."""
    folder = job_folder(output_uri, job_id)
    return S3Uri(folder.bucket, f"{folder.key}/{_ACCESS_CHECK}")


def lay_out(*, output_uri: str, job_id: str, input_uri: S3Uri | None, processed: ProcessedInput) -> OutputFiles:
    """
    Arrange the results of a job.

    :param input_uri: the input object; None where the bytes came in the call.
    """
    folder = job_folder(output_uri, job_id)
    files: dict[S3Uri, bytes] = {}
    assets = []
    for asset_id, asset in enumerate(processed.assets):
        segments = [
            _lay_out_segment(files, segment, S3Uri(folder.bucket, f"{folder.key}/{asset_id}"), index)
            for index, segment in enumerate(asset.segments)
        ]
        assets.append(
            {
                "asset_id": asset_id,
                **({"asset_input_path": {"s3_bucket": input_uri.bucket, "s3_key": input_uri.key}} if input_uri else {}),
                "segment_metadata": segments,
            }
        )
    metadata_uri = S3Uri(folder.bucket, f"{folder.key}/{METADATA_FILE}")
    files[metadata_uri] = to_json(
        {
            "job_id": job_id,
            "job_status": _PROCESSED,
            "semantic_modality": str(processed.modality),
            "output_metadata": assets,
        }
    )
    return OutputFiles(metadata_uri, files)


def _lay_out_segment(files: dict[S3Uri, bytes], segment: SegmentOutput, asset: S3Uri, index: int) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if segment.standard is not None:
        uri = S3Uri(asset.bucket, f"{asset.key}/standard_output/{index}/result.json")
        files[uri] = to_json(segment.standard)
        described["standard_output_path"] = str(uri)
    for name, content in segment.files.items():
        files[S3Uri(asset.bucket, f"{asset.key}/standard_output/{index}/assets/{name}")] = content
    if segment.custom is not None and segment.custom_status in _MATCHED:
        uri = S3Uri(asset.bucket, f"{asset.key}/custom_output/{index}/result.json")
        files[uri] = to_json(segment.custom)
        described["custom_output_path"] = str(uri)
    if segment.custom_status is not None:
        described["custom_output_status"] = segment.custom_status
    return described


def to_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as the files hold it."""
    return json.dumps(document, ensure_ascii=False).encode()
