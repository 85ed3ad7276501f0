"""What the hook returns passes through Airflow's XComs, and arrives as plain data."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

import airflow_bda.hooks.bda  # noqa: F401  as a DAG file with one of our operators does
from airflow_bda.access.preflight.findings import Report, fault
from airflow_bda.service.errors import BdaClientError
from airflow_bda.service.json_reading import PlainData
from airflow_bda.service.results.document import DocumentOutput
from airflow_bda.service.results.json_file import BytesContent, JsonFile
from airflow_bda.service.statuses import JobOutcome, JobState

try:  # Airflow 3.2 and later
    from airflow.sdk import serde
except ImportError:
    from airflow.serialization import serde

BOX = {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.05}
ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/c0ffee00-1111-2222-3333-444455556666"
STATE = JobState.from_response(
    ARN, {"status": "Success", "jobSubmissionTime": datetime(2026, 1, 5, 14, tzinfo=timezone.utc)}
)


def through_xcom(value):
    """Return what the next task gets."""
    stored = json.dumps(serde.serialize(value), allow_nan=False).encode()
    return serde.deserialize(json.loads(stored))


@pytest.mark.parametrize("job", ["packet", "call", "film"])
def test_a_result_arrives_as_its_dictionary(read_job, job):
    result = read_job(job)

    assert through_xcom(result) == result.to_dict()
    assert through_xcom(list(result.segments)) == result.to_dict()["segments"]
    assert through_xcom({"fields": list(result.segments[0].fields())}) == {
        "fields": result.to_dict()["segments"][0]["fields"]
    }


@pytest.mark.parametrize("job", ["packet", "call", "film", "cells"])
def test_the_parts_of_a_result_arrive_as_plain_data(read_job, job):
    """Whichever part a task picks and returns: the metadata, an output, a page, a word, a box."""
    result = read_job(job)
    outputs = [output for segment in result.segments for output in (segment.standard, segment.custom) if output]

    assert through_xcom(result.metadata) == result.metadata.to_dict()
    assert through_xcom(list(result.metadata.assets)) == [asset.to_dict() for asset in result.metadata.assets]
    assert outputs
    assert through_xcom(outputs) == [dict(output.raw) for output in outputs]


def test_pages_and_words_arrive_with_their_places():
    word = {"id": "w", "text": "Total", "confidence": 0.9, "page_index": 1, "locations": {"bounding_box": dict(BOX)}}
    source = {"pages": [{"id": "p", "page_index": 1, "representation": {"markdown": "# Total"}}], "text_words": [word]}
    output = DocumentOutput.parse(JsonFile(BytesContent(json.dumps(source).encode()), "s3://b/result.json"))

    (page,) = through_xcom(list(output.pages))
    (arrived,) = through_xcom(list(output.text_words))

    assert (page["index"], page["representation"]["markdown"]) == (1, "# Total")
    assert (arrived["text"], arrived["locations"]) == ("Total", [{"page": 2, "box": BOX}])
    assert through_xcom(output.text_words[0].locations[0].box) == BOX


def test_an_outcome_and_a_preflight_arrive_as_their_dictionaries():
    ended = JobOutcome(ARN, error=BdaClientError("It failed.", invocation_arn=ARN), state=STATE)
    report = Report((fault("bucket", "It does not exist.", "Create it."),))

    assert through_xcom(ended)["error"]["class"] == "BdaClientError"
    assert through_xcom(JobOutcome.of_state(STATE))["status"] == "success"
    assert through_xcom(report)["checks"][0]["level"] == "fault"


def test_what_has_a_dictionary_may_be_read_from_an_xcom():
    """A class that is not allowed can be returned from a task, and then fails the next one."""
    allowed = serde._extra_allowed  # there is no public list
    waiting, seen = [PlainData], set()
    while waiting:
        seen |= (new := {each for base in waiting for each in base.__subclasses__()})
        waiting = list(new)

    ours = {f"{each.__module__}.{each.__qualname__}" for each in seen if each.__module__.startswith("airflow_bda.")}
    assert len(ours) > 20
    assert ours <= allowed


def test_a_state_arrives_as_its_dictionary():
    arrived = through_xcom(STATE)

    assert arrived == STATE.to_dict()
    assert (arrived["invocation_arn"], arrived["status"], arrived["submitted_at"]) == (
        ARN,
        "Success",
        "2026-01-05T14:00:00+00:00",
    )
