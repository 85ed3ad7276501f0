"""Run one round of a batch: start jobs within the limits, wait for them, and record every step in the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import (
    BY_CLEAR,
    BY_RETRY,
    FAILED,
    PART_SIZE,
    SKIPPED,
    Document,
    new_row,
    skipped_row,
)
from airflow_bda.engine.batch.following import Follower, PageCounter
from airflow_bda.engine.batch.planning import read_part
from airflow_bda.engine.batch.reporting import progress_line
from airflow_bda.engine.batch.starting import VANISHED, Ready, RefusedError, Starter, look_up
from airflow_bda.engine.batch.throttle import Gate, shared_turns
from airflow_bda.service.errors import BdaError, BdaRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from airflow_bda.engine.batch.documents import PlannedDocument, Progress, Row
    from airflow_bda.engine.batch.ledger import Ledger
    from airflow_bda.engine.batch.starting import Jobs

# How many documents are prepared before a place is free. Their intents share one write to the ledger.
_READY = 50
# A part is open until its slowest document has ended. This bounds the memory.
_MOST_OPEN_PARTS = 20
_LOOK_UPS_AT_ONCE = 16
_FIRST_REPORT_SECONDS = 30.0
_LONGEST_REPORT_SECONDS = 300.0
_CLOCK_CHECK_SECONDS = 30.0
# Time for one last status call for every job after the deadline.
_LAST_LOOKS_SECONDS = 330.0


@dataclass
class _OpenPart:
    rows: list[Row | None]
    left: int
    is_sealing: bool = False


class Runner:
    """
    Runs the round that the ledger is in.

    :param ledger: owned by this runner.
    :param jobs: the service.
    :param max_in_flight: how many jobs may be open at once.
    :param now: returns the current time.
    :param log: logs one line.
    """

    def __init__(
        self,
        ledger: Ledger,
        jobs: Jobs,
        *,
        max_in_flight: int,
        now: Callable[[], datetime],
        log: Callable[[str], None],
    ) -> None:
        assert ledger.state.round is not None, "there is no round to run"  # noqa: S101
        self._ledger = ledger
        self._state = ledger.state
        self._jobs = jobs
        self._now = now
        self._log = log
        self._round = ledger.state.round
        self._deadline = datetime.fromisoformat(self._round.deadline)
        self._gate = Gate(
            shared_turns(jobs.connection.identity, jobs.limits.max_requests_per_second), self, max_in_flight, log
        )
        pages = PageCounter(ledger.folder.store)
        self._follower = Follower(jobs, self._gate, pages, self._deadline, now)
        self._ready: asyncio.Queue[Ready] = asyncio.Queue(min(_READY, max_in_flight))
        self._parts: dict[int, _OpenPart] = {}
        self._room = asyncio.Event()
        self._is_closing = False
        # Dictionaries as ordered sets: the simulation replays a schedule exactly.
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._starting: dict[asyncio.Task[None], None] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure.add_done_callback(lambda failure: failure.cancelled() or failure.exception())
        self._starter = Starter(ledger, jobs, self._gate, now)
        self.counts: Counter[str] = Counter()
        self.total = ledger.state.documents
        self.in_flight = 0
        self.most_held = 0

    async def run(self) -> None:
        """
        Run until every document has ended, or until the deadline has passed and each open job had a last status call.

        :raises BdaError: an error that concerns the whole batch; the ledger stays valid.
        """
        everything = self._spawn(self._everything())
        self._spawn(self._serve())
        self._spawn(self._report())
        try:
            await self._until(everything)
            if not everything.done():
                self._is_closing = True
                self._room.set()
                for task in tuple(self._starting):
                    task.cancel()
                await self._until(everything, seconds=_LAST_LOOKS_SECONDS)
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
        if self._failure.done():
            self._failure.result()

    # -- tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks[task] = None
        task.add_done_callback(self._has_ended)
        return task

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._starting.pop(task, None)
        if not task.cancelled() and task.exception() is not None and not self._failure.done():
            self._failure.set_exception(task.exception())  # type: ignore[arg-type]  # it has one

    async def _until(self, task: asyncio.Task[None], *, seconds: float | None = None) -> None:
        """Wait until a task has ended, something failed, or the deadline (or *seconds*) is over."""
        loop = asyncio.get_running_loop()
        give_up_at = None if seconds is None else loop.time() + seconds
        while not (task.done() or self._failure.done()):
            left = (self._deadline - self._now()).total_seconds() if give_up_at is None else give_up_at - loop.time()
            if left <= 0:
                return
            # The deadline is a wall-clock time, and the loop's clock stops while a machine sleeps.
            timeout = min(left, _CLOCK_CHECK_SECONDS)
            await asyncio.wait([task, self._failure], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def _everything(self) -> None:
        for part in range(self._state.parts):
            if self._state.is_complete(part):
                self.counts.update(self._state.sealed[part].counts)
            elif not self._is_closing or self._has_open_jobs(part):
                while len(self._parts) >= _MOST_OPEN_PARTS and not self._is_closing:
                    self._room.clear()
                    await self._room.wait()
                await self._open(part)
        await self._ready.join()
        while self._parts and not self._is_closing:
            self._room.clear()
            await self._room.wait()

    def _has_open_jobs(self, part: int) -> bool:
        return any(
            progress.arn and not progress.row
            for index, progress in self._state.open.items()
            if index // PART_SIZE == part
        )

    # -- parts of the plan

    async def _open(self, part: int) -> None:
        """Open a part: keep the rows of documents that have ended, wait for running jobs, start the others."""
        documents = await read_part(self._ledger.folder, str(self._state.plan), part)
        sealed = self._state.sealed.get(part)
        rows = await self._ledger.folder.read_lines(sealed.rows) if sealed else [None] * len(documents)
        opened = self._parts[part] = _OpenPart([None] * len(documents), left=len(documents))
        self.most_held = max(self.most_held, sum(len(held.rows) for held in self._parts.values()))
        known: list[Ready] = []
        fresh: list[Ready] = []
        for planned, earlier in zip(documents, rows, strict=True):
            progress = self._state.open.get(planned.index)
            row = (progress and progress.row) or earlier or skipped_row(planned, self._round.number)
            if progress is not None and progress.row is None:
                known.append(_as_begun(planned, progress))
            elif row is None or self._state.takes_up(row):
                fresh.append(Ready(planned.index, planned.document, row["jobs"] if row else 0))
            else:
                self._settle(part, planned.index, row)
        known.sort(key=lambda ready: ready.arn is None)
        for ready in known:
            await self._ready.put(ready)
        size = self._ready.maxsize
        for start in range(0, len(fresh), size):
            if self._is_closing:
                return
            await self._make_ready(fresh[start : start + size])
        if not opened.left:
            await self._seal(part)

    async def _make_ready(self, some: list[Ready]) -> None:
        """Look the objects up as they are now, and record each intent before its request is sent."""
        checked: list[Ready] = []
        for start in range(0, len(some), _LOOK_UPS_AT_ONCE):
            checked += filter(None, await asyncio.gather(*map(self._check, some[start : start + _LOOK_UPS_AT_ONCE])))
        if checked:
            await self._ledger.write(*map(_intent, checked))
        for ready in checked:
            await self._ready.put(ready)

    async def _check(self, ready: Ready) -> Ready | None:
        """Return a document with its object's present state; None for one that cannot have a job."""
        problem: dict[str, Any] | None = None
        document: Document | None = ready.document
        try:
            self._jobs.request(self._state.job, ready.document.uri)
            document = await look_up(self._ledger.folder.store, ready.document.uri)
        except BdaRequestError as error:
            problem = {
                "error_type": "InvalidRequest",
                "error": " ".join(error.problems) or str(error),
                "again": BY_CLEAR,
            }
        except BdaError as error:
            problem = {"error_type": error.error_type, "error": str(error), "again": BY_RETRY}
        if document is None:
            problem = VANISHED
        if problem or document is None:
            self._end(ready, self._row(ready, FAILED, jobs=ready.generation, **(problem or {})))
            return None
        return replace(ready, document=document)

    def _settle(self, part: int, index: int, row: Row) -> None:
        opened = self._parts[part]
        opened.rows[index % PART_SIZE] = row
        opened.left -= 1
        self.counts[row["status"]] += 1

    def _end(self, ready: Ready, row: Row) -> None:
        part = ready.index // PART_SIZE
        self._ledger.note({"t": "end", "i": ready.index, "g": ready.generation, "row": row})
        self._settle(part, ready.index, row)
        if not self._parts[part].left:
            self._spawn(self._seal(part))

    async def _seal(self, part: int) -> None:
        opened = self._parts[part]
        if opened.is_sealing:
            return
        opened.is_sealing = True
        rows = [row for row in opened.rows if row is not None]
        # A name of its own: a runner that was taken over must not write over the rows of its successor.
        name = f"rows/{part:05d}-{self._ledger.owner}.jsonl"
        await self._ledger.folder.write(name, rows)
        counts = dict(Counter(row["status"] for row in rows))
        again = dict(Counter(row["again"] for row in rows if row["again"]))
        self._ledger.note(
            {"t": "seal", "part": part, "round": self._round.number, "rows": name, "counts": counts, "again": again}
        )
        del self._parts[part]
        self._room.set()

    # -- documents

    async def _serve(self) -> None:
        while True:
            await self._gate.take_up()
            ready = await self._ready.get()
            self.in_flight += 1
            task = self._spawn(self._process(ready))
            # A task that is cancelled before its first step runs none of its code.
            task.add_done_callback(self._put_away)
            if ready.arn is None:
                self._starting[task] = None

    async def _process(self, ready: Ready) -> None:
        try:
            if ready.arn is None:
                if self._is_closing:
                    return
                ready, permit = await self._starter.start(ready)
                self._starting.pop(asyncio.current_task(), None)  # type: ignore[arg-type]  # this runs in one
            else:
                permit = self._gate.adopt()
            known = await self._follower.follow(ready, permit)
            if known is not None:
                self._end(ready, self._row(ready, jobs=ready.generation + 1, **known))
        except RefusedError as refused:
            self._end(ready, self._row(ready, FAILED, jobs=ready.generation, **refused.known))

    def _put_away(self, _: asyncio.Task[None]) -> None:
        self.in_flight -= 1
        self._gate.leave()
        self._ready.task_done()

    def _row(self, ready: Ready, status: str, *, jobs: int, **known: Any) -> Row:
        return new_row(ready.document, status, jobs=jobs, round_number=self._round.number, arn=ready.arn, **known)

    # -- progress

    async def _report(self) -> None:
        loop = asyncio.get_running_loop()
        began_at, done_before = loop.time(), None
        pause = _FIRST_REPORT_SECONDS
        while True:
            await asyncio.sleep(pause)
            done = sum(self.counts.values())
            if done_before is None:
                done_before = self.counts[SKIPPED]
            rate = max(0.0, done - done_before) / (loop.time() - began_at)
            self._log(progress_line(self.counts, self._state.documents, self.in_flight, rate))
            pause = min(pause * 1.5, _LONGEST_REPORT_SECONDS)


def _as_begun(planned: PlannedDocument, progress: Progress) -> Ready:
    """Return a document whose request may have been sent, with the state of its object at that time."""
    document = replace(planned.document, etag=progress.etag, version=progress.version)
    at = progress.submitted_at
    return Ready(planned.index, document, progress.generation, progress.arn, datetime.fromisoformat(at) if at else None)


def _intent(ready: Ready) -> dict[str, Any]:
    version = {"version": ready.document.version} if ready.document.version else {}
    return {"t": "start", "i": ready.index, "g": ready.generation, "etag": ready.document.etag, **version}
