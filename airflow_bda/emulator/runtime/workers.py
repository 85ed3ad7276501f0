"""
Jobs at work: as many of each modality at once as the service allows, the others waiting in ``Created``.

And the events of EventBridge about them: created, succeeded, failed; on the default bus, for jobs that asked for them.
The events are shaped like the samples of
https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-eventbridge-how-it-works.html: no ARN, no resources, and
words for the status and the modality that neither the API nor the files use. As in AWS, an event may come twice, late
or never: here when a fault says so.
"""

from __future__ import annotations

import logging
import math
import time
from datetime import datetime, timezone
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.core.base_backend import backend_lock

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.emulator import Lane
from airflow_bda.emulator.core.objects import Storage, StorageError
from airflow_bda.emulator.documents.contract import ProcessingRequest
from airflow_bda.emulator.documents.reading.input_limits import InputError
from airflow_bda.emulator.runtime.job_records import OutputFiles, access_check, job_folder, lay_out
from airflow_bda.service.events import SOURCE, STATUS_OF_DETAIL_TYPE
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from airflow_bda.emulator.core.emulator import Emulator
    from airflow_bda.emulator.core.faults import FaultPlan
    from airflow_bda.emulator.runtime.job_records import Job
    from airflow_bda.service.s3 import Modality, S3Uri

logger = logging.getLogger(__name__)

_DETAIL_TYPE_OF_STATUS = {status: detail_type for detail_type, status in STATUS_OF_DETAIL_TYPE.items()}
# A call has one input, so that a job has one asset.
_ASSET_ID = 0


class JobFailedError(Exception):
    """A job cannot continue; its parts are those of its status."""

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
        # moto resets its state under this lock: a job of the old state must not write into the new one.
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


class EventSender:
    """
    Sends events about jobs to EventBridge; one of the emulator's listeners.

    :param faults: which events are lost, doubled or late.
    """

    def __init__(self, faults: FaultPlan) -> None:
        self._faults = faults
        self._lock = Lock()
        self._held: dict[str, dict[str, Any]] = {}

    def job_created(self, job: Job) -> None:
        """Send the event of a job that was accepted."""
        self._report(job, JobStatus.CREATED)

    def job_ended(self, job: Job) -> None:
        """Send the event of a job that has ended, then that of its creation where a fault held it back."""
        self._report(job, job.status)
        with self._lock:
            held = self._held.pop(job.arn, None)
        if held is not None:
            _send(held)

    def _report(self, job: Job, status: JobStatus) -> None:
        if not job.order.sends_events:
            return
        event = event_of(job, status)
        course = self._faults.course_of_event(job.order.input_uri.key, str(status))
        if course.is_held:
            with self._lock:
                self._held[job.arn] = event
            return
        for _ in range(course.deliveries):
            _send_later(event, course.delay_seconds)


def event_of(job: Job, status: JobStatus) -> dict[str, Any]:
    """Return the event about a job that has come to *status*."""
    order = job.order
    folder = job_folder(order.output_uri, order.arn.resource_id)
    duration = {}
    if job.ended_at is not None:
        duration["job_duration_in_seconds"] = math.ceil((job.ended_at - job.created_at).total_seconds())
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": _DETAIL_TYPE_OF_STATUS[status],
        "source": SOURCE,
        "account": order.arn.account,
        "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": order.arn.region,
        "resources": [],
        "detail": {
            "job_id": order.arn.resource_id,
            "job_status": assumptions.EVENT_STATUSES.get(str(status), str(status).upper()),
            "semantic_modality": str(job.modality or order.modality).title(),
            "input_s3_object": {"s3_bucket": order.input_uri.bucket, "name": order.input_uri.key},
            "output_s3_location": {"s3_bucket": folder.bucket, "name": f"{folder.key}/{_ASSET_ID}"},
            "error_message": job.error_message or "",
            **duration,
        },
    }


def _send_later(event: dict[str, Any], seconds: float) -> None:
    if not seconds:
        _send(event)
        return
    timer = Timer(seconds, _send, [event])
    timer.daemon = True
    timer.start()


def _send(event: dict[str, Any]) -> None:
    # Not before the first event: four services of moto's are loaded for it.
    from airflow_bda.emulator.aws.event_bus import send_to_rules

    send_to_rules(event)
