"""Jobs at work: as many of each modality at once as the service allows, the others waiting in ``Created``."""

from __future__ import annotations

import logging
import time
from threading import Lock
from typing import TYPE_CHECKING

from moto.core.base_backend import backend_lock

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.lanes import Lane
from airflow_bda.emulator.core.objects import Storage, StorageError
from airflow_bda.emulator.documents.contract import ProcessingRequest
from airflow_bda.emulator.documents.reading.input_limits import InputError
from airflow_bda.emulator.runtime.jobs import OutputFiles, access_check, job_folder, lay_out
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from airflow_bda.emulator.core.state import Emulator
    from airflow_bda.emulator.runtime.jobs import Job
    from airflow_bda.service.formats import Modality
    from airflow_bda.service.s3 import S3Uri

logger = logging.getLogger(__name__)


class JobFailedError(Exception):
    """A job cannot go on; its parts are those of its status."""

    def __init__(self, status: JobStatus, error_type: str, error_message: str) -> None:
        super().__init__(f"{status} ({error_type}): {error_message}")
        self.status = status
        self.error_type = error_type
        self.error_message = error_message


class WorkerPool:
    """
    The lanes of one account and region, one for each modality, in which jobs are run.

    :param emulator: the settings, the processing and the listeners.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._lock = Lock()
        self._lanes: dict[Modality, Lane[Job]] = {}

    def submit(self, job: Job) -> None:
        """Queue a job; it starts when its modality has a place."""
        modality = job.order.modality
        with self._lock:
            if modality not in self._lanes:
                limit = self._emulator.settings.concurrency[modality]
                self._lanes[modality] = Lane(f"bda-{modality}", limit, self._run)
            lane = self._lanes[modality]
        lane.submit(job)

    def _run(self, job: Job) -> None:
        """Run a job from ``Created`` to its final status; stop when it is cancelled."""
        settings = self._emulator.settings
        if job.cancelled.wait(settings.created_seconds):
            return
        job.start()
        started = time.monotonic()
        try:
            self._check_access(job)
            files: OutputFiles | JobFailedError = self._make_files(job)
        except JobFailedError as failure:
            files = failure
        least = settings.in_progress_seconds + job.order.course.extra_seconds
        if job.cancelled.wait(max(0.0, least - (time.monotonic() - started))):
            return
        # moto throws its state away under this lock: a job of the old state must not write into the new one.
        with backend_lock:
            if job.cancelled.is_set():
                return
            written = _finish(job, files)
        for uri in written:
            _storage(job).announce(uri)
        for listener in tuple(self._emulator.listeners):
            listener.job_ended(job)

    def _check_access(self, job: Job) -> None:
        """Write the empty object that the service writes to see whether it may."""
        uri = access_check(job.order.output_uri, job.order.arn.resource_id)
        with backend_lock:
            if job.cancelled.is_set():
                return
            try:
                _storage(job).write(uri, b"")
            except StorageError as error:
                raise _not_writable(error) from error
        _storage(job).announce(uri)

    def _make_files(self, job: Job) -> OutputFiles:
        order = job.order
        if order.course.end is not None:
            raise JobFailedError(JobStatus(order.course.end), order.course.error_type, order.course.error_message)
        try:
            request = ProcessingRequest(
                bucket=order.input_uri.bucket,
                key=order.input_uri.key,
                data=_storage(job).read(order.input_uri),
                blueprint_arns=order.blueprint_arns,
                region=order.arn.region,
                account=order.arn.account,
                made_blueprints=order.made_blueprints,
                project=order.project,
                job_folder=str(job_folder(order.output_uri, order.arn.resource_id)),
            )
            processed = self._emulator.process(request)
            job.modality, job.notes = processed.modality, processed.notes
        except StorageError as error:
            raise JobFailedError(JobStatus.CLIENT_ERROR, assumptions.INPUT_GONE_ERROR_TYPE, str(error)) from error
        except InputError as error:
            raise JobFailedError(JobStatus.CLIENT_ERROR, error.error_type, error.error_message) from error
        except Exception as error:
            logger.exception("The emulator could not process %s", order.input_uri)
            raise JobFailedError(
                JobStatus.SERVICE_ERROR, assumptions.INTERNAL_ERROR_TYPE, f"{type(error).__name__}: {error}"
            ) from error
        return lay_out(
            output_uri=order.output_uri,
            job_id=order.arn.resource_id,
            input_uri=order.input_uri,
            processed=processed,
        )


def _storage(job: Job) -> Storage:
    return Storage(job.order.arn.account, job.order.arn.partition)


def _not_writable(error: StorageError) -> JobFailedError:
    return JobFailedError(JobStatus.CLIENT_ERROR, assumptions.OUTPUT_NOT_WRITABLE_ERROR_TYPE, str(error))


def _finish(job: Job, files: OutputFiles | JobFailedError) -> tuple[S3Uri, ...]:
    """Write a job's files, set its final status, and return the URIs of the files."""
    if isinstance(files, OutputFiles):
        try:
            for uri, content in files.files.items():
                _storage(job).write(uri, content)
        except StorageError as error:
            files = _not_writable(error)
        else:
            job.end(JobStatus.SUCCESS, metadata_uri=files.metadata_uri)
            return tuple(files.files)
    job.end(files.status, error_type=files.error_type, error_message=files.error_message)
    return ()
