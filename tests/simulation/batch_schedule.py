"""
One schedule: a batch, the lives of its task, and what goes wrong, all drawn from one seed; then the invariants.

A task's life is as Airflow has it: tries, each in a worker that plans and then blocks or defers; a trigger in one
triggerer, or by mistake in two; an event that may be lost; then perhaps a clear, a changed request, a changed object or
a run that is deleted and created again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from batch_model import Killed, Model, ModelJobs, ModelStore, Process, Weather
from virtual_time import VirtualLoop

from airflow_bda.engine.batch import ledger, planning, reporting, runner, state
from airflow_bda.engine.batch.documents import FAILED, SKIPPED, STATUSES, SUCCEEDED
from airflow_bda.engine.batch.planning import Source
from airflow_bda.engine.batch.session import (
    Attempt,
    BatchMovedOnError,
    Order,
    World,
    batch_folder,
    begin,
    run_or_follow,
)
from airflow_bda.engine.batch.session import run_round as run_in_worker
from airflow_bda.service.arns import derive_profile_arn
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

# Small parts, so that a batch of some documents has several, and several checkpoints.
PART_SIZE, MOST_OPEN_PARTS, PARTS_A_CHECKPOINT = 3, 2, 7
INPUT, OUTPUT = "s3://inputs/inbox/", "s3://outputs/results"
JOB = {
    "output_s3_uri": OUTPUT,
    "profile_arn": derive_profile_arn(region="us-east-1", account="111122223333"),
    "blueprints": ["arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"],
}
# Parts that are open, those whose seals are on their way to the ledger, and one that is being opened.
MOST_REMEMBERED = PART_SIZE * (MOST_OPEN_PARTS + 3)
MOST_TRIES = 40
ODD_NAMES = ("ä ö.pdf", "a+b.pdf", "x[1].pdf", "50%.pdf", "tab\t.pdf", "日本.pdf", "sub/dir/z.pdf")


@contextmanager
def small_sizes() -> Iterator[None]:
    """Shrink the sizes that would hide what a large batch meets."""
    sizes = [(module, "PART_SIZE", PART_SIZE) for module in (state, planning, runner, reporting)]
    sizes += [(runner, "_MOST_OPEN_PARTS", MOST_OPEN_PARTS), (ledger, "_PARTS_A_CHECKPOINT", PARTS_A_CHECKPOINT)]
    kept = [getattr(module, name) for module, name, _ in sizes]
    for module, name, size in sizes:
        setattr(module, name, size)
    try:
        yield
    finally:
        for (module, name, _), size in zip(sizes, kept, strict=True):
            setattr(module, name, size)


@contextmanager
def watched_memory(violations: list[str]) -> Iterator[None]:
    """Look at how many documents a ledger remembers one by one, whenever it takes something in."""
    apply = state.State.apply

    def apply_and_look(held: state.State, entry: Any) -> None:
        apply(held, entry)
        if len(held.open) > MOST_REMEMBERED and not violations:
            violations.append(f"the ledger remembers {len(held.open)} documents one by one")

    state.State.apply = apply_and_look  # type: ignore[method-assign]
    try:
        yield
    finally:
        state.State.apply = apply  # type: ignore[method-assign]


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
        self.model = Model(self.rng, self.loop)
        self.story: list[str] = []
        self.violations = self.model.violations
        self.processes = 0
        self.tries = 0
        self.clears = 0
        self.incarnation = 0
        self.is_new_run = True
        self.job = dict(JOB)
        self.force = False
        self.is_calm = False
        self.rounds = 0
        self.stalled: list[tuple[Process, asyncio.Task[Any]]] = []
        self.max_in_flight = self.rng.choice((1, 2, 4, 8))
        self.deferrable = self.rng.random() < 0.6
        self.kills = self.rng.choice((0, 0, 1, 2, 4))

    def run(self) -> Result:
        asyncio.set_event_loop(self.loop)
        try:
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
        calls = dict(self.model.calls)
        documents = sum(uri.startswith(INPUT) for uri in self.model.objects)
        jobs = len(self.model.jobs)
        return Result(self.seed, list(self.violations), jobs, documents, calls, self.loop.time(), self.story)

    def tell(self, line: str) -> None:
        self.story.append(f"{self.loop.time():9.1f} {line}")

    # -- the setting

    def arrange(self) -> None:
        rng, model = self.rng, self.model
        names = [f"{number:03d}.pdf" for number in range(rng.choice((1, 2, 5, 9, 14, 30)))]
        names += [name for name in ODD_NAMES if rng.random() < 0.1]
        for name in names:
            model.write(f"{INPUT}{name}", b"bad" if rng.random() < model.client_error else name.encode())
        if rng.random() < 0.3:
            model.write(f"{INPUT}notes.txt", b"no document")
            model.write(f"{INPUT}empty.pdf", b"")
        model.has_versions = rng.random() < 0.2
        model.concurrency = rng.choice((1, 3, 20))
        model.quota = rng.choice((2, 6, 1800))
        model.service_error = rng.choice((0.0, 0.1, 0.5))
        model.weather = Weather(
            throttled=rng.choice((0.0, 0.0, 0.05)),
            unreachable=rng.choice((0.0, 0.0, 0.05)),
            lost_answers=rng.choice((0.0, 0.1)),
            latency=rng.choice((0.02, 0.2, 2.0)),
        )
        if rng.random() < 0.2:
            begin = rng.uniform(0, 60)
            model.weather.storm = (begin, begin + rng.uniform(5, 120))

    async def everything(self) -> None:
        self.arrange()
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            await self.live()
            await self.act_as_user()
        self.calm()
        failed, epoch = self.failed_for_good(), self.model.epoch
        await self.live()
        await self.wake_the_stalled()
        self.check_end()
        for uri, jobs in failed.items() if epoch == self.model.epoch else ():
            if sum(job.uri == uri for job in self.model.jobs) == jobs:
                self.violations.append(f"a clear did not take {uri} up, which had failed")

    async def wake_the_stalled(self) -> None:
        """Let the processes go on that Airflow has given up: they must not spoil what others did meanwhile."""
        for process, task in self.stalled:
            process.stalled_until = min(process.stalled_until, self.loop.time() + 1.0)
            await asyncio.wait([task])
            ended = "is killed" if process.is_dead or task.cancelled() else repr(task.exception() or "ended well")
            self.tell(f"{process.name} goes on after its stall: {ended}")
            if not process.is_dead and not isinstance(task.exception(), (BdaError, type(None))):
                self.violations.append(f"{process.name} ended in {task.exception()!r} after its stall")

    def failed_for_good(self) -> dict[str, int]:
        """Return the documents that only a clear takes up, and how many jobs each has had."""
        found = self.model.objects.get(f"{OUTPUT}/_batch/batch/results.jsonl")
        rows = [json.loads(line) for line in found[0].splitlines()] if found else []
        failed = {row["input"] for row in rows if row["again"] == "clear" and row["arn"]} & self.model.objects.keys()
        return {uri: sum(job.uri == uri for job in self.model.jobs) for uri in failed}

    def calm(self) -> None:
        self.model.weather = Weather(latency=0.05)
        self.model.service_error = 0.0
        self.is_calm = True
        self.kills = 0

    # -- Airflow

    async def live(self) -> None:
        """Try the task until it succeeds, or until Airflow gives it up."""
        for _ in range(MOST_TRIES):
            self.tries += 1
            manifest = await self.one_try()
            if manifest is not None:
                self.check_manifest(manifest)
                if self.unfinished(manifest) and self.model.now() < self.until:
                    self.violations.append(f"a round left documents behind before its deadline: {manifest['counts']}")
                if not manifest["counts"][FAILED] and not self.unfinished(manifest):
                    return
                if not manifest["again"]["retry"] and not self.unfinished(manifest):
                    return
                if self.rng.random() < 0.3 and self.kills:
                    return
            await asyncio.sleep(self.rng.uniform(0, 30))
        self.violations.append(f"the batch did not end in {MOST_TRIES} tries")

    def unfinished(self, manifest: dict[str, Any]) -> int:
        return manifest["counts"]["running"] + manifest["counts"]["not_started"]

    async def one_try(self) -> dict[str, Any] | None:
        key = f"try {self.tries}"
        # A later round has less to do, and starts at once: its deadline comes while jobs of taken-up documents run.
        shortest = 90.0 if self.tries == 1 else self.rng.uniform(2.0, 90.0)
        deadline = timedelta(seconds=86400.0 if self.is_calm else self.rng.choice((86400.0, 86400.0, shortest)))
        until = self.until = self.model.now() + deadline
        life = f"life {self.incarnation}.{self.clears}"
        attempt = Attempt("task", life, key, f"run {self.incarnation}", 0 if self.is_new_run else self.clears)
        order = Order("batch", self.job, Source(prefix=INPUT), until, force=self.force)
        worker = self.process("worker")
        self.tell(f"{key} of {attempt.life} in {worker.name}")
        defers = self.deferrable

        async def work() -> dict[str, Any] | None:
            world = self.world(worker)
            held = await begin(order, attempt, world)
            try:
                if defers:
                    return None
                return await run_in_worker(held, ModelJobs(worker), world, max_in_flight=self.max_in_flight)
            finally:
                await held.close()

        ended = await self.to_its_end(worker, work())
        if ended == "killed" or isinstance(ended, BdaError):
            return None
        if not defers:
            self.check_deadline(until)
            return ended  # type: ignore[return-value]
        manifest = await self.in_triggerers(key)
        self.check_deadline(until)
        return manifest

    async def in_triggerers(self, key: str) -> dict[str, Any] | None:
        """Run the trigger until its event arrives, here or there, once or twice."""
        twins: list[asyncio.Task[Any]] = []
        try:
            while True:
                running = [task for task in twins if not task.done()]
                if not running or (len(running) < 2 and self.rng.random() < 0.15):
                    twins.append(asyncio.ensure_future(self.trigger(key)))
                    running.append(twins[-1])
                done, _ = await asyncio.wait(running, timeout=self.rng.uniform(5, 400), return_when="FIRST_COMPLETED")
                for task in done:
                    ended = task.result()
                    if isinstance(ended, dict):
                        if self.kills and self.rng.random() < 0.1:
                            self.tell("the event is lost")
                            continue
                        return ended
                    if isinstance(ended, BdaError):
                        return None
        finally:
            for task in twins:
                task.cancel()
            if twins:
                await asyncio.wait(twins)

    async def trigger(self, key: str) -> Any:
        triggerer = self.process("triggerer")
        self.tell(f"{key} in {triggerer.name}")
        world = self.world(triggerer)
        folder = batch_folder(world.store, OUTPUT, "batch")
        work = run_or_follow(folder, key, ModelJobs(triggerer), world, max_in_flight=self.max_in_flight)
        return await self.to_its_end(triggerer, work)

    def change_object(self) -> None:
        """Write over an object while its job may be about to start."""
        uri = self.rng.choice(self.documents())
        self.tell(f"{uri} is written over")
        if not self.model.objects[uri][0].startswith(b"bad"):
            self.model.write(uri, f"changed {self.rng.random()}".encode())

    def documents(self) -> list[str]:
        taken = (uri for uri in self.model.objects if uri.startswith(INPUT) and uri.endswith(".pdf"))
        return sorted(uri for uri in taken if not uri.endswith("empty.pdf"))

    def process(self, kind: str) -> Process:
        self.processes += 1
        process = Process(self.model, f"{kind} {self.processes}")
        if self.kills and self.rng.random() < 0.7:
            self.kills -= 1
            process.dies_at = self.rng.choice((self.rng.randint(1, 15), self.rng.randint(1, 120)))
            process.dies_after_effect = self.rng.random() < 0.5
        elif self.kills and self.rng.random() < 0.3:
            self.kills -= 1
            process.stalls_for = self.rng.choice((60.0, 600.0, 5000.0))
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
                    return "killed"
                if self.kills and self.rng.random() < 0.05:
                    jump = self.rng.choice((-30.0, 20.0, 3600.0))
                    self.tell(f"the clock jumps by {jump}")
                    self.model.clock_offset += jump
                if self.kills and self.rng.random() < 0.1:
                    self.change_object()
        except asyncio.CancelledError:
            process.kill()
            await asyncio.wait([task])
            raise
        if process.is_dead:
            self.tell(f"{process.name} is killed at step {process.steps}")
            with suppress(BaseException):
                task.result()
            return "killed"
        try:
            return task.result()
        except BdaError as error:
            self.tell(f"{process.name}: {type(error).__name__}: {error}")
            if not isinstance(error, BatchMovedOnError) and not self.kills and self.model.weather.storm[1] == 0:
                self.tell("an error in good times")
            return error

    def world(self, process: Process) -> World:
        return World(ModelStore(process), self.model.now, lambda line: self.tell(f"{process.name}: {line}"), self.tell)

    # -- the user

    async def act_as_user(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 1000))
        action = self.rng.choice(("clear", "clear", "change object", "change request", "force", "recreate", "vanish"))
        self.tell(f"the user: {action}")
        self.force = False
        self.clears += 1
        self.is_new_run = False
        uris = self.documents()
        if action == "change object":
            self.model.write(self.rng.choice(uris), f"changed {self.rng.random()}".encode())
        elif action == "vanish" and len(uris) > 1:
            del self.model.objects[self.rng.choice(uris)]
        elif action == "change request":
            self.job = {**self.job, "tags": {"change": str(self.clears)}}
            self.model.epoch += 1
        elif action == "force":
            self.force = True
            self.model.epoch += 1
        elif action == "recreate":
            self.incarnation += 1
            self.is_new_run = True
            self.model.epoch += 1

    # -- what must hold

    def check_deadline(self, until: Any) -> None:
        late = (self.model.now() - until).total_seconds()
        # Processes that die near the deadline are followed by others; each may look at every job once more.
        if late > 3600 + 3600:
            self.violations.append(f"a round ended {late:.0f} s after its deadline")

    def check_manifest(self, manifest: dict[str, Any]) -> None:
        self.tell(f"counts {manifest['counts']}, {manifest['errors'][:2]}")
        body, _ = self.model.objects[manifest["results_uri"]]
        rows = [json.loads(line) for line in body.splitlines()]
        inputs = [row["input"] for row in rows]
        if sorted(set(inputs)) != inputs:
            self.violations.append(f"the rows are not one a document, in order: {inputs}")
        if len(rows) != manifest["counts"]["total"]:
            self.violations.append(f"{len(rows)} rows for {manifest['counts']['total']} documents")
        known = self.jobs_in_the_ledger()
        for row in rows:
            self.check_row(row)
            last = known.get(row["input"])
            had_none = row["arn"] is None and row["status"] == FAILED  # vanished or refused after it was taken up again
            if last is not None and row["arn"] != last and not had_none:
                self.violations.append(f"a row tells of an earlier job than the ledger, which has {last}: {row}")

    def jobs_in_the_ledger(self) -> dict[str, str]:
        """Return the last job of each document that the ledger has had since the batch last began."""
        known: dict[str, str] = {}
        for uri in sorted(uri for uri in self.model.objects if uri.startswith(f"{OUTPUT}/_batch/batch/ledger/")):
            for line in self.model.objects[uri][0].splitlines():
                entry = json.loads(line)
                if entry.get("t") == "begin":
                    known = {}
                elif entry.get("t") == "job":
                    number = int(entry["arn"].rpartition("/")[2][:8])
                    known[self.model.jobs[number].uri] = entry["arn"]
        return known

    def check_row(self, row: dict[str, Any]) -> None:
        if row["status"] not in STATUSES:
            self.violations.append(f"a row has no status: {row}")
        if row["arn"] is None:
            if row["status"] in {SUCCEEDED, SKIPPED}:
                self.violations.append(f"a row has no job: {row}")
            return
        job = self.model.jobs[int(row["arn"].rpartition("/")[2][:8])]
        if job.uri != row["input"]:
            self.violations.append(f"a row has another document's job: {row}, {job}")
        status = job.status(self.loop.time())
        said = {SUCCEEDED: {"Success"}, SKIPPED: {"Success"}, FAILED: {"ServiceError", "ClientError"}}
        if status not in said.get(row["status"], {status}):
            self.violations.append(f"a row says {row['status']} of a job that is {status}: {row}, {job}")

    def check_end(self) -> None:
        body, _ = self.model.objects[f"{OUTPUT}/_batch/batch/results.jsonl"]
        rows = {row["input"]: row for row in map(json.loads, body.splitlines())}
        self.check_bills()
        bills = Counter(job.uri for job in self.model.jobs if job.epoch == self.model.epoch)
        for uri, row in rows.items():
            if row["status"] not in {SUCCEEDED, SKIPPED, FAILED}:
                self.violations.append(f"a document was lost in good times: {row}")
            if row["status"] == FAILED and row["again"] == "retry":
                self.violations.append(f"a document was not taken up again: {row}")
            if row["status"] == FAILED and row["error_type"] == "ServiceError":
                self.violations.append(f"ServiceError is the last word on {uri}")
            if row["status"] != SKIPPED and row["jobs"] != bills[uri]:
                self.violations.append(f"{uri} has {bills[uri]} jobs, and its row knows of {row['jobs']}: {row}")
        for job in self.model.jobs:
            row = rows.get(job.uri)
            is_current = row is not None and job.epoch == self.model.epoch and row["etag"] == job.etag
            if is_current and job.end == "Success" and row["arn"] != job.arn:
                self.violations.append(f"a job is forgotten: {job}; the row has {row}")

    def check_bills(self) -> None:
        """Allow another job only where the one before it had failed, and one for each try at the most."""
        by_document: dict[tuple[str, str, int], list[Any]] = {}
        for job in self.model.jobs:
            by_document.setdefault((job.uri, job.etag, job.epoch), []).append(job)
        for (uri, etag, epoch), jobs in by_document.items():
            for earlier, later in pairwise(jobs):
                if not earlier.status(later.created_at).endswith("Error"):
                    self.violations.append(f"two jobs for {uri} ({etag[:6]}, epoch {epoch}): {earlier} {later}")
            if len(jobs) > 1 + self.tries:
                self.violations.append(f"{len(jobs)} jobs for {uri} in {self.tries} tries")


def run_seed(seed: int) -> Result:
    """Run one schedule in this process."""
    schedule = Schedule(seed)
    with small_sizes(), watched_memory(schedule.violations):
        return schedule.run()
