"""What every schedule has: a seed that decides it all, processes that die, stall and see clocks jump, a story."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_model import VERSIONS, RunModel, in_place_of_airflow
from batch_model import Killed, Model, Process, Weather
from virtual_time import VirtualLoop

from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import Coroutine

# What became of a process that returned nothing.
KILLED = "killed"


@dataclass
class Result:
    seed: int
    violations: list[str]
    jobs: int = 0
    documents: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    simulated_seconds: float = 0.0
    story: list[str] = field(default_factory=list)


class Schedule:
    """
    Everything that happens under one seed.

    :param seed: decides it all.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311  repeatable on purpose
        random.seed(seed)
        self.loop = VirtualLoop()
        self.story: list[str] = []
        self.model = Model(self.rng, self.loop, tell=self.tell)
        self.violations = self.model.violations
        self.processes = 0
        self.version = self.rng.choice(VERSIONS)
        self.dag_run = RunModel(self.version, self.loop.time)
        self.stalled: list[tuple[Process, asyncio.Task[Any]]] = []
        self.deferrable = self.rng.random() < 0.6
        self.kills = self.rng.choice((0, 0, 1, 2, 4))
        self.was_ahead = False
        self.is_rough = self.rng.random() < 0.6

    def run(self) -> Result:
        asyncio.set_event_loop(self.loop)
        try:
            with in_place_of_airflow(self.model, self.version):
                self.loop.run_until_complete(self.everything())
                left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
                for task in left:
                    task.cancel()
                if left:
                    self.loop.run_until_complete(asyncio.wait(left))
            for error in self.loop.errors:
                if not isinstance(error.get("exception"), (Killed, BdaError)):
                    self.violations.append(f"a callback failed: {error}")
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            import traceback

            self.violations.append(f"the schedule ended in {error!r}: {traceback.format_exc()[-1500:]}")
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
        return Result(
            self.seed,
            list(self.violations),
            len(self.model.jobs),
            self.documents_in_all(),
            dict(self.model.calls),
            self.loop.time(),
            self.story,
        )

    async def everything(self) -> None:
        """Run the whole schedule, and note what promises were broken."""
        raise NotImplementedError

    def documents_in_all(self) -> int:
        raise NotImplementedError

    def tell(self, line: str) -> None:
        self.story.append(f"{self.loop.time():9.1f} {line}")

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self.model.weather = Weather(latency=0.05)
        self.model.service_error = 0.0
        self.kills = 0
        self.is_rough = False

    def weather(self) -> Weather:
        """Draw how bad the times are."""
        rng = self.rng
        weather = Weather(
            throttled=rng.choice((0.0, 0.0, 0.05)),
            unreachable=rng.choice((0.0, 0.0, 0.05)),
            lost_answers=rng.choice((0.0, 0.1)),
            latency=rng.choice((0.02, 0.2, 2.0)),
        )
        if rng.random() < 0.2:
            begin = rng.uniform(0, 60)
            weather.storm = (begin, begin + rng.uniform(5, 120))
        return weather

    # -- processes

    def process(self, kind: str) -> Process:
        self.processes += 1
        process = Process(self.model, f"{kind} {self.processes}", epoch=self.model.epoch)
        if self.kills and self.rng.random() < 0.7:
            self.kills -= 1
            process.dies_at = self.rng.choice((self.rng.randint(1, 15), self.rng.randint(1, 120)))
            process.dies_after_effect = self.rng.random() < 0.5
        elif self.kills and self.rng.random() < 0.3:
            self.kills -= 1
            process.stalls_for = self.rng.choice((60.0, 600.0, 5000.0))
            process.stalls_at = self.rng.choice((None, self.rng.randint(1, 40)))
        return process

    async def to_its_end(self, process: Process, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a process; return what it returned, its error, or that it was killed."""
        process.root = task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=self.rng.uniform(20, 200))
                if process.is_taken_for_dead.is_set() and not task.done():
                    self.tell(f"{process.name} stalls, and is taken for dead")
                    self.stalled.append((process, task))
                    return KILLED
                if self.is_rough and self.rng.random() < 0.05:
                    jump = self.rng.choice((-30.0, 20.0, 3600.0))
                    self.tell(f"the clock jumps by {jump}")
                    self.model.jump(jump)
                    self.was_ahead = self.was_ahead or self.model.clock_offset > 0
                if self.is_rough:
                    self.meddle(process)
        except asyncio.CancelledError:
            process.kill()
            await asyncio.wait([task])
            raise
        return self.how_it_ended(process, task)

    def how_it_ended(self, process: Process, task: asyncio.Task[Any]) -> Any:
        if process.is_dead:
            self.tell(f"{process.name} is killed at step {process.steps}")
            with suppress(BaseException):
                task.result()
            self.after_a_kill()
            return KILLED
        try:
            return task.result()
        except BdaError as error:
            self.tell(f"{process.name}: {type(error).__name__}: {error}")
            return error

    def after_a_kill(self) -> None:
        """Do what makes it hard for the next process to take up what the killed one did."""

    def meddle(self, process: Process) -> None:
        """Do what users do while a process runs."""

    async def wake_the_stalled(self) -> None:
        """Let the processes go on that Airflow has given up: they must not spoil what others did meanwhile."""
        for process, task in self.stalled:
            process.stalled_until = min(process.stalled_until, self.loop.time() + 1.0)
            await asyncio.wait([task])
            ended = "is killed" if process.is_dead or task.cancelled() else repr(task.exception() or "ended well")
            self.tell(f"{process.name} goes on after its stall: {ended}")
            if not process.is_dead and not isinstance(task.exception(), (BdaError, type(None))):
                self.violations.append(f"{process.name} ended in {task.exception()!r} after its stall")
