"""The state of the emulator as data: its jobs, their files and reports, and how often each operation was called."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from moto.core.base_backend import backend_lock

from airflow_bda.emulator.control_plane.control_api import OPERATIONS as CONTROL_OPERATIONS
from airflow_bda.emulator.control_plane.libraries import CONTROL_SERVICE
from airflow_bda.emulator.core.answering import model_of
from airflow_bda.emulator.core.objects import Storage, StorageError
from airflow_bda.emulator.runtime.job_records import job_folder
from airflow_bda.emulator.runtime.runtime_api import OPERATIONS as RUNTIME_OPERATIONS
from airflow_bda.emulator.runtime.runtime_api import BdaRuntimeBackend, bedrockdataautomationruntime_backends, iso_time
from airflow_bda.report import ReportedJob, build_report
from airflow_bda.service.model import SERVICE
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.metadata import JobMetadata
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_bda.emulator.runtime.job_records import Job


@dataclass(frozen=True)
class JobView:
    """
    One job, as it was when the view was made.

    :param job_id: the last part of its ARN, a UUID.
    :param status: as the API writes it.
    :param output_s3_uri: the prefix, as the caller wrote it.
    :param output_metadata_uri: the URI of ``job_metadata.json``, on success.
    :param notes: what the emulator left out of the results that the service would have written.
    :param polls: how often its status was asked for.
    :param created_at: in UTC; the others too.
    """

    job_id: str
    invocation_arn: str
    account: str
    region: str
    status: str
    modality: str
    input_s3_uri: str
    output_s3_uri: str
    output_metadata_uri: str | None
    project_arn: str | None
    blueprint_arns: tuple[str, ...]
    client_token: str | None
    tags: Mapping[str, str]
    notes: tuple[str, ...]
    polls: int
    error_type: str | None
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> JobView:
        """Make a view of a job."""
        order = job.order
        return cls(
            job_id=order.arn.resource_id,
            invocation_arn=job.arn,
            account=order.arn.account,
            region=order.arn.region,
            status=str(job.status),
            modality=str(job.modality or order.modality),
            input_s3_uri=str(order.input_uri),
            output_s3_uri=order.output_uri,
            output_metadata_uri=str(job.metadata_uri) if job.metadata_uri else None,
            project_arn=order.project_arn,
            blueprint_arns=order.blueprint_arns,
            client_token=order.client_token,
            tags=dict(job.tags),
            notes=job.notes,
            polls=job.polls,
            error_type=job.error_type,
            error_message=job.error_message,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the job as ``GET /_bda/jobs`` has it; times are ISO strings."""
        times = {name: getattr(self, name) for name in ("created_at", "started_at", "ended_at")}
        return asdict(self) | {name: moment and iso_time(moment) for name, moment in times.items()}


def job_views(*, newest: int | None = None) -> list[JobView]:
    """
    Return the jobs of all accounts and regions, oldest first.

    :param newest: how many at the most; None for all.
    """
    jobs = [job for backend in _backends() for job in backend.book.all()]
    jobs.sort(key=lambda job: job.created_at)
    return [JobView.of(job) for job in jobs[-newest if newest else 0 :]]


def call_counts() -> dict[str, int]:
    """Return how often each operation was called, refused calls included."""
    counts: Counter[str] = Counter()
    for backend in _backends():
        counts.update(backend.limiter.calls)
    return dict(sorted(counts.items()))


def operations() -> tuple[int, int]:
    """Count the operations of both APIs: how many are answered here, and how many the installed botocore has."""
    answered = known = 0
    for service, own in ((SERVICE, RUNTIME_OPERATIONS), (CONTROL_SERVICE, CONTROL_OPERATIONS)):
        names = set(model_of(service).operation_names)
        answered, known = answered + len(names & set(own)), known + len(names)
    return answered, known


def job_report(jobs: Sequence[JobView]) -> str | None:
    """Return the report on jobs as HTML; None where none of them has results."""
    reported = [found for found in map(_reported, jobs) if found is not None]
    return build_report(reported) if reported else None


def _reported(job: JobView) -> ReportedJob | None:
    if job.output_metadata_uri is None:
        return None
    storage = Storage(job.account, job.invocation_arn.split(":")[1])

    def read(uri: str) -> bytes:
        return storage.read(S3Uri.parse(uri))

    metadata = JobMetadata.parse(read(job.output_metadata_uri), job.output_metadata_uri)
    result = assemble_result(metadata, {uri: read(uri) for uri in metadata.own_output_uris()})
    return ReportedJob(result, read_input=read)


def job_files(job: JobView) -> dict[str, str]:
    """Return the text of the files that a job left, by their URIs."""
    folder = job_folder(job.output_s3_uri, job.job_id)
    storage = Storage(job.account, job.invocation_arn.split(":")[1])
    files = {}
    for key in storage.keys(S3Uri(folder.bucket, f"{folder.key}/")):
        uri = S3Uri(folder.bucket, key)
        try:
            files[str(uri)] = storage.read(uri).decode(errors="replace")
        except StorageError:
            # Deleted since it was listed.
            continue
    return files


def _backends() -> list[BdaRuntimeBackend]:
    # moto makes backends while others look at them; this is the lock that it makes them under.
    with backend_lock:
        regions_of_accounts = list(bedrockdataautomationruntime_backends.values())
        return [backend for regions in regions_of_accounts for backend in regions.values()]
