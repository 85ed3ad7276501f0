"""Which job a try gets: what is kept before and after a submit, and which facts tell a clear from a retry."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from airflow_bda import _compat
from airflow_bda.operators import one_job
from airflow_bda.operators.one_job import start_or_find, task_identity
from airflow_bda.service.errors import BdaError, BdaRequestError
from airflow_bda.service.request.request import build_request
from airflow_bda.service.statuses import JobState, JobStatus

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
SECRET = "a secret of the customer"


def request(**arguments):
    places = {"input_s3_uri": "s3://inputs/a.pdf", "output_s3_uri": "s3://outputs/x", "profile_arn": PROFILE}
    return build_request(**(places | arguments))


class Store(dict):
    def set(self, key, value):
        self[key] = value


class Service:
    """BDA by its tokens. A job ends as soon as it is made."""

    def __init__(self):
        self.jobs = {}
        self.requests = {}
        self.status = JobStatus.SUCCESS
        self.submitted_at = None
        self.before_submit = lambda: None

    def submit(self, request):
        self.before_submit()
        token = request.client_token
        if self.requests.setdefault(token, request.digest()) != request.digest():
            raise BdaRequestError("The token stands for another request.")
        at = datetime.now(timezone.utc)
        # One in a thousand is in whole milliseconds, and would be taken for a time that was cut off.
        at += timedelta(microseconds=not at.microsecond % 1000)
        self.jobs.setdefault(token, (f"{ARN}{uuid.uuid4()}", self.status, at))
        return self.jobs[token][0]

    def last_state(self, arn):
        (status, submitted), *_ = [(status, at) for known, status, at in self.jobs.values() if known == arn]
        return JobState(arn, status, str(status), submitted_at=submitted, completed_at=submitted)


class Task:
    """A task instance that is tried again and again, and what Airflow tells it of itself."""

    def __init__(self, service, *, store=None):
        self.service, self.store, self.found = service, store, []
        self.ti = SimpleNamespace(
            dag_id="dag", run_id="run", task_id="task", map_index=-1, try_number=0, max_tries=3, task=None
        )
        self.ti.context_carrier = {"traceparent": "00-1-1-00"}
        self.run = SimpleNamespace(start_date=datetime(2026, 1, 5, tzinfo=timezone.utc), id=7)

    def context(self):
        store = {} if self.store is None else {"task_state_store": self.store}
        return {"ti": self.ti, "dag_run": self.run, **store}

    def next_try(self, **arguments):
        self.ti.try_number += 1
        return start_or_find(
            request(**arguments),
            self.context(),
            submit=self.service.submit,
            last_state=self.service.last_state,
            on_found=self.found.append,
        )


@pytest.fixture
def service():
    return Service()


@pytest.fixture(params=["with a store", "without a store"])
def task(request, service):
    return Task(service, store=Store() if request.param == "with a store" else None)


@pytest.fixture
def counted(monkeypatch):
    seen = []
    monkeypatch.setattr(one_job, "count", lambda metric, tags: seen.append(metric.removeprefix("resumable_job.")))
    return seen


def test_a_retry_finds_the_job_and_how_it_ended(task):
    first = task.next_try()
    again = task.next_try()

    assert again.invocation_arn == first.invocation_arn
    assert again.outcome() is not None
    assert first.outcome() is None
    assert set(task.found) == {first.invocation_arn}


def test_a_service_failure_that_was_seen_is_followed_by_one_job_a_try(task):
    task.service.status = JobStatus.SERVICE_ERROR

    arns = [task.next_try().invocation_arn for _ in range(4)]

    assert len(set(arns)) == len(task.service.jobs) == 4


def test_a_try_stops_after_the_submit_that_can_have_made_a_job(task):
    """Tries that ended before their submit are no reason to make up for them."""
    task.service.status = JobStatus.SERVICE_ERROR
    task.ti.try_number = 5

    task.next_try()

    assert len(task.service.jobs) == 1


@pytest.mark.parametrize(("seconds", "jobs"), [(0.0, 2), (5.0, 1)])
def test_without_times_a_job_is_taken_for_an_earlier_one_where_none_fails_so_soon(service, monkeypatch, seconds, jobs):
    """Botocore before 1.42 passes no times on."""
    service.status = JobStatus.SERVICE_ERROR
    task = Task(service)
    task.next_try()
    began = one_job.time.monotonic()
    clock = iter([began, began + seconds, began, began + 5])
    monkeypatch.setattr(one_job.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(service, "last_state", lambda arn: JobState(arn, JobStatus.SERVICE_ERROR))

    task.next_try()

    assert len(service.jobs) == jobs


def test_a_job_that_ran_for_longer_than_the_try_is_an_earlier_one_whatever_the_clocks_say():
    now = datetime.now(timezone.utc)
    state = JobState(
        ARN, JobStatus.SERVICE_ERROR, submitted_at=now + timedelta(hours=1), completed_at=now + timedelta(hours=1.1)
    )

    assert not one_job._may_be_new(state, began_at=now, elapsed=1.0)


@pytest.mark.parametrize("status", [JobStatus.CLIENT_ERROR, JobStatus.IN_PROGRESS, JobStatus.UNKNOWN])
def test_nothing_but_a_service_failure_is_followed_by_a_job(task, status):
    task.service.status = status

    assert task.next_try().invocation_arn == task.next_try().invocation_arn


def test_a_job_whose_state_is_not_known_is_followed(task, monkeypatch):
    task.service.status = JobStatus.SERVICE_ERROR
    first = task.next_try()
    monkeypatch.setattr(task.service, "last_state", lambda arn: None)

    assert task.next_try().invocation_arn == first.invocation_arn


CLEARS = {
    "max_tries": lambda task: setattr(task.ti, "max_tries", 4),
    "the run was started anew": lambda task: setattr(task.run, "start_date", datetime.now(timezone.utc)),
    "the trace was made anew": lambda task: setattr(task.ti, "context_carrier", {"traceparent": "00-2-2-00"}),
}


@pytest.mark.parametrize("what", CLEARS)
def test_each_fact_of_a_clear_leads_to_a_new_job(task, monkeypatch, what):
    monkeypatch.setattr(_compat, "_AIRFLOW", (3, 3))
    monkeypatch.setattr("airflow_bda.operators.one_job.runs_in_the_caller", lambda _: False)
    first = task.next_try()

    CLEARS[what](task)

    second = task.next_try()
    assert second.invocation_arn != first.invocation_arn
    assert task.next_try().invocation_arn == second.invocation_arn


def test_the_key_of_a_run_that_was_made_anew_counts_on_airflow_2(service, monkeypatch):
    monkeypatch.setattr(_compat, "_AIRFLOW", (2, 11))
    task = Task(service)
    first = task.next_try()

    task.run.id = 8

    assert task.next_try().invocation_arn != first.invocation_arn


def test_the_trace_counts_for_nothing_where_a_retry_may_change_it(service, monkeypatch):
    monkeypatch.setattr(_compat, "_AIRFLOW", (2, 11))
    task = Task(service)
    first = task.next_try()

    CLEARS["the trace was made anew"](task)

    assert task.next_try().invocation_arn == first.invocation_arn


def test_each_iteration_of_a_loop_has_a_job_of_its_own(task):
    jobs = set()
    for region, index in ((uuid.uuid4(), 0), (uuid.uuid4(), 0), (uuid.UUID(int=9), 1)):
        task.ti.region_id, task.ti.region_index, task.ti.try_number = region, index, 0
        if task.store is not None:
            task.store.clear()  # Airflow keeps one for each iteration
        jobs |= {task.next_try().invocation_arn, task.next_try().invocation_arn}

    assert len(jobs) == 3


def test_outside_of_loops_the_identity_is_the_same_with_and_without_regions(task):
    before = task_identity(task.context())

    task.ti.region_id, task.ti.region_index = uuid.UUID(int=0), -1

    assert task_identity(task.context()) == before


class TestTheIntent:
    @pytest.fixture
    def task(self, service):
        return Task(service, store=Store())

    def test_is_kept_before_the_submit_and_the_arn_after_it(self, task):
        kept = []
        task.service.before_submit = lambda: kept.append(task.store["bda_job"]["invocation_arn"])

        arn = task.next_try().invocation_arn

        assert kept == [None]
        assert task.store["bda_job"]["invocation_arn"] == arn

    def test_holds_no_values_of_the_request(self, task):
        task.next_try(kms_key_id="alias/k", kms_encryption_context={"team": SECRET}, tags={"a": SECRET})

        assert SECRET not in str(task.store)
        assert "s3://" not in str(task.store)
        assert {"kms_encryption_context", "tags"} <= set(task.store["bda_job"]["arguments"])

    def test_leads_a_retry_with_another_request_to_the_job_and_says_once_what_changed(self, task, caplog):
        first = task.next_try(tags={"try": "1"})

        second = task.next_try(tags={"try": "2"}, output_s3_uri="s3://outputs/y")

        assert second.invocation_arn == first.invocation_arn
        (line,) = [line for line in caplog.messages if "differs" in line]
        assert "(output_s3_uri, tags)" in line
        assert len(task.service.jobs) == 1

    def test_of_a_try_that_was_killed_leads_a_retry_with_the_same_request_to_its_job(self, task):
        self._is_killed_after_the_submit(task)

        task.next_try()

        assert len(task.service.jobs) == 1

    def test_of_a_try_that_was_killed_never_leads_to_a_second_job(self, task):
        """The service may refuse the token for another request; it must not be asked for a job beside the first."""
        self._is_killed_after_the_submit(task)

        with pytest.raises(BdaRequestError, match="Clear the task"):
            task.next_try(tags={"try": "2"})

        assert len(task.service.jobs) == 1

    @staticmethod
    def _is_killed_after_the_submit(task):
        task.next_try()
        task.store["bda_job"]["invocation_arn"] = None

    def test_of_an_earlier_life_is_left_alone(self, task):
        first = task.next_try()
        CLEARS["max_tries"](task)

        assert task.next_try(tags={"a": "b"}).invocation_arn != first.invocation_arn

    @pytest.mark.parametrize(
        ("version", "option", "jobs"), [((3, 4), "True", 1), ((3, 4), "False", 2), ((3, 3), "True", 2)]
    )
    def test_of_an_earlier_life_is_gone_by_where_the_user_can_have_kept_it(
        self, task, monkeypatch, version, option, jobs
    ):
        monkeypatch.setattr(_compat, "_AIRFLOW", version)
        monkeypatch.setattr("airflow_bda.operators.one_job.runs_in_the_caller", lambda _: False)
        monkeypatch.setenv("AIRFLOW__BDA__REATTACH_AFTER_CLEAR", option)
        task.next_try()
        CLEARS["max_tries"](task)

        task.next_try()

        assert len(task.service.jobs) == jobs

    def test_may_be_an_arn_alone(self, task):
        first = task.next_try()
        task.store["bda_job"] = first.invocation_arn

        assert task.next_try(tags={"a": "b"}).invocation_arn == first.invocation_arn

    @pytest.mark.parametrize("odd", [{}, {"life": "x"}, {"of": "another release"}, 5, ["x"]])
    def test_that_cannot_be_read_costs_nothing(self, task, odd):
        first = task.next_try()
        task.store["bda_job"] = odd

        assert task.next_try().invocation_arn == first.invocation_arn


class TestTheCounters:
    def test_of_a_life_with_a_failure_and_a_success(self, service, counted):
        task = Task(service, store=Store())
        service.status = JobStatus.SERVICE_ERROR
        task.next_try()
        service.status = JobStatus.SUCCESS
        task.next_try()
        task.next_try()

        assert counted == [
            "fresh_submit",
            *("reconnect_attempt", "terminal_resubmit"),
            *("reconnect_attempt", "already_succeeded"),
        ]

    def test_of_a_job_that_goes_on(self, service, counted):
        task = Task(service, store=Store())
        service.status = JobStatus.IN_PROGRESS
        task.next_try()
        task.next_try()

        assert counted == ["fresh_submit", "reconnect_attempt", "reconnect_success"]

    def test_count_nothing_where_airflow_has_no_store(self, service, counted):
        Task(service).next_try()

        assert counted == []

    def test_reach_airflow_s_metrics(self, monkeypatch):
        seen = []
        monkeypatch.setattr(_compat.stats(), "incr", lambda metric, tags: seen.append((metric, tags)))

        _compat.count("resumable_job.fresh_submit", {"operator": "X"})

        assert seen == [("resumable_job.fresh_submit", {"operator": "X"})]


def test_a_process_that_was_suspended_while_it_stored_its_intent_sends_nothing(service, monkeypatch):
    """Airflow gave it up and started another try, whose request differs: only that try may have a job."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(one_job, "time", SimpleNamespace(monotonic=lambda: clock.now))
    store = Store()
    other = Task(service, store=store)

    class Suspended(Store):
        def set(self, key, value):
            other.next_try(tags={"try": "2"})
            clock.now += 600.0
            store.set(key, value)

    suspended = Task(service, store=Suspended())
    with pytest.raises(BdaError, match=r"suspended for 600 s .*\nNothing was sent"):
        suspended.next_try(tags={"try": "1"})

    assert len(service.jobs) == 1
