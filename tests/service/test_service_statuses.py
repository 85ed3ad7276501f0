"""The service's three spellings of a status are one, and a word that is not known is not a failure."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service.model import service_model
from airflow_bda.service.statuses import JobState, JobStatus, UnexpectedAnswerError

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e36a3f0-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Success", JobStatus.SUCCESS),
        ("SUCCESS", JobStatus.SUCCESS),
        ("PROCESSED", JobStatus.SUCCESS),
        ("InProgress", JobStatus.IN_PROGRESS),
        ("IN_PROGRESS", JobStatus.IN_PROGRESS),
        ("CLIENT_ERROR", JobStatus.CLIENT_ERROR),
        ("ServiceError", JobStatus.SERVICE_ERROR),
        ("Created", JobStatus.CREATED),
        ("Paused", JobStatus.UNKNOWN),
        ("", JobStatus.UNKNOWN),
        (None, JobStatus.UNKNOWN),
    ],
)
def test_one_status_whichever_spelling(word, status):
    assert JobStatus.parse(word) is status


def test_every_status_of_the_model_is_known():
    """A state that AWS adds makes this fail, so that it is noticed."""
    words = service_model().shape_for("AutomationJobStatus").enum
    assert {JobStatus.parse(word) for word in words} == set(JobStatus) - {JobStatus.UNKNOWN}
    assert all(str(JobStatus.parse(word)) == word for word in words)


@given(st.text())
def test_no_word_is_an_error(word):
    assert JobStatus.parse(word) in JobStatus


def test_only_the_three_ends_are_ends():
    """An unknown word may be a new state of a job that goes on."""
    ends = {status for status in JobStatus if status.is_terminal}
    assert ends == {JobStatus.SUCCESS, JobStatus.CLIENT_ERROR, JobStatus.SERVICE_ERROR}


def test_a_state_is_read_from_a_full_answer():
    submitted = datetime(2026, 1, 5, 14, 41, 55, tzinfo=timezone.utc)
    state = JobState.from_response(
        ARN,
        {
            "status": "Success",
            "outputConfiguration": {"s3Uri": "s3://bucket/p/id/job_metadata.json"},
            "jobSubmissionTime": submitted,
            "jobCompletionTime": submitted,
            "jobDurationInSeconds": 16,
            "added": "later",
        },
    )
    assert state == JobState(
        ARN,
        JobStatus.SUCCESS,
        status_text="Success",
        output_metadata_uri="s3://bucket/p/id/job_metadata.json",
        submitted_at=submitted,
        completed_at=submitted,
        duration_seconds=16,
    )


def test_a_state_is_read_from_an_older_models_answer():
    state = JobState.from_response(ARN, {"status": "ClientError", "errorType": "X", "errorMessage": "why"})
    assert (state.status, state.error_type, state.error_message) == (JobStatus.CLIENT_ERROR, "X", "why")
    assert (state.output_metadata_uri, state.submitted_at, state.duration_seconds) == (None, None, None)


def test_an_answer_without_a_status_is_no_answer_of_bdas():
    with pytest.raises(UnexpectedAnswerError, match=ARN):
        JobState.from_response(ARN, {"ResponseMetadata": {}})


def test_a_state_describes_itself_in_a_line():
    assert JobState(ARN, JobStatus.CREATED, "Created").describe() == f"{ARN} is Created."
    assert "does not know" in JobState(ARN, JobStatus.UNKNOWN, "Paused").describe()
