"""
One schedule of tasks with a document each: their tries, clears and loops, and what goes wrong; then the invariants.

The operator, its trigger, the search for the one job of a task and its client tokens are the real ones. Some tasks of
one run have the same request, and share the service and its quotas.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_model import TaskModel, execute, fire, resume
from schedule import KILLED, Result, Schedule

from airflow_bda._compat import AirflowFailException
from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.service.arns import derive_profile_arn
from airflow_bda.service.errors import BdaError, BdaServiceError
from airflow_bda.triggers.bda import BdaStatusTrigger

if TYPE_CHECKING:
    from batch_model import Job, Process

OUTPUT = "s3://outputs/results"
PROFILE = derive_profile_arn(region="us-east-1", account="111122223333")
MOST_TRIES = 40
DAY = 86400.0


@dataclass
class Life:
    """
    From the creation of a task instance, or its last clear that it can tell, to the next one.

    :param epoch: what its jobs are marked with in the model.
    :param tries: how many processes were given to ``execute``.
    """

    epoch: int
    tries: int = 0
    failed: list[int] = field(default_factory=list)


class OneTask:
    """One task instance and its document."""

    def __init__(self, schedule: OneJobSchedule, uri: str, map_index: int) -> None:
        self.schedule, self.uri = schedule, uri
        self.rng, self.model = schedule.rng, schedule.model
        self.task = TaskModel(schedule.dag_run, self.rng, retries=MOST_TRIES, map_index=map_index)
        self.waits = self.rng.random() < 0.9
        # A template with the number of the try makes every try's request another one.
        self.changes = self.rng.random() < 0.3
        self.is_deferred = False
        self.lives: list[Life] = []
        self.new_life()

    def new_life(self) -> None:
        self.life = Life(self.schedule.next_epoch())
        self.lives.append(self.life)

    # -- Airflow

    async def live(self) -> None:
        """Try the task until it succeeds, or until Airflow gives it up."""
        ended: Any = None
        while self.task.may_retry:
            is_same = ended == KILLED and self.rng.random() < 0.1
            before, clock_was_right = self.last_job(), self.model.clock_offset == 0.0
            failed_with = ended
            ended = await self.one_try(is_same=is_same)
            if isinstance(failed_with, BdaServiceError) and clock_was_right:
                self.check_new_job(before, ended)
            if isinstance(ended, (str, AirflowFailException)) and ended != KILLED:
                self.check_end(ended)
                return
            await asyncio.sleep(self.rng.uniform(0, 30))
        self.model.violations.append(f"{self.uri} did not end in {self.task.try_number} tries: {ended!r}")

    async def one_try(self, *, is_same: bool) -> Any:
        """Run a try; return the job's ARN, the error that it failed with, or that it was killed."""
        self.task.next_try(again=is_same)
        process = self.process("worker")
        self.life.tries += 1
        self.schedule.tell(f"{self.uri}, try {self.task.try_number} in {process.name}")
        ended = await self.in_process(process, execute(self.operator(), self.task.context(process), process))
        while isinstance(ended, BdaStatusTrigger):
            tried = self.task.try_number
            event = await self.in_triggerer(ended)
            if event == KILLED:
                return KILLED
            process = self.process("worker")
            work = resume(self.operator(), self.task.context(process), process, event, tried)
            ended = await self.in_process(process, work)
        return ended

    async def in_process(self, process: Process, work: Any) -> Any:
        return await self.schedule.to_its_end(process, work)

    async def in_triggerer(self, trigger: BdaStatusTrigger) -> Any:
        """Run the trigger until its event arrives, however often its triggerer dies, or until the task is cleared."""
        self.is_deferred = True
        try:
            while self.is_deferred:
                process = self.process("triggerer")
                event = await self.in_process(process, fire(trigger, process))
                if isinstance(event, dict) and not (self.schedule.is_rough and self.rng.random() < 0.1):
                    return event
            return KILLED
        finally:
            self.is_deferred = False

    def process(self, kind: str) -> Process:
        process = self.schedule.process(kind)
        process.epoch = self.life.epoch
        process.serves = self
        if process.dies_at is not None and self.rng.random() < 0.5:
            # Between the intent, the submit and the entry of its job, which are among the first steps.
            process.dies_at, process.dies_after_effect = self.rng.randint(1, 5), True
        return process

    def operator(self) -> BdaInvokeOperator:
        """Return the task as a process reads it from the DAG file."""
        return BdaInvokeOperator(
            task_id="task",
            input_s3_uri=self.uri,
            output_s3_uri=OUTPUT,
            profile_arn=PROFILE,
            tags={"try": str(self.task.try_number)} if self.changes else None,
            wait_for_completion=self.waits,
            deferrable=self.schedule.deferrable,
            max_wait=self.max_wait(),
        )

    def max_wait(self) -> float:
        """Draw how long the task waits. At first it may be too short for the job."""
        is_short = self.schedule.is_rough and self.task.try_number < 6 and self.rng.random() < 0.3
        return self.rng.uniform(5.0, 300.0) if is_short else DAY

    # -- users

    def clear_under_way(self, process: Process) -> None:
        """Clear the task while it runs or is deferred."""
        version = self.task.run.version
        if self.is_deferred:
            self.task.clear(run_has_ended=False)
        elif version == (3, 0):
            # There a running task that is cleared is left alone, for ever.
            return
        else:
            self.task.clear_running()
        if self.is_deferred or version >= (3, 2):
            self.new_life()
        self.schedule.tell(f"the user clears {self.uri} while {process.name} runs")
        self.is_deferred = False
        process.kill()

    def clear(self) -> None:
        self.schedule.tell(f"the user clears {self.uri}")
        self.task.clear(run_has_ended=self.rng.random() < 0.5)
        self.new_life()

    # -- what must hold

    def jobs(self, life: Life | None = None) -> list[Job]:
        return [job for job in self.model.jobs if job.epoch == (life or self.life).epoch]

    def last_job(self) -> int:
        return max((job.number for job in self.jobs()), default=-1)

    def may_have_more_jobs(self) -> bool:
        """Whether each request of a life is one of its own: there is no store that could tell."""
        return self.changes and self.task.run.version < (3, 3)

    def check_new_job(self, before: int, ended: Any) -> None:
        """Expect another job in the whole try that follows a job that was seen to fail on the service's side."""
        if ended != KILLED and not isinstance(ended, BdaError) and self.last_job() == before:
            self.model.violations.append(f"{self.uri} got no new job after ServiceError: {ended!r}")

    def check_end(self, ended: Any) -> None:
        """Expect of a task that succeeded that it is about the last job of its life."""
        jobs = self.jobs()
        if not jobs:
            self.model.violations.append(f"{self.uri} ended in {ended!r} without a job of this life")
        elif isinstance(ended, str) and ended != jobs[-1].arn:
            self.model.violations.append(f"{self.uri} ended with {ended}, and its last job is {jobs[-1]}")
        elif isinstance(ended, str) and self.waits and jobs[-1].status(self.model.loop.time()) != "Success":
            self.model.violations.append(f"{self.uri} ended well with a job that did not: {jobs[-1]}")

    def check_bills(self) -> None:
        """Allow a second job only where the first had failed on the service's side, and one a try at the most."""
        for life in self.lives:
            jobs = self.jobs(life)
            # A worker whose clock is ahead of the service's takes a job that it has just made for an earlier try's.
            if len(jobs) > life.tries and not self.schedule.was_ahead:
                self.model.violations.append(f"{self.uri} had {len(jobs)} jobs in {life.tries} tries of a life")
            for earlier, later in pairwise(jobs) if not self.may_have_more_jobs() else ():
                if earlier.status(later.created_at) != "ServiceError":
                    self.model.violations.append(f"two jobs for {self.uri}: {earlier} {later}")


class OneJobSchedule(Schedule):
    """Some tasks of one run."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.tasks: list[OneTask] = []
        self.epochs = 0
        self.clears_left = self.rng.choice((0, 1, 3))

    def documents_in_all(self) -> int:
        return len(self.tasks)

    def next_epoch(self) -> int:
        self.epochs += 1
        return self.epochs

    async def everything(self) -> None:
        rng, model = self.rng, self.model
        model.weather = self.weather()
        model.concurrency, model.quota = rng.choice((1, 3, 20)), rng.choice((1, 6, 1800))
        model.service_error = rng.choice((0.0, 0.1, 0.5))
        model.other_request = rng.choice(("answer", "refuse"))
        model.job_seconds = rng.choice(((0.5, 3.0), (5.0, 60.0), (600.0, 3600.0)))
        # Without the service's times, jobs that fail within two seconds, or answers that take as long, hide which try
        # made a job; docs/decisions/0002-one-job-for-a-document.md says so.
        model.tells_times = rng.random() < 0.7 or model.weather.latency > 1 or model.job_seconds[0] < 2
        same = rng.random() < 0.5
        for number in range(rng.choice((1, 1, 2, 4))):
            uri = f"s3://inputs/{0 if same else number}.pdf"
            model.write(uri, b"bad" if rng.random() < 0.1 else b"good")
            self.tasks.append(OneTask(self, uri, number))
        for _ in range(rng.choice((1, 1, 2))):
            await asyncio.gather(*(task.live() for task in self.tasks))
            await asyncio.sleep(rng.uniform(0, 1000))
            await self.act_as_user()
        self.calm()
        await asyncio.gather(*(task.live() for task in self.tasks))
        await self.wake_the_stalled()
        for task in self.tasks:
            task.check_bills()

    async def act_as_user(self) -> None:
        """Clear the tasks, or delete the run and create it again."""
        if self.rng.random() < 0.3:
            self.tell("the user deletes the run, and creates it again")
            self.dag_run.create()
            for task in self.tasks:
                task.task.create()
                task.new_life()
            return
        for task in self.tasks:
            task.clear()

    def meddle(self, process: Process) -> None:
        """Clear the task that a process serves, or another one of the run."""
        if self.clears_left and self.rng.random() < 0.05:
            self.clears_left -= 1
            process.serves.clear_under_way(process)
        elif self.rng.random() < 0.1:
            self.tell("the user clears another task of the run")
            self.dag_run.clear(has_ended=False)


def run_one_job(seed: int) -> Result:
    """Run one schedule of tasks with a document each."""
    return OneJobSchedule(seed).run()
