"""
Events of a job from EventBridge: created, succeeded, failed.

An event names the job by its bare id and has a spelling of its own for the status, so it is turned into the terms of
the rest here. https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-bedrock.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-eventbridge-how-it-works.html. Delivery is best effort:
an event may come twice, late or never.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from airflow_bda.service import json_reading
from airflow_bda.service.arns import INVOCATION, Arn, partition_of
from airflow_bda.service.errors import BdaError
from airflow_bda.service.s3 import Modality, S3Uri
from airflow_bda.service.safe_values import safe_number, safe_text, safe_value
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
# What may contain an event: a message of SQS from its API, one from Lambda, a notification of SNS.
_WRAPPERS = ("Body", "body", "Message")
_DEEPEST_WRAPPING = 4
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_LONGEST_WORD = 256
# S3's own limit, which it counts in bytes.
_LONGEST_KEY = 1024


@dataclass(frozen=True)
class JobEvent:
    """
    One event of one job. What the event does not say is None.

    :param id: the event's own id; a second delivery has the same one.
    :param source: who says that it sent it: ``aws.bedrock`` in an event of BDA's.
    :param detail_type: as the service writes it.
    :param status: by the detail-type, which says more than the event's own status; ``UNKNOWN`` for a new kind of event.
    :param status_text: the status as the event writes it.
    :param invocation_arn: rebuilt: the event holds its parts only.
    :param time: when it was sent, in ISO 8601, as EventBridge writes it.
    :param output_s3_uri: where the outputs of the job's asset are.
    :param output_metadata_uri: the URI of ``job_metadata.json``, on success.
    :param duration_seconds: how long the job took; None where the event does not say.
    :param key: the same for every delivery of what happened to the job, and for nothing else: de-duplicate by it.
    """

    id: str | None
    source: str | None
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
        Read one event, from EventBridge or inside a message of SQS or SNS.

        :param content: JSON text, or what was read from it already.
        :raises BdaError: when it is not a JSON object, or no EventBridge event at all, or names an object that S3
            cannot hold. An event of another source or of an unknown kind is not an error: see :attr:`is_known`.
        """
        source = _unwrap(content)
        detail = json_reading.mapping(source, "detail")
        detail_type = _word(source, "detail-type") or ""
        status_text = _word(detail, "job_status") or ""
        status = STATUS_OF_DETAIL_TYPE.get(detail_type) or JobStatus.parse(status_text)
        output = _location(detail, "output_s3_location")
        job_id = _matching(_JOB_ID, detail, "job_id")
        account, region = _matching(_ACCOUNT, source, "account"), _matching(_REGION, source, "region")
        arn = None
        if region and account and job_id:
            arn = str(Arn(partition_of(region), region, account, INVOCATION, job_id))
        event_id, job = _word(source, "id"), arn or job_id
        return cls(
            id=event_id,
            source=_word(source, "source"),
            detail_type=detail_type,
            status=status,
            status_text=status_text,
            job_id=job_id,
            invocation_arn=arn,
            account=account,
            region=region,
            time=_word(source, "time"),
            modality=Modality.parse(json_reading.text(detail, "semantic_modality")),
            input_s3_uri=_uri(_location(detail, "input_s3_object")),
            output_s3_uri=_uri(output),
            output_metadata_uri=_metadata_uri(output, job_id) if status is JobStatus.SUCCESS else None,
            error_message=safe_text(message) if (message := json_reading.text(detail, "error_message")) else None,
            duration_seconds=safe_number(json_reading.number(detail, "job_duration_in_seconds")),
            key=f"{job} {detail_type}"
            if job
            else event_id or hashlib.sha256(repr(safe_value(source)).encode()).hexdigest(),
        )

    @property
    def is_known(self) -> bool:
        """Whether it is one of the four events that BDA is known to send, and says that BDA sent it."""
        return self.source == SOURCE and self.detail_type in STATUS_OF_DETAIL_TYPE

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.status.is_terminal

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as JSON's own types: ids, URIs and statuses, never a document's contents."""
        known: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        return known | {name: str(known[name]) for name in ("status", "modality") if name in known}


def parse_events(content: str | bytes | Mapping[str, Any]) -> tuple[JobEvent, ...]:
    """
    Read the events of a batch from SQS or SNS, as Lambda gets it, or the one event that there is.

    A record that cannot be read is left out; :func:`parse_records` reports it.

    :raises BdaError: as :meth:`JobEvent.parse`, when none can be read.
    """
    read = parse_records(content)
    events = tuple(each for each in read if isinstance(each, JobEvent))
    errors = [each for each in read if isinstance(each, BdaError)]
    if errors and not events:
        raise errors[0]
    return events


def parse_records(content: str | bytes | Mapping[str, Any]) -> tuple[JobEvent | BdaError, ...]:
    """
    Read each record of a batch, or the one event that there is.

    :return: in their order; an error in the place of a record that cannot be read, which fails alone.
    :raises BdaError: when *content* is not a JSON object.
    """
    source = _object(content)
    if not isinstance(source.get("Records"), list):
        return (_event_or_error(source),)
    return tuple(_event_or_error(record.get("Sns") or record) for record in json_reading.mappings(source, "Records"))


def _event_or_error(source: str | Mapping[str, Any]) -> JobEvent | BdaError:
    try:
        return JobEvent.parse(source)
    except BdaError as error:
        return error


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
        f"The message is not an EventBridge event: {why}.",
        remedy=f"Let the rule match the source {SOURCE!r}, and pass the event on as it is, without a transformer.",
    )


def _word(source: Mapping[str, Any], name: str) -> str | None:
    """Return a short text, such as an id or a time."""
    found = json_reading.text(source, name)
    return safe_text(found, _LONGEST_WORD) if found else None


def _matching(pattern: re.Pattern[str], source: Mapping[str, Any], name: str) -> str | None:
    """Return a part of an ARN; None for what cannot be one, so that no event forges another ARN or a line of a log."""
    found = json_reading.text(source, name)
    return found if found and pattern.fullmatch(found) else None


def _location(detail: Mapping[str, Any], name: str) -> S3Uri | None:
    place = json_reading.mapping(detail, name)
    bucket = json_reading.text(place, "s3_bucket")
    # Events say name; job_metadata.json says s3_key.
    key = json_reading.text(place, "name") or json_reading.text(place, "s3_key") or ""
    if not bucket:
        return None
    if not _BUCKET.fullmatch(bucket) or len(key) > _LONGEST_KEY:
        raise _no_event(f"its {name} is not possible in S3")
    return S3Uri(bucket, safe_text(key))


def _uri(location: S3Uri | None) -> str | None:
    return str(location) if location else None


def _metadata_uri(output: S3Uri | None, job_id: str | None) -> str | None:
    """Return the file in the job's folder; the event names the folder of the job's asset, which is inside."""
    if output is None or not output.key:
        return None
    folders = output.key.rstrip("/").split("/")
    # The job's folder, should the service name it itself one day; otherwise the parent of what it names.
    job_folder = folders if folders[-1] == job_id else folders[:-1]
    return str(S3Uri(output.bucket, "/".join([*job_folder, _METADATA_FILE])))
