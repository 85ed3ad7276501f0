"""On a running Airflow: the table of decision 2, row by row. What happens to a task, and whose job its next try has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_processes.eventually import eventually
from airflow_processes.fixtures import Service
from airflow_processes.running import RunningAirflow
from airflow_processes.settings import AIRFLOW_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.running_airflow

SAME_JOB, NEW_JOB = "the same job", "a new job"
# A clear sets max_tries to the tries that were used, here one, plus the retries of the DAG, here edited from 3 to 2.
MAX_TRIES = {3}
DAG_IDS = {"blocks", "defers", "says_its_try", "has_company", "goes_on", "is_mapped", "is_grouped"}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, migrated_database, bda_server):
    settings = tmp_path_factory.mktemp("settings")
    running = RunningAirflow(
        tmp_path_factory.mktemp("airflow"),
        database=migrated_database,
        environment={
            **Service(bda_server).environment,
            "DECISIONS_SETTINGS": str(settings),
            # So that the scheduler sees each edit when it is told to read the DAGs again.
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "0",
        },
        dags=Path(__file__).parent / "dags",
        dag_ids=DAG_IDS,
    )
    running.settings = settings
    try:
        running.start()
        yield running
    finally:
        running.end()


class Scene:
    """One task and its job, which waits until it is let go, and the hand that edits the DAG."""

    def __init__(self, airflow: RunningAirflow, service: Service) -> None:
        self.airflow = airflow
        self.service = service
        self.run: Any = None

    def write(self, *, scheduler_sees_it: bool = True, **settings: int) -> None:
        """Edit the DAG file. Workers read it for each task; the scheduler sees it when it is told."""
        for name, value in settings.items():
            (self.airflow.settings / name).write_text(str(value))
        if scheduler_sees_it:
            self.airflow.read_dags_again()

    def start(self, dag_id: str = "blocks", **arguments: Any) -> None:
        self.run = self.airflow.trigger(dag_id, **arguments)

    def wait_for_job(self, count: int = 1) -> None:
        jobs = self.service.wait_for_jobs(count)
        self.service.wait_for_polls(jobs[-1])

    def wait_for_try(self, number: int, **arguments: Any) -> None:
        self.run.start_of_try(number, **arguments)

    def wait_for_state(self, state: str, task_id: str = "invoke") -> None:
        eventually(
            lambda: any(ti.state == state for ti in self.run.instances() if ti.task_id.endswith(task_id)),
            what=f"{task_id} is {state}",
            describe=lambda: str(self.run.instances()),
        )

    def end(self) -> None:
        self.service.let_jobs_go()
        assert set(self.run.end()) == {"success"}

    def documents(self) -> int:
        """How many jobs the document has."""
        return self.service.jobs_of_documents["a.pdf"]


@pytest.fixture
def scene(airflow, service):
    edited = [file.unlink() for file in airflow.settings.iterdir()]
    if edited:
        airflow.read_dags_again()
    service.upload("a.pdf", "b.pdf")
    return Scene(airflow, service)


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    :param happens: lets it happen, from the start of the run to the try in question.
    :param becomes: whose job that try is about, by the first version of Airflow from which on that is so.
    """

    event: str
    happens: Callable[[Scene], None]
    becomes: dict[tuple[int, int], str]
    missing_on: tuple[tuple[int, int], ...] = ()

    @property
    def expected(self) -> str:
        return self.becomes[max(version for version in self.becomes if version <= AIRFLOW_VERSION)]


def always(what: str) -> dict[tuple[int, int], str]:
    return {(2, 11): what}


def a_worker_is_killed(scene: Scene, dag_id: str = "blocks", **arguments: Any) -> None:
    scene.service.hold_jobs()
    scene.start(dag_id)
    scene.wait_for_job()
    scene.run.start_of_try(1, **arguments).kill()
    scene.wait_for_try(2, **arguments)


def a_try_fails_after_its_job(scene: Scene) -> None:
    scene.write(fails_after_try=1, scheduler_sees_it=False)
    scene.start()
    scene.wait_for_try(2)


def retries_change_between_two_tries(scene: Scene, *, to: int, seen: bool) -> None:
    scene.write(retry_delay=5)
    scene.service.hold_jobs()
    scene.start()
    scene.wait_for_job()
    scene.run.start_of_try(1).kill()
    scene.wait_for_state("up_for_retry")
    scene.write(retries=to, scheduler_sees_it=seen)
    scene.wait_for_try(2)


def a_finished_run_is_cleared(scene: Scene, task_id: str | None = "invoke", dag_id: str = "blocks") -> None:
    scene.start(dag_id)
    scene.end()
    scene.run.clear(task_id)
    scene.wait_for_try(2)


def a_finished_run_is_cleared_whose_user_wants_its_job_kept(scene: Scene) -> None:
    """Clear as the command line does, which keeps the task's state from Airflow 3.3 on."""
    scene.write(reattach_after_clear=1, scheduler_sees_it=False)
    a_finished_run_is_cleared(scene)


def a_mapped_task_is_cleared(scene: Scene) -> None:
    scene.start("is_mapped")
    scene.end()
    scene.run.clear()
    scene.wait_for_try(2, map_index=0)


def retries_are_lowered_by_what_was_used_and_the_finished_run_cleared(scene: Scene) -> None:
    scene.start()
    scene.end()
    scene.write(retries=2)
    scene.run.clear()
    scene.wait_for_try(2)
    assert max_tries_of(scene) == MAX_TRIES


def retries_are_lowered_by_what_was_used_and_the_task_cleared_while_the_run_goes_on(scene: Scene) -> None:
    the_next_task_waits(scene)
    scene.write(retries=2)
    scene.run.clear()
    scene.wait_for_try(2)
    assert max_tries_of(scene) == MAX_TRIES


def max_tries_of(scene: Scene) -> set[int]:
    return {start.max_tries for start in scene.run.starts() if start.task_id == "invoke"}


def the_next_task_waits(scene: Scene) -> None:
    """Let the task end, while the one after it waits for its job, so that the run goes on."""
    scene.service.on_job_created(lambda job: job.order.input_uri.key == "b.pdf" and scene.service.hold_jobs())
    scene.start("goes_on")
    scene.service.wait_for_jobs(2)
    scene.wait_for_state("running", "other")


def the_task_is_cleared_while_the_run_goes_on(scene: Scene) -> None:
    the_next_task_waits(scene)
    scene.run.clear()
    scene.wait_for_try(2)


def another_task_is_cleared_while_this_one_waits_for_its_retry(scene: Scene) -> None:
    scene.write(retry_delay=6)
    scene.service.hold_jobs()
    scene.start("has_company")
    scene.wait_for_job(2)
    start = next(start for start in scene.run.starts() if start.task_id == "invoke")
    start.kill()
    scene.wait_for_state("up_for_retry")
    scene.service.let_jobs_go()
    scene.wait_for_state("success", "other")
    scene.run.clear("other")
    eventually(
        lambda: any(start.task_id == "invoke" and start.try_number == 2 for start in scene.run.starts()),
        what="the retry starts",
    )


def a_running_task_is_cleared(scene: Scene) -> None:
    scene.service.hold_jobs()
    scene.start()
    scene.wait_for_job()
    scene.run.clear()
    scene.wait_for_try(2)


def a_deferred_task_is_cleared(scene: Scene) -> None:
    scene.service.hold_jobs()
    scene.start("defers")
    scene.wait_for_job()
    scene.wait_for_state("deferred")
    scene.run.clear()
    scene.wait_for_try(2)


def a_waiting_retry_is_cleared(scene: Scene) -> None:
    scene.write(retry_delay=300)
    scene.service.hold_jobs()
    scene.start()
    scene.wait_for_job()
    scene.run.start_of_try(1).kill()
    scene.wait_for_state("up_for_retry")
    scene.run.clear()
    scene.wait_for_try(2)


def the_run_is_deleted_and_created_again(scene: Scene) -> None:
    scene.start()
    scene.end()
    scene.airflow.delete(scene.run)
    time.sleep(0.1)
    scene.start(run_id=scene.run.run_id)
    eventually(lambda: len(scene.run.starts()) == 2, what="the new run's task starts")


def a_template_changes_the_request(scene: Scene) -> None:
    a_worker_is_killed(scene, "says_its_try")


def the_job_fails_on_the_service_s_side(scene: Scene) -> None:
    scene.service.faults.add("failed_job", status="ServiceError", times=1)
    scene.start()
    scene.wait_for_try(2)


def the_same_to_a_worker_that_reads_fewer_retries(scene: Scene) -> None:
    scene.service.faults.add("failed_job", status="ServiceError", times=1)
    scene.write(retries=1, scheduler_sees_it=False)
    scene.start()
    scene.wait_for_try(2)


def tries_end_before_they_submit(scene: Scene) -> None:
    """Have the third try start the first job, which fails at once where the service's times reach us, else soon."""
    scene.service.configure(in_progress_seconds=3 if AIRFLOW_VERSION == (3, 0) else 0)  # botocore is too old there
    scene.service.faults.add("failed_job", status="ServiceError", times=1)
    scene.write(fails_before_try=2, scheduler_sees_it=False)
    scene.start()
    scene.wait_for_try(4)


TABLE = (
    Row("a worker is killed", a_worker_is_killed, always(SAME_JOB)),
    Row(
        "a mapped task's worker is killed", lambda s: a_worker_is_killed(s, "is_mapped", map_index=0), always(SAME_JOB)
    ),
    Row("a grouped task's worker is killed", lambda s: a_worker_is_killed(s, "is_grouped"), always(SAME_JOB)),
    Row("a try fails after its job ended", a_try_fails_after_its_job, always(SAME_JOB)),
    Row(
        "retries lowered between two tries",
        lambda s: retries_change_between_two_tries(s, to=1, seen=True),
        always(SAME_JOB),
    ),
    Row(
        "retries lowered, and the worker alone sees it",
        lambda s: retries_change_between_two_tries(s, to=2, seen=False),
        always(SAME_JOB),
    ),
    Row(
        "retries raised between two tries",
        lambda s: retries_change_between_two_tries(s, to=5, seen=True),
        always(SAME_JOB),
    ),
    Row(
        "another task of the run is cleared",
        another_task_is_cleared_while_this_one_waits_for_its_retry,
        always(SAME_JOB),
    ),
    Row("a template changes the request", a_template_changes_the_request, {(2, 11): NEW_JOB, (3, 3): SAME_JOB}),
    Row("the job ends in ServiceError", the_job_fails_on_the_service_s_side, always(NEW_JOB)),
    Row(
        "the same, and the worker reads fewer retries",
        the_same_to_a_worker_that_reads_fewer_retries,
        always(NEW_JOB),
    ),
    Row("the same, after tries that submitted nothing", tries_end_before_they_submit, always(NEW_JOB)),
    Row("the finished task is cleared", a_finished_run_is_cleared, always(NEW_JOB)),
    Row("the finished run is cleared", lambda s: a_finished_run_is_cleared(s, None), always(NEW_JOB)),
    Row(
        "the finished task is cleared, its state kept, and reattach_after_clear set",
        a_finished_run_is_cleared_whose_user_wants_its_job_kept,
        {(2, 11): NEW_JOB, (3, 4): SAME_JOB},
    ),
    Row("a mapped task is cleared", a_mapped_task_is_cleared, always(NEW_JOB)),
    Row("a task is cleared during its run", the_task_is_cleared_while_the_run_goes_on, always(NEW_JOB)),
    Row("a deferred task is cleared", a_deferred_task_is_cleared, always(NEW_JOB)),
    Row("a task that waits for its retry is cleared", a_waiting_retry_is_cleared, always(NEW_JOB)),
    Row(
        "retries lowered by what was used, then the finished run cleared",
        retries_are_lowered_by_what_was_used_and_the_finished_run_cleared,
        always(NEW_JOB),
    ),
    Row(
        "the same during the run",
        retries_are_lowered_by_what_was_used_and_the_task_cleared_while_the_run_goes_on,
        {(2, 11): SAME_JOB, (3, 2): NEW_JOB},
    ),
    Row(
        "a running task is cleared",
        a_running_task_is_cleared,
        {(2, 11): SAME_JOB, (3, 2): NEW_JOB},
        missing_on=((3, 0),),  # it leaves a running task that is cleared restarting
    ),
    Row("the run is deleted and created again", the_run_is_deleted_and_created_again, always(NEW_JOB)),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.event)
def test_a_row_of_the_decision_table(scene, row):
    if AIRFLOW_VERSION in row.missing_on:
        pytest.skip(f"Airflow {AIRFLOW_VERSION} cannot do this")

    row.happens(scene)
    scene.end()

    assert scene.documents() == {SAME_JOB: 1, NEW_JOB: 2}[row.expected]
    assert scene.service.jobs[-1].invocation_arn in scene.run.xcoms()
