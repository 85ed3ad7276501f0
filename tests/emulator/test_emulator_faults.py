"""Faults on request: which calls and jobs they hit, and what a real client sees of each."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.emulator import EMULATOR, Fault, FaultKind
from airflow_bda.emulator.core.faults import AFTER_WORK, BEFORE_WORK, OF_EVENTS, OF_JOBS, FaultPlan, JobCourse
from airflow_bda.emulator.server.views import job_views
from airflow_bda.service.statuses import JobState, JobStatus

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"


def plan(*faults, seed=0):
    made = FaultPlan()
    made.set(faults, seed=seed)
    return made


def test_every_kind_has_its_moment():
    assert set(FaultKind) == BEFORE_WORK | AFTER_WORK | OF_JOBS | OF_EVENTS
    assert not BEFORE_WORK & AFTER_WORK
    assert not OF_JOBS & (BEFORE_WORK | AFTER_WORK)


def test_a_fault_fires_as_often_as_it_says():
    made = plan(Fault(FaultKind.THROTTLING, times=2))
    assert [made.before_call("Get") is not None for _ in range(4)] == [True, True, False, False]
    assert made.to_json()["faults"] == []


def test_a_fault_fires_for_its_operation_only():
    made = plan(Fault(FaultKind.THROTTLING, operation="Get"))
    assert made.before_call("Invoke") is None
    assert made.before_call("Get") is not None


def test_a_fault_of_jobs_fires_for_its_keys_only():
    made = plan(Fault(FaultKind.FAILED_JOB, key="bad/*.pdf", status="ClientError"))
    assert made.course_of_job("good/a.pdf") == JobCourse()
    assert made.course_of_job("bad/a.pdf").end == "ClientError"


@given(share=st.floats(min_value=0.01, max_value=0.99), seed=st.integers())
def test_the_same_seed_hits_the_same_calls(share, seed):
    first, second = (plan(Fault(FaultKind.THROTTLING, share=share), seed=seed) for _ in range(2))
    assert [first.before_call("Get") for _ in range(50)] == [second.before_call("Get") for _ in range(50)]


def test_a_share_hits_about_that_share():
    made = plan(Fault(FaultKind.THROTTLING, share=0.3))
    hits = sum(made.before_call("Get") is not None for _ in range(1000))
    assert 250 < hits < 350


@given(
    st.builds(
        Fault,
        kind=st.sampled_from(FaultKind),
        operation=st.none() | st.just("TagResource"),
        times=st.none() | st.integers(1, 5),
        share=st.floats(0, 1),
        seconds=st.floats(0, 5),
        polls=st.integers(0, 5),
    )
)
def test_a_fault_goes_through_json_and_back(fault):
    assert Fault.from_json(json.loads(json.dumps(fault.to_json()))) == fault


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "needs a kind"),
        ({"kind": "earthquake"}, "earthquake"),
        ({"kind": "throttling", "rate": 1}, "rate"),
        ({"kind": "throttling", "share": 2}, "share"),
        ({"kind": "throttling", "times": 0}, "times"),
        ({"kind": "failed_job", "status": "FAILED"}, "FAILED"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        Fault.from_json(wrong)


class Caller:
    """A client that does not retry, at the server."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.faults = emulator.faults
        self.source = emulator.upload(b"hello", "a.pdf")
        self.client = emulator.client(
            "bedrock-data-automation-runtime", config=Config(retries={"total_max_attempts": 1})
        )

    def invoke(self, **changes):
        request = {
            "inputConfiguration": {"s3Uri": self.source},
            "outputConfiguration": {"s3Uri": "s3://bda-test/out"},
            "dataAutomationProfileArn": PROFILE,
        }
        return self.client.invoke_data_automation_async(**request | changes)["invocationArn"]

    def status(self, arn):
        return self.client.get_data_automation_status(invocationArn=arn)


@pytest.fixture
def caller(steered_emulator):
    return Caller(steered_emulator)


@pytest.mark.parametrize(
    ("kind", "code", "http_status"),
    [
        (FaultKind.THROTTLING, "ThrottlingException", 400),
        (FaultKind.SERVER_ERROR, "InternalServerException", 500),
        (FaultKind.SERVICE_UNAVAILABLE, "ServiceUnavailableException", 503),
        (FaultKind.EXPIRED_CREDENTIALS, "ExpiredTokenException", 400),
    ],
)
def test_a_call_can_be_refused_before_its_work(caller, kind, code, http_status):
    caller.faults.add(kind, operation="InvokeDataAutomationAsync", times=1)
    with pytest.raises(ClientError) as caught:
        caller.invoke()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == http_status
    assert caller.emulator.jobs == []
    caller.invoke()
    assert caller.emulator.calls == {"InvokeDataAutomationAsync": 2}


@pytest.mark.parametrize(("kind", "jobs"), [(FaultKind.DROPPED_REQUEST, 0), (FaultKind.LOST_ANSWER, 1)])
def test_a_connection_can_break_before_and_after_the_work(caller, kind, jobs):
    caller.faults.add(kind, times=1)
    with pytest.raises(ConnectionClosedError):
        caller.invoke(clientToken="token-1")
    assert len(caller.emulator.jobs) == jobs
    caller.invoke(clientToken="token-1")
    assert len(caller.emulator.jobs) == 1


@pytest.mark.parametrize(("kind", "jobs"), [(FaultKind.DROPPED_REQUEST, 0), (FaultKind.LOST_ANSWER, 1)])
def test_under_mock_aws_too_a_connection_can_break(bda, kind, jobs):
    client = boto3.client(
        "bedrock-data-automation-runtime", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1})
    )
    EMULATOR.faults.add(kind, times=1)
    with pytest.raises(HTTPClientError):
        client.invoke_data_automation_async(**bda.request(clientToken="token-1"))
    assert len(job_views()) == jobs


def test_botocores_own_retries_get_past_a_lost_answer_without_a_second_job(caller):
    caller.faults.add(FaultKind.LOST_ANSWER, times=1)
    caller.client = caller.emulator.client("bedrock-data-automation-runtime")
    caller.invoke()
    assert len(caller.emulator.jobs) == 1
    assert caller.emulator.calls == {"InvokeDataAutomationAsync": 2}


def test_an_answer_can_be_no_json(caller):
    arn = caller.invoke()
    caller.faults.add(FaultKind.NOT_JSON, times=1)
    # botocore takes it for an empty answer.
    assert "status" not in caller.status(arn)
    assert caller.status(arn)["status"]


def test_an_answer_can_hold_members_of_tomorrow(caller):
    caller.faults.add(FaultKind.UNKNOWN_MEMBERS)
    assert "status" in caller.status(caller.invoke())


def test_a_status_can_be_a_word_of_tomorrow(caller):
    arn = caller.invoke()
    caller.faults.add(FaultKind.UNKNOWN_STATUS, status="Dreaming", times=1)
    state = JobState.from_response(arn, caller.status(arn))
    assert (state.status, state.status_text) == (JobStatus.UNKNOWN, "Dreaming")


def test_a_new_job_can_be_hidden_from_its_first_polls(caller):
    caller.faults.add(FaultKind.LATE_VISIBILITY, polls=2, times=1)
    arn = caller.invoke()
    for _ in range(2):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            caller.status(arn)
    assert caller.status(arn)["status"]


def test_a_job_can_be_stuck_before_it_starts(bda):
    EMULATOR.faults.add(FaultKind.STUCK_JOB, key="a.pdf")
    stuck = bda.invoke()
    bda.wait(bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf")}))
    assert bda.status(stuck)["status"] == "Created"


def test_a_job_can_be_slow(bda):
    EMULATOR.faults.add(FaultKind.SLOW_JOB, key="a.pdf", seconds=60)
    slow = bda.invoke()
    bda.wait(bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf")}))
    assert bda.wait_until(slow, "InProgress")


@pytest.mark.parametrize("status", ["ClientError", "ServiceError"])
def test_a_job_can_fail(bda, status):
    EMULATOR.faults.add(FaultKind.FAILED_JOB, times=1, status=status, error_type="Bad", error_message="Very bad.")
    answer = bda.wait(bda.invoke())
    assert (answer["status"], answer["errorType"], answer["errorMessage"]) == (status, "Bad", "Very bad.")
    assert bda.result_keys() == []
    assert bda.wait(bda.invoke())["status"] == "Success"
