"""What came of each document: the state of its DAG run, and what is in the files that the run produced."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.metadata import JobMetadata
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_bda.demo.inputs import DemoFile
    from airflow_bda.emulator.core.objects import Storage
    from airflow_bda.emulator.server.views import JobView
    from airflow_bda.service.results.job_result import JobResult

SUCCEEDED = "success"


@dataclass(frozen=True)
class Outcome:
    """
    One document's end.

    :param state: of the DAG run, in Airflow's words.
    :param seconds: from the start of its first task to the end of its last one.
    :param invocation_arn: the job; None where none was started.
    :param result: what the job found; None where it failed.
    :param folder: the local copy of the job's folder.
    :param error: what went wrong, in one line.
    """

    file: DemoFile
    state: str
    seconds: float | None = None
    invocation_arn: str | None = None
    result: JobResult | None = None
    folder: Path | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the DAG run did."""
        return self.state == SUCCEEDED


def conclude(
    file: DemoFile, news: Mapping[str, Any], *, storage: Storage, results: Path, job: JobView | None
) -> Outcome:
    """
    Read what a finished DAG run left.

    :param news: what the run said of itself; its URI of ``job_metadata.json`` is the XCom of the task that waited.
    :param storage: the S3 that the job wrote to.
    :param results: the folder for local copies.
    :param job: the emulator's view of the job; None where none was started.
    """
    facts = {name: news.get(name) for name in ("seconds", "invocation_arn", "error")}
    if facts["error"] is None and job is not None and job.error_message:
        facts["error"] = f"{job.status}: {job.error_message}"
    uri = news.get("metadata_uri")
    if not uri:
        return Outcome(file, news["state"], **facts)
    metadata = JobMetadata.parse(storage.read(S3Uri.parse(uri)), uri)
    documents = {each: storage.read(S3Uri.parse(each)) for each in metadata.own_output_uris()}
    folder = results / file.key
    _copy_job(S3Uri.parse(uri), folder, storage)
    return Outcome(file, news["state"], result=assemble_result(metadata, documents), folder=folder, **facts)


def _copy_job(metadata: S3Uri, folder: Path, storage: Storage) -> None:
    """Copy the folder that ``job_metadata.json`` is in, in place of an earlier run's copy."""
    shutil.rmtree(folder, ignore_errors=True)
    prefix = metadata.key.rpartition("/")[0] + "/"
    for key in storage.keys(S3Uri(metadata.bucket, prefix)):
        target = folder / key.removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(storage.read(S3Uri(metadata.bucket, key)))
