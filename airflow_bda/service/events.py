"""
What EventBridge tells of a job: created, succeeded, failed.

An event names the job by its bare id and has a spelling of its own for the status, so it is turned into the terms of
the rest here. https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-bedrock.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-eventbridge-how-it-works.html. Delivery is best effort:
an event may come twice, late or never.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from airflow_bda.service import json_reading
from airflow_bda.service.arns import INVOCATION, Arn, partition_of
from airflow_bda.service.errors import BdaError
from airflow_bda.service.formats import Modality
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import JobStatus

SOURCE = "aws.bedrock"
DETAIL_TYPE_PREFIX = "Bedrock Data Automation Job "
STATUS_OF_DETAIL_TYPE: Mapping[str, JobStatus] = MappingProxyType(
    {
        f"{DETAIL_TYPE_PREFIX}Created": JobStatus.CREATED,
        f"{DETAIL_TYPE_PREFIX}Succeeded": JobStatus.SUCCESS,
        f"{DETAIL_TYPE_PREFIX}Failed With Client Error": JobStatus.CLIENT_ERROR,
        f"{DETAIL_TYPE_PREFIX}Failed With Service Error": JobStatus.SERVICE_ERROR,
    }
)

_METADATA_FILE = "job_metadata.json"
# What carries an event: a message of SQS as its API gives it, one as Lambda gives it, a notification of SNS.
_WRAPPERS = ("Body", "body", "Message")
_DEEPEST_WRAPPING = 4


@dataclass(frozen=True)
class JobEvent:
    """
    One event of one job. What the event does not say is None.

    :param id: the event's own id; a second delivery has the same one.
    :param detail_type: as the service writes it.
    :param status: by the detail-type, which says more than the word in the event; ``UNKNOWN`` for a new kind of event.
    :param status_text: the event's own word for the status.
    :param invocation_arn: rebuilt: the event holds its parts only.
    :param time: when it was sent, in ISO 8601, as EventBridge writes it.
    :param output_s3_uri: where the outputs of the job's asset are.
    :param output_metadata_uri: the URI of ``job_metadata.json``, on success.
    :param duration_seconds: how long the job took; not every event tells.
    :param key: the same for every delivery of what happened to the job, and for nothing else: de-duplicate by it.
    """

    id: str | None
    detail_type: str
    status: JobStatus
    status_text: str
    job_id: str | None
    invocation_arn: str | None
    account: str | None
    region: str | None
    time: str | None
    modality: Modality | None
    input_s3_uri: str | None
    output_s3_uri: str | None
    output_metadata_uri: str | None
    error_message: str | None
    duration_seconds: float | None
    key: str

    @classmethod
    def parse(cls, content: str | bytes | Mapping[str, Any]) -> JobEvent:
        """
        Read one event, as EventBridge gives it or inside a message of SQS or SNS.

        :param content: JSON text, or what was read from it already.
        :raises BdaError: when it is not a JSON object, or no EventBridge event at all. An event of another source or
            of an unknown kind is no error: :attr:`is_known` tells.
        """
        source = _unwrap(content)
        detail = json_reading.mapping(source, "detail")
        detail_type = json_reading.text(source, "detail-type") or ""
        status_text = json_reading.text(detail, "job_status") or ""
        status = STATUS_OF_DETAIL_TYPE.get(detail_type) or JobStatus.parse(status_text)
        output = _location(detail, "output_s3_location")
        job_id = json_reading.text(detail, "job_id")
        arn = _invocation_arn(source, job_id)
        return cls(
            id=json_reading.text(source, "id"),
            detail_type=detail_type,
            status=status,
            status_text=status_text,
            job_id=job_id,
            invocation_arn=arn,
            account=json_reading.text(source, "account"),
            region=json_reading.text(source, "region"),
            time=json_reading.text(source, "time"),
            modality=Modality.parse(json_reading.text(detail, "semantic_modality")),
            input_s3_uri=_uri(_location(detail, "input_s3_object")),
            output_s3_uri=_uri(output),
            output_metadata_uri=_metadata_uri(output, job_id) if status is JobStatus.SUCCESS else None,
            error_message=json_reading.text(detail, "error_message"),
            duration_seconds=json_reading.number(detail, "job_duration_in_seconds"),
            key=_key(source, arn or job_id, detail_type),
        )

    @property
    def is_known(self) -> bool:
        """Whether it is one of the four events that BDA is known to send."""
        return self.detail_type in STATUS_OF_DETAIL_TYPE

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.status.is_terminal

    def to_dict(self) -> dict[str, Any]:
        """Give what is known as JSON's own types: ids, URIs and words, never a document's contents."""
        known: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        return known | {name: str(known[name]) for name in ("status", "modality") if name in known}


def parse_events(content: str | bytes | Mapping[str, Any]) -> tuple[JobEvent, ...]:
    """
    Read the events of a batch from SQS or SNS, as Lambda gets it, or the one event that there is.

    :raises BdaError: as :meth:`JobEvent.parse`, at the first that is none.
    """
    source = _object(content)
    if isinstance(source.get("Records"), list):
        return tuple(JobEvent.parse(record.get("Sns") or record) for record in json_reading.mappings(source, "Records"))
    return (JobEvent.parse(source),)


def _unwrap(content: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    source = _object(content)
    for _ in range(_DEEPEST_WRAPPING):
        if "detail-type" in source:
            return source
        carried = next((source[name] for name in _WRAPPERS if isinstance(source.get(name), (str, Mapping))), None)
        if carried is None:
            break
        source = _object(carried)
    raise _no_event("it has no detail-type")


def _object(content: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return json_reading.document(content, "the event")
    except BdaError:
        raise _no_event("it is not a JSON object") from None


def _no_event(why: str) -> BdaError:
    return BdaError(
        f"What came is no EventBridge event: {why}.",
        remedy=f"Let the rule match the source {SOURCE!r}, and pass the event on as it is, without a transformer.",
    )


def _invocation_arn(source: Mapping[str, Any], job_id: str | None) -> str | None:
    region, account = json_reading.text(source, "region"), json_reading.text(source, "account")
    if not (region and account and job_id):
        return None
    return str(Arn(partition_of(region), region, account, INVOCATION, job_id))


def _location(detail: Mapping[str, Any], name: str) -> S3Uri | None:
    place = json_reading.mapping(detail, name)
    bucket = json_reading.text(place, "s3_bucket")
    # Events say name; job_metadata.json says s3_key.
    return (
        S3Uri(bucket, json_reading.text(place, "name") or json_reading.text(place, "s3_key") or "") if bucket else None
    )


def _uri(location: S3Uri | None) -> str | None:
    return str(location) if location else None


def _metadata_uri(output: S3Uri | None, job_id: str | None) -> str | None:
    """Give the file in the job's folder; the event names the folder of the job's asset, which is inside."""
    if output is None or not output.key:
        return None
    folders = output.key.rstrip("/").split("/")
    # The job's folder, should the service name it itself one day; otherwise the parent of what it names.
    job_folder = folders if folders[-1] == job_id else folders[:-1]
    return str(S3Uri(output.bucket, "/".join([*job_folder, _METADATA_FILE])))


def _key(source: Mapping[str, Any], job: str | None, detail_type: str) -> str:
    if job:
        return f"{job} {detail_type}"
    own = json_reading.text(source, "id")
    return own or hashlib.sha256(json.dumps(source, sort_keys=True, default=str).encode()).hexdigest()
