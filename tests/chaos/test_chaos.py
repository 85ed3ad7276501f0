"""On a running Airflow in bad times: every task ends as it should, no document has two jobs, no wait is lost."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from airflow_processes.eventually import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.running_airflow

INVOKE = "InvokeDataAutomationAsync"
GET_STATUS = "GetDataAutomationStatus"


@dataclass(frozen=True)
class Scale:
    """
    How bad the times are.

    :param waits: how many tasks are deferred when the triggerer is killed.
    :param tasks: how many tasks there are otherwise.
    :param seconds: how long trouble lasts.
    """

    waits: int
    tasks: int
    seconds: float

    @property
    def patience(self) -> float:
        """How long a run may take, in seconds; a busy machine starts a task in some."""
        return PATIENCE_SECONDS + 5.0 * self.waits


@pytest.fixture(
    params=[
        pytest.param(Scale(waits=10, tasks=4, seconds=5), id="short"),
        pytest.param(Scale(waits=200, tasks=10, seconds=60), id="long", marks=pytest.mark.chaos),
    ]
)
def scale(request):
    return request.param


def documents(count):
    return [f"{number}.pdf" for number in range(count)]


def start_waits(airflow, service, count, patience):
    """Return a run all of whose tasks are deferred, and whose jobs go on until they are let go."""
    service.configure(concurrency={"DOCUMENT": 1000})
    service.upload(*documents(count))
    service.hold_jobs()
    run = airflow.trigger(f"waits_{count}")
    eventually(
        lambda: len(run.states()) == count and set(run.states()) == {"deferred"},
        what="all tasks are deferred",
        seconds=patience,
        describe=lambda: f"{run.instances()}\n{airflow.tell_of_logs()}",
    )
    wait_for_new_polls(service, patience)
    return run


def wait_for_new_polls(service, patience=PATIENCE_SECONDS):
    """Wait until each job was asked for once more."""
    before = {job.job_id: job.polls for job in service.jobs}
    eventually(
        lambda: all(job.polls > before[job.job_id] for job in service.jobs),
        what="each job is asked for",
        seconds=patience,
    )


def assert_all_is_well(run, service, count, patience):
    assert run.end(patience) == ["success"] * count
    assert service.jobs_of_documents == dict.fromkeys(documents(count), 1)
    by_document = {job.input_s3_uri: job for job in service.jobs}
    in_order = [by_document[f"s3://inputs/{document}"] for document in documents(count)]
    assert run.xcoms() == [job.invocation_arn for job in in_order]


def assert_no_try_was_lost(run):
    assert {instance.try_number for instance in run.instances()} == {1}


class TestATriggererIsKilled:
    def test_and_another_takes_its_waits_over(self, airflow, service, scale):
        other = airflow.start_triggerer()
        run = start_waits(airflow, service, scale.waits, scale.patience)
        killed = next(triggerer for triggerer in airflow.triggerers if triggerer is not other)
        killed.kill()
        airflow.triggerers.remove(killed)
        wait_for_new_polls(service, scale.patience)
        service.let_jobs_go()
        assert_all_is_well(run, service, scale.waits, scale.patience)
        assert_no_try_was_lost(run)

    def test_without_another_triggerer_and_the_next_one_finds_jobs_that_have_ended(self, airflow, service, scale):
        run = start_waits(airflow, service, scale.waits, scale.patience)
        airflow.kill_triggerers()
        service.let_jobs_go()
        eventually(lambda: {job.status for job in service.jobs} == {"Success"}, what="all jobs have ended")
        airflow.start_triggerer()
        assert_all_is_well(run, service, scale.waits, scale.patience)
        assert_no_try_was_lost(run)


class TestTheServiceIsInTrouble:
    def test_nine_of_ten_calls_are_throttled(self, airflow, service, scale):
        run = start_waits(airflow, service, scale.waits, scale.patience)
        service.faults.add("throttling", share=0.9)
        time.sleep(scale.seconds)
        assert set(run.states()) == {"deferred"}
        service.faults.clear()
        service.let_jobs_go()
        assert_all_is_well(run, service, scale.waits, scale.patience)
        assert_no_try_was_lost(run)

    def test_the_endpoint_is_gone(self, airflow, service, scale):
        run = start_waits(airflow, service, scale.tasks, scale.patience)
        service.server.stop()
        try:
            time.sleep(scale.seconds)
            assert set(run.states()) == {"deferred"}
        finally:
            service.server.start()
        wait_for_new_polls(service)
        service.let_jobs_go()
        assert_all_is_well(run, service, scale.tasks, scale.patience)
        assert_no_try_was_lost(run)

    def test_credentials_expire(self, airflow, service, scale):
        run = start_waits(airflow, service, scale.tasks, scale.patience)
        service.faults.add("expired_credentials", operation=GET_STATUS)
        refused_from = service.calls[GET_STATUS]
        time.sleep(scale.seconds)
        eventually(lambda: service.calls[GET_STATUS] > refused_from, what="a call is refused")
        assert set(run.states()) == {"deferred"}
        service.faults.clear()
        service.let_jobs_go()
        assert_all_is_well(run, service, scale.tasks, scale.patience)
        assert_no_try_was_lost(run)


def test_workers_are_killed_while_they_submit_in_a_storm(airflow, service, scale):
    """The first answer to each document is lost to a killed process, and half of all answers on their way."""
    service.upload(*documents(scale.tasks))
    service.faults.add("throttling", operation=INVOKE, share=0.5)
    service.faults.add("lost_answer", operation=INVOKE, share=0.5)
    run = airflow.trigger(f"submits_{scale.tasks}")

    def kill_who_submits(job):
        number = int(job.order.input_uri.key.removesuffix(".pdf"))
        run.start_of_try(1, map_index=number).kill()

    service.on_job_created(kill_who_submits)
    assert_all_is_well(run, service, scale.tasks, scale.patience)
    assert {instance.try_number for instance in run.instances()} == {2}
