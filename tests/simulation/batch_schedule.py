"""
One schedule of a batch: the lives of its task, and what goes wrong, all drawn from one seed; then the invariants.

The operator and its trigger are the real ones. A task's life is as Airflow has it: tries, each in a worker that plans
and then blocks or defers; a trigger in one triggerer, or by mistake in two; an event that may be lost, and a worker
that resumes with it; then perhaps a clear, a changed request, a changed object or a run that is deleted and created
again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_model import TaskModel, execute, fire, resume
from schedule import KILLED, Result, Schedule

from airflow_bda._compat import AirflowFailException
from airflow_bda.engine.batch import documents, ledger, planning, reporting, runner
from airflow_bda.engine.batch.documents import FAILED, SKIPPED, STATUSES, SUCCEEDED
from airflow_bda.operators import BdaBatchOperator
from airflow_bda.operators.bda_batch import MANIFEST
from airflow_bda.service.arns import derive_profile_arn
from airflow_bda.service.errors import BdaServiceError, BdaTimeoutError
from airflow_bda.triggers.bda_batch import BdaBatchTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from batch_model import Process

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
# Twice as late as any round of thousands of schedules.
MOST_LATE_SECONDS = 1800.0
# The runner looks at the clock every 30 seconds; a call may be on its way for some seconds.
MOST_LATE_START_SECONDS = 45.0
ODD_NAMES = ("ä ö.pdf", "a+b.pdf", "x[1].pdf", "50%.pdf", "tab\t.pdf", "日本.pdf", "sub/dir/z.pdf")


@contextmanager
def small_sizes() -> Iterator[None]:
    """Shrink the sizes that would hide what a large batch meets."""
    sizes = [(module, "PART_SIZE", PART_SIZE) for module in (documents, planning, runner, reporting)]
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
    apply = documents.State.apply

    def apply_and_look(held: documents.State, entry: Any) -> None:
        apply(held, entry)
        if len(held.open) > MOST_REMEMBERED and not violations:
            violations.append(f"the ledger remembers {len(held.open)} documents one by one")

    documents.State.apply = apply_and_look  # type: ignore[method-assign]
    try:
        yield
    finally:
        documents.State.apply = apply  # type: ignore[method-assign]


class BatchSchedule(Schedule):
    """A batch and the lives of its task."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.task = TaskModel(self.dag_run, self.rng, retries=MOST_TRIES)
        self.tries = 0
        self.job = dict(JOB)
        self.force = False
        self.is_calm = False
        self.is_deferred = False
        self.max_in_flight = self.rng.choice((1, 2, 4, 8))
        self.seconds = 0.0
        self.untils: list[datetime] = []

    def documents_in_all(self) -> int:
        return sum(uri.startswith(INPUT) for uri in self.model.objects)

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
        model.tells_times = rng.random() < 0.7
        model.weather = self.weather()

    async def everything(self) -> None:
        self.arrange()
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            await self.live()
            await self.act_as_user()
        self.calm()
        self.is_calm = True
        failed, epoch = self.failed_for_good(), self.model.epoch
        await self.live()
        await self.wake_the_stalled()
        self.check_end()
        for uri, jobs in failed.items() if epoch == self.model.epoch else ():
            if sum(job.uri == uri for job in self.model.jobs) == jobs:
                self.violations.append(f"a clear did not take {uri} up, which had failed")

    def failed_for_good(self) -> dict[str, int]:
        """Return the documents that only a clear takes up, and how many jobs each has had."""
        found = self.model.objects.get(f"{OUTPUT}/_batch/batch/results.jsonl")
        rows = [json.loads(line) for line in found[0].splitlines()] if found else []
        # A job whose answer was lost at a deadline is known to no row: the next round follows it, and starts no other.
        last = {job.uri: job.arn for job in self.model.jobs}
        failed = {
            row["input"] for row in rows if row["again"] == "clear" and row["arn"] == last.get(row["input"], "none")
        }
        failed &= self.model.objects.keys()
        return {uri: sum(job.uri == uri for job in self.model.jobs) for uri in failed}

    # -- Airflow

    async def live(self) -> None:
        """Try the task until it succeeds, or until Airflow gives it up."""
        ended: Any = None
        while self.task.may_retry:
            ended = await self.one_try(is_same=ended == KILLED and self.rng.random() < 0.1)
            manifest = self.task.xcoms.get(MANIFEST)
            if manifest is not None:
                self.check_manifest(manifest)
                self.check_verdict(manifest, ended)
                if self.rng.random() < 0.3 and self.kills:
                    return
            if isinstance(ended, (dict, AirflowFailException)):
                return
            await asyncio.sleep(self.rng.uniform(0, 30))
        self.violations.append(f"the batch did not end in {self.task.try_number} tries: {ended!r}")

    def process(self, kind: str) -> Process:
        process = super().process(kind)
        process.attempt = self.task.try_number
        return process

    async def one_try(self, *, is_same: bool) -> Any:
        """
        Run a try; return the manifest, the error that it failed with, or that it was killed.

        :param is_same: whether Airflow starts the same try again.
        """
        self.tries += 1
        if self.task.next_try(again=is_same):
            # A later round has less to do, and starts at once: its deadline comes while jobs of taken-up documents run.
            shortest = 90.0 if self.tries == 1 else self.rng.uniform(2.0, 90.0)
            self.seconds = 86400.0 if self.is_calm else self.rng.choice((86400.0, 86400.0, shortest))
            self.untils = []
        # Whether the round began in an earlier process of the same try, and when, is in the ledger alone.
        self.untils.append(self.model.now() + timedelta(seconds=self.seconds))
        worker = self.process("worker")
        self.tell(f"try {self.task.try_number} in {worker.name}")
        ended = await self.to_its_end(worker, execute(self.operator(), self.task.context(worker), worker))
        while isinstance(ended, BdaBatchTrigger):
            tried = self.task.try_number
            event = await self.in_triggerers(ended)
            if event == KILLED:
                return KILLED
            worker = self.process("worker")
            context = self.task.context(worker)
            ended = await self.to_its_end(worker, resume(self.operator(), context, worker, event, tried))
        self.check_deadline()
        return ended

    def operator(self) -> BdaBatchOperator:
        """Return the task as a process reads it from the DAG file."""
        return BdaBatchOperator(
            task_id="task",
            input_s3_prefix=INPUT,
            batch_id="batch",
            max_in_flight=self.max_in_flight,
            max_wait=self.seconds,
            deferrable=self.deferrable,
            force=self.force,
            **self.job,
        )

    async def in_triggerers(self, trigger: BdaBatchTrigger) -> Any:
        """Run the trigger until its event arrives, here or there, once or twice; or until the task is cleared."""
        twins: list[asyncio.Task[Any]] = []
        self.is_deferred = True
        try:
            while self.is_deferred:
                running = [task for task in twins if not task.done()]
                if not running or (len(running) < 2 and self.rng.random() < 0.15):
                    twins.append(asyncio.ensure_future(self.trigger(trigger)))
                    running.append(twins[-1])
                done, _ = await asyncio.wait(running, timeout=self.rng.uniform(5, 400), return_when="FIRST_COMPLETED")
                for task in done:
                    event = task.result()
                    if isinstance(event, dict):
                        if self.is_rough and self.rng.random() < 0.1:
                            self.tell("the event is lost")
                            continue
                        return event
            return KILLED
        finally:
            self.is_deferred = False
            for task in twins:
                task.cancel()
            if twins:
                await asyncio.wait(twins)

    async def trigger(self, trigger: BdaBatchTrigger) -> Any:
        triggerer = self.process("triggerer")
        self.tell(f"try {self.task.try_number} in {triggerer.name}")
        return await self.to_its_end(triggerer, fire(trigger, triggerer))

    def meddle(self, process: Process) -> None:
        """Write over an object while its job may be about to start, or clear the task while it runs or is deferred."""
        if self.rng.random() < 0.1:
            self.write_over(self.rng.choice(self.documents()))
        if self.rng.random() < 0.03 and not self.force:
            self.clear_under_way(process)

    def write_over(self, uri: str) -> None:
        if not self.model.objects.get(uri, (b"bad",))[0].startswith(b"bad"):
            self.tell(f"{uri} is written over")
            self.model.write(uri, f"changed {self.rng.random()}".encode())

    def after_a_kill(self) -> None:
        """Write over the object whose job was started last: what was sent for it must not be sent again anew."""
        if self.model.jobs and self.rng.random() < 0.3:
            self.write_over(self.model.jobs[-1].uri)

    def clear_under_way(self, process: Process) -> None:
        if self.is_deferred:
            self.task.clear(run_has_ended=False)
        elif self.version == (3, 0):
            # There a running task that is cleared is left alone, for ever.
            return
        else:
            self.task.clear_running()
        self.tell(f"the user clears the task while {process.name} runs")
        self.is_deferred = False
        process.kill()

    def documents(self) -> list[str]:
        taken = (uri for uri in self.model.objects if uri.startswith(INPUT) and uri.endswith(".pdf"))
        return sorted(uri for uri in taken if not uri.endswith("empty.pdf"))

    # -- the user

    async def act_as_user(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 1000))
        action = self.rng.choice(("clear", "clear", "change object", "change request", "force", "recreate", "vanish"))
        self.tell(f"the user: {action}")
        self.force = False
        uris = self.documents()
        if action == "change object":
            self.model.write(self.rng.choice(uris), f"changed {self.rng.random()}".encode())
        elif action == "vanish" and len(uris) > 1:
            del self.model.objects[self.rng.choice(uris)]
        elif action == "change request":
            self.model.epoch += 1
            # Not the number of the try: a run that is created again counts from the start.
            self.job = {**self.job, "tags": {"change": str(self.model.epoch)}}
        elif action == "force":
            self.force = True
            self.model.epoch += 1
        if action == "recreate":
            self.model.epoch += 1
            self.dag_run.create()
            self.task.create()
        else:
            self.task.clear(run_has_ended=self.rng.random() < 0.5)

    # -- what must hold

    def check_deadline(self) -> None:
        # By time that passes: a clock that jumps while a round concludes makes no round late.
        late = self.model.seconds_since(max(self.untils))
        # Processes that die near the deadline are followed by others; each may look at every job once more.
        if late > MOST_LATE_SECONDS:
            self.violations.append(f"a round ended {late:.0f} s after its deadline")
        for job in self.model.jobs:
            if (job.epoch, job.attempt) != (self.model.epoch, self.task.try_number) or job.is_late:
                continue
            late = self.model.seconds_since(max(self.untils), until=job.created_at)
            if late > MOST_LATE_START_SECONDS + self.model.seconds_set_back():
                self.violations.append(f"a job was started {late:.0f} s after the deadline: {job}")

    def check_verdict(self, manifest: dict[str, Any], ended: Any) -> None:
        """Expect the task to end as its manifest says."""
        counts = manifest["counts"]
        unfinished = counts["running"] + counts["not_started"]
        if unfinished and self.model.latest < min(self.untils):
            self.violations.append(f"a round left documents behind before its deadline: {counts}")
        if unfinished:
            expected: Any = BdaTimeoutError
        elif counts[FAILED]:
            expected = BdaServiceError if manifest["again"]["retry"] else AirflowFailException
        else:
            expected = dict
        if ended != KILLED and not isinstance(ended, expected):
            self.violations.append(f"the task ended in {ended!r} with {counts}")

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
                if not line.startswith((b'{"t":"begin"', b'{"t":"job"')):
                    continue
                entry = json.loads(line)
                if entry["t"] == "begin":
                    known = {}
                else:
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
        """Allow another job only where the one before it had failed, and one in each try at the most."""
        by_document: dict[tuple[str, int], list[Any]] = {}
        for job in self.model.jobs:
            by_document.setdefault((job.uri, job.epoch), []).append(job)
        for (uri, epoch), jobs in by_document.items():
            for earlier, later in pairwise(jobs):
                if not earlier.status(later.created_at).endswith("Error"):
                    self.violations.append(f"two jobs for {uri} (epoch {epoch}): {earlier} {later}")
            attempt, most = Counter(job.attempt for job in jobs).most_common(1)[0]
            if most > 1:
                self.violations.append(f"{most} jobs for {uri} in try {attempt} (epoch {epoch}): {jobs}")


def run_batch(seed: int) -> Result:
    """Run one schedule of a batch."""
    schedule = BatchSchedule(seed)
    with small_sizes(), watched_memory(schedule.violations):
        return schedule.run()
