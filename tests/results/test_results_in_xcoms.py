"""What the hook returns passes through Airflow's XComs, and arrives as plain data."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

import airflow_bda.hooks.bda  # noqa: F401  as a DAG file with one of our operators does
from airflow_bda.service.statuses import JobState

try:  # Airflow 3.2 and later
    from airflow.sdk import serde
except ImportError:
    from airflow.serialization import serde

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


def test_a_state_arrives_as_its_dictionary():
    arrived = through_xcom(STATE)

    assert arrived == STATE.to_dict()
    assert (arrived["invocation_arn"], arrived["status"], arrived["submitted_at"]) == (
        ARN,
        "Success",
        "2026-01-05T14:00:00+00:00",
    )
