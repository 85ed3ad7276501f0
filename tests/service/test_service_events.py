"""EventBridge's four events in the terms of the rest: an ARN, a status, the URI of the metadata."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service.arns import partition_of
from airflow_bda.service.errors import BdaError
from airflow_bda.service.events import STATUS_OF_DETAIL_TYPE, JobEvent, parse_events, parse_records
from airflow_bda.service.s3 import Modality
from airflow_bda.service.statuses import JobStatus

JOB_ID = "4e36aaaa-1111-2222-3333-444455556666"
ARN = f"arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/{JOB_ID}"
SUCCEEDED = {
    "version": "0",
    "id": "11112222-3333-4444-5555-666677778888",
    "detail-type": "Bedrock Data Automation Job Succeeded",
    "source": "aws.bedrock",
    "account": "123456789012",
    "time": "2026-01-05T14:42:14Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {
        "job_id": JOB_ID,
        "job_status": "SUCCESS",
        "semantic_modality": "Document",
        "input_s3_object": {"s3_bucket": "in-bucket", "name": "a.pdf"},
        "output_s3_location": {"s3_bucket": "out-bucket", "name": f"p/{JOB_ID}/0"},
        "error_message": "",
        "job_duration_in_seconds": 16,
    },
}


def changed(detail: dict | None = None, **members) -> dict:
    event = deepcopy(SUCCEEDED)
    event.update({name.replace("_", "-"): value for name, value in members.items()})
    event["detail"].update(detail or {})
    return event


def test_a_success_has_all_that_a_status_would_tell():
    event = JobEvent.parse(SUCCEEDED)

    assert event.invocation_arn == ARN
    assert (event.status, event.status_text, event.is_final, event.is_known) == (
        JobStatus.SUCCESS,
        "SUCCESS",
        True,
        True,
    )
    assert event.modality is Modality.DOCUMENT
    assert event.input_s3_uri == "s3://in-bucket/a.pdf"
    assert event.output_metadata_uri == f"s3://out-bucket/p/{JOB_ID}/job_metadata.json"
    assert event.duration_seconds == 16
    assert event.error_message is None


@pytest.mark.parametrize(("detail_type", "status"), STATUS_OF_DETAIL_TYPE.items())
def test_the_detail_type_decides(detail_type, status):
    """What a failed event's job_status reads is not known, so it must not matter."""
    event = JobEvent.parse(changed({"job_status": "WHO_KNOWS"}, detail_type=detail_type))

    assert event.status is status
    assert event.status_text == "WHO_KNOWS"
    assert (event.output_metadata_uri is not None) is (status is JobStatus.SUCCESS)


@pytest.mark.parametrize(
    ("word", "status"), [("SUCCESS", JobStatus.SUCCESS), ("PAUSED", JobStatus.UNKNOWN), (None, JobStatus.UNKNOWN)]
)
def test_of_an_unknown_kind_of_event_the_word_is_read(word, status):
    event = JobEvent.parse(changed({"job_status": word}, detail_type="Bedrock Data Automation Job Paused"))

    assert event.status is status
    assert not event.is_known


@pytest.mark.parametrize(
    ("name", "metadata_key"),
    [
        (f"{JOB_ID}/0", f"{JOB_ID}/job_metadata.json"),
        (f"p/{JOB_ID}/0/", f"p/{JOB_ID}/job_metadata.json"),
        (f"p//{JOB_ID}/0", f"p//{JOB_ID}/job_metadata.json"),
        (f"p/{JOB_ID}", f"p/{JOB_ID}/job_metadata.json"),
        ("p/elsewhere/0", "p/elsewhere/job_metadata.json"),
    ],
)
def test_the_metadata_is_in_the_jobs_folder(name, metadata_key):
    event = JobEvent.parse(changed({"output_s3_location": {"s3_bucket": "b", "name": name}}))

    assert event.output_metadata_uri == f"s3://b/{metadata_key}"


@pytest.mark.parametrize(
    "wrap",
    [
        json.dumps,
        lambda event: json.dumps(event).encode(),
        lambda event: {"MessageId": "m", "ReceiptHandle": "r", "Body": json.dumps(event)},
        lambda event: {"messageId": "m", "body": json.dumps(event), "eventSource": "aws:sqs"},
        lambda event: {"Body": json.dumps({"Type": "Notification", "Message": json.dumps(event)})},
    ],
    ids=["text", "bytes", "message of SQS", "record of SQS", "SNS in SQS"],
)
def test_what_carries_an_event_does_not_matter(wrap):
    assert JobEvent.parse(wrap(SUCCEEDED)) == JobEvent.parse(SUCCEEDED)


def test_a_batch_is_read_whole():
    failed = changed(detail_type="Bedrock Data Automation Job Failed With Client Error")
    records = [{"body": json.dumps(SUCCEEDED)}, {"Sns": {"Message": json.dumps(failed)}}]

    events = parse_events({"Records": records})

    assert [event.status for event in events] == [JobStatus.SUCCESS, JobStatus.CLIENT_ERROR]
    assert parse_events(SUCCEEDED) == (JobEvent.parse(SUCCEEDED),)


def test_the_key_tells_deliveries_from_events():
    """A second delivery, or a second sending under another id, is the same; another thing that happened is not."""
    event = JobEvent.parse(SUCCEEDED)
    created = JobEvent.parse(changed(detail_type="Bedrock Data Automation Job Created"))
    other_job = JobEvent.parse(changed({"job_id": "other"}))

    assert JobEvent.parse(changed(id="another", time="2026-01-05T14:50:00Z")).key == event.key
    assert len({event.key, created.key, other_job.key}) == 3


def test_an_event_without_a_job_still_has_a_key():
    bare = {"detail-type": "x", "id": "the-id"}

    assert JobEvent.parse(bare).key == "the-id"
    assert JobEvent.parse({"detail-type": "x"}).key == JobEvent.parse({"detail-type": "x"}).key
    assert JobEvent.parse({"detail-type": "x"}).key != JobEvent.parse({"detail-type": "y"}).key


@pytest.mark.parametrize("content", ["no JSON", "[]", {}, {"Body": "no JSON"}, {"Body": "{}"}, {"Body": {"Body": {}}}])
def test_what_is_no_event_is_refused(content):
    with pytest.raises(BdaError):
        JobEvent.parse(content)


@pytest.mark.parametrize("carried", [["x"], 7, True])
def test_a_record_that_carries_no_message_fails_alone(carried):
    """What a topic's or a queue's record carries may be of any type."""
    unreadable, readable = parse_records({"Records": [{"Sns": carried}, {"body": json.dumps(SUCCEEDED)}]})

    assert "not a JSON object" in str(unreadable)
    assert readable.invocation_arn == ARN


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"detail-type": JSON_VALUES},
        optional={
            "id": JSON_VALUES,
            "region": JSON_VALUES,
            "account": JSON_VALUES,
            "time": JSON_VALUES,
            "detail": JSON_VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(SUCCEEDED["detail"], JSON_VALUES)),
        },
    )
)
def test_no_member_is_needed_nor_its_type(content):
    """The service's events change; what reads them must not fall over."""
    event = JobEvent.parse(content)

    assert event.key
    json.dumps(event.to_dict())


def test_a_dictionary_of_it_can_be_stored():
    stored = json.loads(json.dumps(JobEvent.parse(SUCCEEDED).to_dict()))

    assert (stored["status"], stored["modality"], stored["invocation_arn"]) == ("Success", "DOCUMENT", ARN)
    assert "error_message" not in stored


def test_the_partition_is_the_regions():
    for partition in Loader().load_data("partitions")["partitions"]:
        for region in partition["regions"]:
            if not region.endswith("-global"):
                assert partition_of(region) == partition["id"], region

    event = JobEvent.parse(changed(region="us-gov-west-1"))
    assert event.invocation_arn.startswith("arn:aws-us-gov:bedrock:us-gov-west-1:")
