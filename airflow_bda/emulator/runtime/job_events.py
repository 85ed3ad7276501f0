"""
What EventBridge is told of jobs: created, succeeded, failed; on the default bus, for jobs that asked for it.

Shaped like the samples of https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-eventbridge-how-it-works.html:
no ARN, no resources, words for the status and the modality that neither the API nor the files use. As in AWS, an event
may come twice, late or never: here when a fault says so.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.runtime.jobs import job_folder
from airflow_bda.service.events import SOURCE, STATUS_OF_DETAIL_TYPE
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from airflow_bda.emulator.core.faults import FaultPlan
    from airflow_bda.emulator.runtime.jobs import Job

_DETAIL_TYPE_OF_STATUS = {status: detail_type for detail_type, status in STATUS_OF_DETAIL_TYPE.items()}
# A call has one input, so that a job has one asset.
_ASSET_ID = 0


class EventSender:
    """
    Hears of jobs, and tells EventBridge.

    :param faults: which events are lost, doubled or late.
    """

    def __init__(self, faults: FaultPlan) -> None:
        self._faults = faults
        self._lock = Lock()
        self._held: dict[str, dict[str, Any]] = {}

    def job_created(self, job: Job) -> None:
        """Send the event of a job that was accepted."""
        self._tell(job, JobStatus.CREATED)

    def job_ended(self, job: Job) -> None:
        """Send the event of a job that has ended, then that of its creation where a fault held it back."""
        self._tell(job, job.status)
        with self._lock:
            held = self._held.pop(job.arn, None)
        if held is not None:
            _send(held)

    def _tell(self, job: Job, status: JobStatus) -> None:
        notification = job.order.params.get("notificationConfiguration") or {}
        if not (notification.get("eventBridgeConfiguration") or {}).get("eventBridgeEnabled"):
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
    """Return what is told of a job that has come to *status*."""
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
