"""
What a batch has done, on S3, in numbered parts that are only ever added: the batch's memory and its lock.

Whoever runs a batch first takes it over: he reads all parts and adds one that says so. Every part is written with
``If-None-Match: *`` under the next number, so that there is one order of all parts. A runner that was taken over finds
its next number used, and stops. What it may have sent meanwhile were requests whose tokens stand in the ledger
already: the new runner sends the same ones.

A checkpoint is a part that holds the whole state, so that nobody has to read what came before it. ``head.json`` says
where the last one is; an old or missing one only costs reading.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import BY_CLEAR, BY_RETRY, FAILED
from airflow_bda.engine.batch.store import ConflictError
from airflow_bda.service.errors import BdaError, BdaRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_bda.engine.batch.documents import Row
    from airflow_bda.engine.batch.store import Folder

PART_SIZE = 500
# What is known of a job already may wait for company: losing it costs a question, not a job.
_GATHER_SECONDS = 3.0
# An owner that is alive says so this often, in seconds; one that was silent for longer than this is taken for dead.
BEAT_SECONDS = 45.0
SILENCE_SECONDS = 150.0
_PARTS_A_CHECKPOINT = 200
_READS_AT_ONCE = 16


class TakenOverError(BdaError):
    """Another runner has taken the batch over; this one has stopped."""

    remedy = "Nothing is to be done: the other runner goes on with the same jobs."


@dataclass
class Progress:
    """
    How far a document has come whose part is not complete.

    :param generation: which of its jobs this is, from 0.
    :param etag: the object's, as it was when the job's request was made.
    :param arn: None while it is not known that the job was started.
    :param row: its row, once it has ended.
    """

    generation: int = 0
    etag: str = ""
    version: str | None = None
    arn: str | None = None
    submitted_at: str | None = None
    row: Row | None = None


@dataclass
class SealedPart:
    """
    A part of the plan all of whose documents have ended.

    :param round_number: the round that it was sealed in.
    :param rows: the name of the object that holds its rows.
    :param counts: how many documents there are of each status.
    :param again: how many failed documents a retry, or a clear, would take up.
    """

    round_number: int
    rows: str
    counts: dict[str, int]
    again: dict[str, int]


@dataclass
class Round:
    """
    One go at the batch: a try of the task.

    :param deadline: an ISO 8601 time with a zone.
    :param owner: the task; this and the four that follow are those of the attempt that began the round.
    :param key: names the try, so that a runner that is started again within it goes on with the same round.
    :param cleared_in: the number of the last round that a clear began; 0 for none.
    """

    number: int
    deadline: str
    owner: str
    life: str
    key: str
    run_started: str | None = None
    run_clears: int | None = None
    cleared_in: int = 0
    is_finished: bool = False


@dataclass
class State:
    """
    What the ledger says, all in all.

    :param life: the random name that tokens are made with; None before the batch has begun.
    :param job: the arguments of the jobs' requests, but for the input.
    :param source: where the documents come from.
    :param plan: the folder of the plan, once it is complete.
    """

    life: str | None = None
    job: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    began_at: str | None = None
    plan: str | None = None
    documents: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    round: Round | None = None
    sealed: dict[int, SealedPart] = field(default_factory=dict)
    open: dict[int, Progress] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """How many parts the plan has."""
        return -(-self.documents // PART_SIZE)

    def takes_up(self, row: Row) -> bool:
        """Whether this round gives a document that ended in an earlier one another job."""
        assert self.round is not None, "asked outside of a round"  # noqa: S101
        ended_in = row["round"]
        if row["status"] != FAILED or ended_in >= self.round.number:
            return False
        return bool(row["again"] == BY_RETRY or ended_in < self.round.cleared_in)

    def is_complete(self, part: int) -> bool:
        """Whether a part has nothing to do in this round."""
        assert self.round is not None, "asked outside of a round"  # noqa: S101
        sealed = self.sealed.get(part)
        if sealed is None:
            return False
        if sealed.round_number >= self.round.number:
            return True
        by_clear = sealed.again.get(BY_CLEAR, 0) if sealed.round_number < self.round.cleared_in else 0
        return not (sealed.again.get(BY_RETRY, 0) + by_clear)

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Take one entry in."""
        kind = entry["t"]
        if kind == "start":
            self.open[entry["i"]] = Progress(entry["g"], entry["etag"], entry.get("version"))
        elif kind == "job":
            progress = self.open.setdefault(entry["i"], Progress())
            progress.arn, progress.submitted_at = entry["arn"], entry["at"]
        elif kind == "end":
            progress = self.open.setdefault(entry["i"], Progress())
            progress.row, progress.generation = entry["row"], entry["g"]
        elif kind == "seal":
            self._seal(entry)
        elif kind == "begin":
            self._begin(entry)
        elif kind == "plan":
            self.plan, self.documents, self.left_out = entry["plan"], entry["documents"], entry["left_out"]
        elif kind == "round":
            self.round = Round(**entry["round"])
        elif kind == "finish" and self.round is not None:
            self.round.is_finished = True
        elif kind == "state":
            self._restore(entry["state"])

    def _begin(self, entry: Mapping[str, Any]) -> None:
        fresh = State(
            life=entry["life"],
            job=entry["job"],
            source=entry["source"],
            began_at=entry["at"],
        )
        self.__dict__.update(fresh.__dict__)

    def _seal(self, entry: Mapping[str, Any]) -> None:
        part = entry["part"]
        self.sealed[part] = SealedPart(entry["round"], entry["rows"], entry["counts"], entry["again"])
        for index in range(part * PART_SIZE, (part + 1) * PART_SIZE):
            self.open.pop(index, None)

    def _restore(self, saved: Mapping[str, Any]) -> None:
        self.__dict__.update(saved)
        self.round = Round(**saved["round"]) if saved["round"] else None
        self.sealed = {int(part): SealedPart(**sealed) for part, sealed in saved["sealed"].items()}
        self.open = {int(index): Progress(**progress) for index, progress in saved["open"].items()}


class Ledger:
    """
    The ledger of one batch, in the hands of the runner that owns it.

    :param folder: the batch's.
    :param now: tells the time of day.

    ``owner`` is a random name of this runner, ``number`` that of the last part that was read or written.
    """

    def __init__(self, folder: Folder, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self.state = State()
        self._now = now
        self.owner = uuid.uuid4().hex[:12]
        self.number = 0
        self._last_seen: str | None = None
        self._checkpoint_at = 0
        self._pending: list[Mapping[str, Any]] = []
        self._written: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._is_urgent = False
        self._writer: asyncio.Task[None] | None = None
        self._lost: BaseException | None = None

    # -- reading

    async def read(self) -> None:
        """Read what was added since the last reading, from the last checkpoint at first."""
        if not self.number:
            head = await self.folder.read("head.json")
            self.number = self._checkpoint_at = max(0, head[0][0]["checkpoint"] - 1) if head else 0
        numbers: list[int] = []
        async for name in self.folder.names("ledger/", after=_part_name(self.number)):
            numbers.append(int(name.partition(".")[0]))
            if len(numbers) == _READS_AT_ONCE:
                await self._read_parts(numbers)
                numbers = []
        await self._read_parts(numbers)

    async def _read_parts(self, numbers: list[int]) -> None:
        parts = await asyncio.gather(*(self.folder.read_lines(f"ledger/{_part_name(number)}") for number in numbers))
        for number, (header, *entries) in zip(numbers, parts, strict=True):
            self.number, self._last_seen = number, header["at"]
            for entry in entries:
                self.state.apply(entry)

    def silence(self) -> float | None:
        """Return how long ago the last part was written, in seconds; None where there is none."""
        if self._last_seen is None:
            return None
        return (self._now() - datetime.fromisoformat(self._last_seen)).total_seconds()

    # -- owning

    async def take_over(self, *, is_allowed: Callable[[State, float | None], None] = lambda *_: None) -> None:
        """
        Read the ledger and become its owner.

        :param is_allowed: raises where the batch must be left to its owner; it gets the state and the owner's silence.
        :raises BdaRequestError: when the store does not honour conditional writes.
        """
        while True:
            await self.read()
            is_allowed(self.state, self.silence())
            if await self._add([{"t": "own"}]):
                break
        await self._check_conditions()
        self._writer = asyncio.ensure_future(self._keep_writing())

    async def _check_conditions(self) -> None:
        """Overwrite our own part with itself: a store that lets us would let two runners own one batch."""
        name = f"ledger/{_part_name(self.number)}"
        try:
            await self.folder.write(name, [self._header(), {"t": "own"}], if_absent=True)
        except ConflictError:
            return
        raise BdaRequestError(
            f"{self.folder.uri}: the object store does not honour conditional writes (If-None-Match).",
            remedy="A batch needs them, so that two runners cannot both own it. Use a store that has them, as S3 does.",
        )

    async def _add(self, entries: Iterable[Mapping[str, Any]]) -> bool:
        """Add a part under the next number; False when somebody else has used it."""
        entries = list(entries)
        name = f"ledger/{_part_name(self.number + 1)}"
        header = self._header()
        try:
            await self.folder.write(name, [header, *entries], if_absent=True)
        except ConflictError:
            # Or we have: the answer to an earlier try of this very write was lost.
            if (await self.folder.read_lines(name))[0] != header:
                return False
        self.number += 1
        self._last_seen = header["at"]
        for entry in entries:
            self.state.apply(entry)
        return True

    def _header(self) -> dict[str, Any]:
        return {"owner": self.owner, "at": self._now().isoformat(timespec="seconds")}

    # -- writing

    async def write(self, *entries: Mapping[str, Any]) -> None:
        """
        Add entries, and return when they cannot be lost any more.

        :raises TakenOverError: when another runner owns the batch now.
        """
        written = self._enqueue(entries)
        self._is_urgent = True
        self._wake.set()
        await asyncio.shield(written)

    def note(self, *entries: Mapping[str, Any]) -> None:
        """Add entries soon, together with others."""
        self._enqueue(entries)
        self._wake.set()

    def _enqueue(self, entries: Iterable[Mapping[str, Any]]) -> asyncio.Future[None]:
        if self._lost is not None:
            raise self._lost
        self._pending.extend(entries)
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            # Most entries are noted, and nobody waits for them.
            self._written.add_done_callback(lambda future: future.exception())
        return self._written

    async def _keep_writing(self) -> None:
        try:
            while True:
                await self._gather()
                await self._flush()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  raised in whoever writes next
            self._lost = error
            if self._written is not None:
                self._written.set_exception(error)

    async def _gather(self) -> None:
        """Wait for entries; for more of them, unless somebody waits for these; and for the next sign of life."""
        try:
            await asyncio.wait_for(self._wake.wait(), BEAT_SECONDS)
        except asyncio.TimeoutError:
            return
        if not self._is_urgent:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wait_until_urgent(), _GATHER_SECONDS)
            except asyncio.TimeoutError:
                return

    async def _wait_until_urgent(self) -> None:
        while not self._is_urgent:
            await self._wake.wait()
            self._wake.clear()

    async def _flush(self) -> None:
        entries, written = self._pending, self._written
        self._pending, self._written, self._is_urgent = [], None, False
        self._wake.clear()
        try:
            await self._add_as_owner(entries)
        except BaseException as error:
            self._lost = error
            if written is not None:
                written.set_exception(error)
            raise
        if written is not None:
            written.set_result(None)
        if self.number - self._checkpoint_at >= _PARTS_A_CHECKPOINT:
            await self.checkpoint()

    async def _add_as_owner(self, entries: Iterable[Mapping[str, Any]]) -> None:
        if not await self._add(entries):
            raise TakenOverError(f"Another runner has taken the batch at {self.folder.uri} over.")

    async def checkpoint(self) -> None:
        """Add a part that holds the whole state, and say where it is."""
        await self._add_as_owner([{"t": "state", "state": asdict(self.state)}])
        self._checkpoint_at = self.number
        await self.folder.write("head.json", [{"checkpoint": self.number}])

    async def check_ownership(self) -> None:
        """Make sure that the batch is still ours, and that nothing is unwritten."""
        await self.write({"t": "beat"})

    async def close(self, *, seconds: float = 5.0) -> None:
        """Write what is pending, if that goes quickly, and stop. Never raises for what is lost: it is found again."""
        if self._writer is None:
            return
        if self._pending and self._lost is None:
            with suppress(asyncio.TimeoutError, BdaError, ConflictError):
                await asyncio.wait_for(self.write(), seconds)
        self._writer.cancel()
        await asyncio.wait([self._writer])
        self._writer = None


def _part_name(number: int) -> str:
    return f"{number:08d}.jsonl"
