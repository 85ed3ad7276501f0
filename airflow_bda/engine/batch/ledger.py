"""
The ledger of a batch on S3: what it has done, in numbered parts that are only ever added. It is also the batch's lock.

A runner first takes the batch over: it reads all parts and adds one that says so. Every part is written with
``If-None-Match: *`` under the next number, so that all parts have one order. A runner that lost the batch finds its
next number used, and stops. The intents of all requests that it may have sent meanwhile are in the ledger already, so
that the new runner sends the same requests with the same tokens.

A checkpoint is a part that holds the whole state, so that earlier parts need not be read. ``head.json`` says where the
last checkpoint is; if it is old or missing, more parts are read.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import State
from airflow_bda.engine.batch.store import ConflictError
from airflow_bda.service.errors import BdaError, BdaRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_bda.engine.batch.store import Folder

# Entries that nothing waits for are collected this long, and written together. Losing them costs a call, not a job.
_GATHER_SECONDS = 3.0
# The owner writes a part at least this often, in seconds; one that has written none for so long is considered dead.
HEARTBEAT_SECONDS = 45.0
HEARTBEAT_TIMEOUT_SECONDS = 150.0
_PARTS_A_CHECKPOINT = 200
_READS_AT_ONCE = 16


class TakenOverError(BdaError):
    """Another runner has taken over the batch; this one has stopped."""

    remedy = "No action is needed: the other runner continues with the same jobs."


class Ledger:
    """
    The ledger of one batch, as one runner reads and writes it.

    :param folder: the batch's.
    :param now: returns the current time.

    ``owner`` is a random name of this runner; ``number`` is the last part that was read or written.
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
        """Read the parts that were added since the last call; the first call starts at the last checkpoint."""
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

    def idle_seconds(self) -> float | None:
        """Return how long ago the last part was written, in seconds; None where there is none."""
        if self._last_seen is None:
            return None
        return (self._now() - datetime.fromisoformat(self._last_seen)).total_seconds()

    # -- owning

    async def take_over(self, *, is_allowed: Callable[[State, float | None], None] = lambda *_: None) -> None:
        """
        Read the ledger and become its owner.

        :param is_allowed: raises where another runner must keep the batch; called with the state and
            :meth:`idle_seconds`.
        :raises BdaRequestError: when the store does not honour conditional writes.
        """
        while True:
            await self.read()
            is_allowed(self.state, self.idle_seconds())
            if await self._add([{"t": "own"}]):
                break
        await self._check_conditions()
        self._writer = asyncio.ensure_future(self._keep_writing())

    async def _check_conditions(self) -> None:
        """Try to overwrite our own part: a store that allows it would let two runners own one batch."""
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
        """Add a part under the next number; return False when another runner has used that number."""
        entries = list(entries)
        name = f"ledger/{_part_name(self.number + 1)}"
        header = self._header()
        try:
            await self.folder.write(name, [header, *entries], if_absent=True)
        except ConflictError:
            # Or this runner has: the response to an earlier try of the same write was lost.
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
        Add entries, and return when they are written.

        :raises TakenOverError: when another runner owns the batch now.
        """
        written = self._enqueue(entries)
        self._is_urgent = True
        self._wake.set()
        await asyncio.shield(written)

    def note(self, *entries: Mapping[str, Any]) -> None:
        """Add entries, to be written soon, together with others."""
        self._enqueue(entries)
        self._wake.set()

    def _enqueue(self, entries: Iterable[Mapping[str, Any]]) -> asyncio.Future[None]:
        if self._lost is not None:
            raise self._lost
        self._pending.extend(entries)
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            # Nothing waits for entries that were only noted.
            self._written.add_done_callback(lambda future: future.exception())
        return self._written

    async def _keep_writing(self) -> None:
        try:
            while True:
                await self._gather()
                await self._flush()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  raised by the next write
            self._lost = error
            if self._written is not None:
                self._written.set_exception(error)

    async def _gather(self) -> None:
        """Wait for entries to write, or the next heartbeat. Collect more entries unless a caller waits for these."""
        try:
            await asyncio.wait_for(self._wake.wait(), HEARTBEAT_SECONDS)
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
            raise TakenOverError(f"Another runner has taken over the batch at {self.folder.uri}.")

    async def checkpoint(self) -> None:
        """Add a part that holds the whole state, and record its number in ``head.json``."""
        await self._add_as_owner([{"t": "state", "state": asdict(self.state)}])
        self._checkpoint_at = self.number
        await self.folder.write("head.json", [{"checkpoint": self.number}])

    async def check_ownership(self) -> None:
        """Check that this runner still owns the batch, and that all entries are written."""
        await self.write({"t": "beat"})

    async def close(self, *, seconds: float = 5.0) -> None:
        """Write pending entries within some seconds, and stop. Lost entries raise no error: they can be found again."""
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
