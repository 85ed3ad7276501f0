"""
The function for job events from EventBridge: ``airflow_bda.aws_lambda.job_events.handle``.

It writes one log line and one set of metrics for each event, and returns the event with the package's names: the
invocation's ARN, its status, the URI of ``job_metadata.json``. A rule may invoke it with single events, or a queue of
SQS or a topic of SNS with batches of them; from a queue, what cannot be read goes back to it, and in the end to its
dead-letter queue. EventBridge may deliver an event twice: the line's ``key`` is the same then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_bda.aws_lambda.telemetry import Metric, Telemetry
from airflow_bda.service import json_reading
from airflow_bda.service.errors import BdaError
from airflow_bda.service.events import SOURCE, JobEvent, parse_records
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from airflow_bda.aws_lambda.telemetry import Context

_METRIC_OF_STATUS = {
    JobStatus.CREATED: "JobsCreated",
    JobStatus.SUCCESS: "JobsSucceeded",
    JobStatus.CLIENT_ERROR: "JobsFailedByInput",
    JobStatus.SERVICE_ERROR: "JobsFailedByService",
}
_OTHER = "JobEventsNotKnown"


def handle(event: Any, context: Context) -> dict[str, Any]:
    """
    Take note of one event, or of a batch of them.

    :return: for one event, what it says; for a batch from SQS, ``batchItemFailures`` with those that could not be read.
    :raises BdaError: when nothing of it can be read, so that Lambda counts it as failed.
    """
    telemetry = Telemetry(context)
    records = json_reading.mappings(event, "Records") if isinstance(event, Mapping) else ()
    if any(record.get("eventSource") == "aws:sqs" for record in records):
        # An id that is no text becomes null, by which Lambda takes the whole batch for failed: nothing is lost.
        unread = [json_reading.text(record, "messageId") for record in records if not _could_note(record, telemetry)]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in unread]}
    read = [_of_bda(one) for one in parse_records(event if isinstance(event, Mapping) else {})]
    noted = [one for one in read if _is_noted(one, telemetry)]
    if not noted:
        raise next((one for one in read if isinstance(one, BdaError)), BdaError("The event is not a job event."))
    told = [one.to_dict() for one in noted if isinstance(one, JobEvent)]
    return told[0] if len(read) == 1 else {"events": told}


def _could_note(record: Mapping[str, Any], telemetry: Telemetry) -> bool:
    try:
        (read,) = parse_records(record)
    except BdaError as error:
        read = error
    return _is_noted(_of_bda(read), telemetry, messageId=record.get("messageId"))


def _of_bda(read: JobEvent | BdaError) -> JobEvent | BdaError:
    """Return an error in the place of an event that another service sent, such as S3's "Object Created"."""
    if isinstance(read, BdaError):
        return read
    if read.source == SOURCE:
        return read if read.job_id or not read.is_known else BdaError("The event names no job: it has no valid job_id.")
    return BdaError(
        f"The event {read.detail_type!r} is from {read.source!r}, and this function takes note of BDA's events.",
        remedy=f"Let the rule match the source {SOURCE!r}. What starts jobs is airflow_bda.aws_lambda.handler.handle.",
    )


def _is_noted(read: JobEvent | BdaError, telemetry: Telemetry, **facts: Any) -> bool:
    """Log one record; one that cannot be read, is not BDA's, or is about another account, fails alone."""
    if isinstance(read, JobEvent) and telemetry.is_own(read.account, read.region):
        _note(read, telemetry)
        return True
    if isinstance(read, JobEvent):
        telemetry.error("An event of another account or region.", account=read.account, region=read.region, **facts)
    else:
        telemetry.error(str(read), **facts)
    return False


def _note(event: JobEvent, telemetry: Telemetry) -> None:
    facts = event.to_dict()
    if not event.is_known:
        telemetry.warning("An event of a kind that this release does not know.", event=facts)
    elif event.status in {JobStatus.CLIENT_ERROR, JobStatus.SERVICE_ERROR}:
        telemetry.error("A job failed.", event=facts)
    else:
        telemetry.info(event.detail_type, event=facts)
    metrics = [Metric(_METRIC_OF_STATUS[event.status] if event.is_known else _OTHER, 1)]
    if event.duration_seconds is not None:
        metrics.append(Metric("JobDuration", event.duration_seconds, "Seconds"))
    telemetry.count(metrics, modality=event.modality)
