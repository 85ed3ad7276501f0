"""On a running Airflow: a document has one job, whatever is lost, killed or tried again."""

from __future__ import annotations

import itertools

import pytest
from airflow_processes.eventually import eventually
from airflow_processes.running import decoded
from airflow_processes.settings import AIRFLOW_VERSION, HAS_TASK_STATE_STORE

pytestmark = pytest.mark.running_airflow

INVOKE = "InvokeDataAutomationAsync"

# A second try of a test gets days of its own.
MONTHS = itertools.count(3)


def tokens(service):
    return [job.client_token for job in service.jobs]


def test_a_first_try_starts_one_job(airflow, service):
    service.upload("a.pdf")
    run = airflow.trigger("submits", key="a.pdf")
    assert run.end() == ["success"]
    assert service.jobs_of_documents == {"a.pdf": 1}
    assert run.xcoms() == [service.jobs[0].invocation_arn]
    (log,) = airflow.task_logs.glob(f"**/run_id={run.run_id}/**/attempt=1.log")
    lines = log.read_text().splitlines()
    ours, theirs = (
        next(number for number, line in enumerate(lines) if text in line) for text in ("Input: s3://", "credentials")
    )
    # What a task is about comes before what the AWS libraries say of its connection, which they say once.
    assert ours < theirs
    assert sum("credentials retrieved" in line for line in lines) == 1


class TestAnAnswerIsLost:
    def test_within_a_try_the_call_is_repeated_with_the_same_token(self, airflow, service):
        service.upload("a.pdf")
        # More often than botocore repeats a call by itself.
        service.faults.add("lost_answer", operation=INVOKE, times=5)
        run = airflow.trigger("submits", key="a.pdf")
        assert run.end() == ["success"]
        assert service.calls[INVOKE] == 6
        assert service.jobs_of_documents == {"a.pdf": 1}
        assert [start.try_number for start in run.starts()] == [1]

    def test_the_next_try_finds_the_job_of_a_try_that_gave_up(self, airflow, service):
        service.upload("a.pdf")
        service.faults.add("lost_answer", operation=INVOKE)
        run = airflow.trigger("gives_up_soon", key="a.pdf")
        run.start_of_try(2)
        service.faults.clear()
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 1}
        assert run.xcoms() == [service.jobs[0].invocation_arn]


class TestAWorkerIsKilled:
    def test_before_it_has_the_answer(self, airflow, service):
        service.upload("a.pdf")
        run = airflow.trigger("submits", key="a.pdf")
        service.on_job_created(lambda _: run.start_of_try(1).kill())
        assert run.end() == ["success"]
        assert [start.try_number for start in run.starts()] == [1, 2]
        assert service.jobs_of_documents == {"a.pdf": 1}
        assert run.xcoms() == [service.jobs[0].invocation_arn]

    def test_after_it_has_the_answer(self, airflow, service):
        service.upload("a.pdf")
        service.hold_jobs()
        run = airflow.trigger("blocks", key="a.pdf")
        (job,) = service.wait_for_jobs(1)
        service.wait_for_polls(job)
        run.start_of_try(1).kill()
        run.start_of_try(2)
        service.let_jobs_go()
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 1}
        assert run.xcoms("output_metadata_uri") == [service.jobs[0].output_metadata_uri]

    def test_with_all_that_watches_over_it(self, airflow, service):
        """The end of the try is not reported: the scheduler notices that its heartbeats stop."""
        service.upload("a.pdf")
        service.hold_jobs()
        run = airflow.trigger("blocks", key="a.pdf")
        (job,) = service.wait_for_jobs(1)
        service.wait_for_polls(job)
        run.start_of_try(1).kill_with_worker()
        run.start_of_try(2)
        service.let_jobs_go()
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 1}


def test_a_triggerer_is_killed_while_the_task_waits(airflow, service):
    service.upload("a.pdf")
    service.hold_jobs()
    run = airflow.trigger("defers", key="a.pdf")
    (job,) = service.wait_for_jobs(1)
    service.wait_for_polls(job)
    airflow.kill_triggerers()
    airflow.start_triggerer()
    service.wait_for_polls(job, more_than=service.jobs[0].polls + 1)
    service.let_jobs_go()
    assert run.end() == ["success"]
    assert service.jobs_of_documents == {"a.pdf": 1}
    assert run.xcoms("output_metadata_uri") == [service.jobs[0].output_metadata_uri]
    assert {start.try_number for start in run.starts()} == {1}


class TestAUserClears:
    def test_a_finished_task_and_gets_a_new_job(self, airflow, service):
        service.upload("a.pdf")
        run = airflow.trigger("submits", key="a.pdf")
        for count in (1, 2, 3):
            assert run.end() == ["success"]
            assert service.jobs_of_documents == {"a.pdf": count}
            assert run.xcoms() == [service.jobs[-1].invocation_arn]
            if count < 3:
                run.clear()
        assert len(set(tokens(service))) == 3
        assert [(start.try_number, start.max_tries - start.retries) for start in run.starts()] == [
            (1, 0),
            (2, 1),
            (3, 2),
        ]

    def test_a_task_whose_last_tries_were_killed_and_gets_a_new_job(self, airflow, service):
        """The count of clears grows by what was used up, and stays through the retries after it."""
        service.upload("a.pdf")
        run = airflow.trigger("submits", key="a.pdf")
        service.on_job_created(lambda job: len(service.jobs) < 3 and run.start_of_try(2 * len(service.jobs) - 1).kill())
        assert run.end() == ["success"]
        run.clear()
        eventually(lambda: run.starts()[-1].try_number == 4, what="the retry after the clear starts")
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 2}
        assert [(start.try_number, start.max_tries - start.retries) for start in run.starts()] == [
            (1, 0),
            (2, 0),
            (3, 2),
            (4, 2),
        ]

    @pytest.mark.skipif(
        AIRFLOW_VERSION == (3, 0), reason="this Airflow leaves a running task that is cleared restarting"
    )
    def test_a_running_task_and_gets_a_new_job_if_airflow_tells_it(self, airflow, service):
        """It does so from 3.2 on. In 2.11 this looks like a retry, which finds the job that runs."""
        service.upload("a.pdf")
        service.hold_jobs()
        run = airflow.trigger("blocks", key="a.pdf")
        (job,) = service.wait_for_jobs(1)
        service.wait_for_polls(job)
        run.clear()
        run.start_of_try(2)
        service.let_jobs_go()
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 2 if AIRFLOW_VERSION >= (3, 2) else 1}


class TestAJobFails:
    def test_on_the_service_s_side_and_the_retry_starts_one_new_job(self, airflow, service):
        service.upload("a.pdf")
        service.faults.add("failed_job", status="ServiceError", times=2)
        run = airflow.trigger("blocks", key="a.pdf")
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 3}
        assert len(set(tokens(service))) == 3
        assert run.xcoms() == [service.jobs[-1].invocation_arn]
        assert [(start.try_number, start.max_tries - start.retries) for start in run.starts()] == [
            (1, 0),
            (2, 0),
            (3, 0),
        ]

    def test_and_the_retry_is_killed_in_turn(self, airflow, service):
        service.upload("a.pdf")
        service.faults.add("failed_job", status="ServiceError", times=1)
        run = airflow.trigger("blocks", key="a.pdf")
        service.on_job_created(lambda _: len(service.jobs) == 2 and run.start_of_try(2).kill())
        assert run.end() == ["success"]
        assert [start.try_number for start in run.starts()] == [1, 2, 3]
        assert service.jobs_of_documents == {"a.pdf": 2}
        assert run.xcoms() == [service.jobs[-1].invocation_arn]

    def test_in_the_triggerer_s_sight(self, airflow, service):
        service.upload("a.pdf")
        service.faults.add("failed_job", status="ServiceError", times=1)
        run = airflow.trigger("defers", key="a.pdf")
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 2}
        assert run.xcoms() == [service.jobs[-1].invocation_arn]

    @pytest.mark.parametrize("dag_id", ["blocks", "defers"])
    def test_by_its_input_and_is_not_tried_again(self, airflow, service, dag_id):
        service.upload("a.pdf")
        service.faults.add("failed_job", status="ClientError")
        run = airflow.trigger(dag_id, key="a.pdf")
        assert run.end() == ["failed"]
        assert {start.try_number for start in run.starts()} == {1}
        assert service.jobs_of_documents == {"a.pdf": 1}


class TestAUserChooses:
    def test_a_job_for_each_try(self, airflow, service):
        service.upload("a.pdf")
        service.hold_jobs()
        run = airflow.trigger("starts_anew", key="a.pdf")
        (job,) = service.wait_for_jobs(1)
        service.wait_for_polls(job)
        run.start_of_try(1).kill()
        service.wait_for_jobs(2)
        service.let_jobs_go()
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 2}
        assert len(set(tokens(service))) == 2

    def test_the_token(self, airflow, service):
        """Two runs, and a clear, with one token: one job."""
        service.upload("a.pdf")
        runs = [airflow.trigger("has_its_own_token", key="a.pdf", token="invoice-0815") for _ in range(2)]
        assert [run.end() for run in runs] == [["success"], ["success"]]
        runs[0].clear()
        assert runs[0].end() == ["success"]
        assert tokens(service) == ["invoice-0815"]


class TestTasksThatAreNotAlone:
    def test_each_mapped_task_has_its_own_job(self, airflow, service):
        service.upload("first.pdf", "second.pdf")
        run = airflow.trigger("is_mapped")
        assert run.end() == ["success"] * 3
        assert service.jobs_of_documents == {"first.pdf": 2, "second.pdf": 1}
        assert len(set(tokens(service))) == 3
        assert sorted(run.xcoms()) == sorted(job.invocation_arn for job in service.jobs)

    def test_two_tasks_with_the_same_request_have_two_jobs(self, airflow, service):
        service.upload("a.pdf")
        assert airflow.trigger("has_twins", key="a.pdf").end() == ["success"] * 2
        assert len(set(tokens(service))) == 2

    def test_two_runs_with_the_same_request_have_two_jobs(self, airflow, service):
        service.upload("a.pdf")
        runs = [airflow.trigger("submits", key="a.pdf") for _ in range(2)]
        assert [run.end() for run in runs] == [["success"], ["success"]]
        assert len(set(tokens(service))) == 2

    def test_a_task_in_a_group(self, airflow, service):
        service.upload("a.pdf")
        run = airflow.trigger("is_grouped", key="a.pdf")
        service.on_job_created(lambda _: run.start_of_try(1).kill())
        assert run.end() == ["success"]
        assert [start.task_id for start in run.starts()] == ["documents.invoke"] * 2
        assert service.jobs_of_documents == {"a.pdf": 1}


def test_each_day_of_a_backfill_has_one_job(airflow, service):
    month = next(MONTHS)
    days = (f"2024-{month:02}-01", f"2024-{month:02}-02")
    service.upload(*(f"{day}.pdf" for day in days))
    service.faults.add("lost_answer", operation=INVOKE, times=2)
    airflow.backfill("is_daily", *days)
    eventually(
        lambda: (
            airflow.query("SELECT state FROM dag_run WHERE dag_id = 'is_daily' AND run_id LIKE ?", f"%{days[0][:8]}%")
            == [("success",)] * 2
        ),
        what="both days are done",
        describe=airflow.tell_of_logs,
    )
    assert service.jobs_of_documents == {f"{day}.pdf": 1 for day in days}


@pytest.mark.skipif(not HAS_TASK_STATE_STORE, reason="this Airflow keeps no state of tasks")
class TestTheTaskStateStore:
    def test_holds_what_is_to_be_submitted_before_it_is(self, airflow, service):
        service.upload("a.pdf")
        run = airflow.trigger("submits", key="a.pdf")
        seen = []
        service.on_job_created(lambda job: seen.append((job.order.client_token, stored(run))))
        assert run.end() == ["success"]
        ((token, intent),) = seen
        assert intent["invocation_arn"] is None
        assert "s3://" not in str(intent)
        assert token == service.jobs[0].client_token

    def test_holds_the_job_s_arn_before_the_wait_starts(self, airflow, service):
        service.upload("a.pdf")
        service.hold_jobs()
        run = airflow.trigger("defers", key="a.pdf")
        (job,) = service.wait_for_jobs(1)
        service.wait_for_polls(job)
        assert stored(run)["invocation_arn"] == job.invocation_arn
        service.let_jobs_go()
        assert run.end() == ["success"]

    def test_never_undoes_a_clear(self, airflow, service):
        service.upload("a.pdf")
        run = airflow.trigger("submits", key="a.pdf")
        assert run.end() == ["success"]
        first = stored(run)
        run.clear()
        assert run.end() == ["success"]
        assert service.jobs_of_documents == {"a.pdf": 2}
        assert run.xcoms() == [service.jobs[1].invocation_arn]
        assert stored(run)["life"] != first["life"]

    def test_finds_a_job_whose_token_the_service_has_forgotten(self, airflow, service):
        service.upload("a.pdf")
        service.hold_jobs()
        run = airflow.trigger("blocks", key="a.pdf")
        (job,) = service.wait_for_jobs(1)
        service.wait_for_polls(job)
        invokes = service.calls[INVOKE]
        run.start_of_try(1).kill()
        run.start_of_try(2)
        service.let_jobs_go()
        assert run.end() == ["success"]
        # The retry did not ask by the token at all.
        assert service.calls[INVOKE] == invokes


def stored(run):
    """Read the one entry of the task in Airflow's store."""
    ((key, value),) = run.airflow.query(
        "SELECT store.key, store.value FROM task_state_store AS store WHERE dag_id = ? AND run_id = ?",
        run.dag_id,
        run.run_id,
    )
    assert key == "bda_job"
    return decoded(value)
