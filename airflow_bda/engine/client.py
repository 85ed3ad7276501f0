"""One client for many: opened when it is needed, replaced when its credentials fail, closed when no wait is left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.engine.tasks import error_of, start_apart, start_within
from airflow_bda.service.safe_values import safe_logger

if TYPE_CHECKING:
    from airflow_bda.engine.poller import Poller
    from airflow_bda.engine.waiting import StatusSource, Waiter

_OPENING_SECONDS = 120.0
_CLOSING_SECONDS = 10.0
# Opening asks the connection's store and often STS. The first replacement comes at once, those after it like this.
_REOPEN_FIRST_SECONDS = 1.0
_REOPEN_LONGEST_SECONDS = 60.0

_log = safe_logger(__name__)


@dataclass(eq=False)
class Lease:
    """
    A source, with what must be known to close it neither too early nor twice.

    :param users: how many requests are under way on it.
    """

    source: StatusSource
    users: int = 0
    is_retired: bool = False


class SharedClient:
    """
    Holds at most one source that is good for use, and those before it until their last request has ended.

    :param identity: the identity that the source must have.
    :param owner: is told how an opening went, always in exactly one of three ways unless the client was closed
        meanwhile: ``opened``, ``opened_for_another`` or ``failed_to_open``.
    """

    def __init__(self, identity: str, owner: Poller) -> None:
        self._identity = identity
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._current: Lease | None = None
        self._opening: asyncio.Task[StatusSource] | None = None
        self._opening_in_vain = 0
        self._closings: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._open_at = -inf

    @property
    def is_open(self) -> bool:
        """Whether there is a source to ask."""
        return self._current is not None

    @property
    def may_open_at(self) -> float:
        """When the next opening may start, on the loop's clock; infinite while one is under way."""
        return self._open_at if self._opening is None else inf

    def open_through(self, waiter: Waiter) -> None:
        """Start opening a source by the connection of one of the waits, in its context."""
        opening = start_within(waiter.context, _open(waiter))
        self._opening = opening
        opening.add_done_callback(partial(self._opened, waiter))

    def _opened(self, waiter: Waiter, opening: asyncio.Task[StatusSource]) -> None:
        self._opening = None
        error = error_of(opening)
        if error is not None:
            if not self._is_closed:
                self._owner.failed_to_open(waiter, error)
            return
        source = opening.result()
        if source.identity != self._identity:
            self._close(source)
            self._owner.opened_for_another(waiter, source.identity)
        else:
            self._current = Lease(source)
            self._owner.opened()

    def borrow(self) -> Lease:
        """Take the source for one request."""
        assert self._current is not None, "borrowed before it was opened"  # noqa: S101
        self._current.users += 1
        return self._current

    def give_back(self, lease: Lease) -> None:
        """End the use of a source."""
        lease.users -= 1
        if lease.is_retired and not lease.users:
            self._close(lease.source)

    def answered(self) -> None:
        """Note that the source works."""
        self._opening_in_vain = 0

    def retire(self, lease: Lease) -> None:
        """Use a source no more. Of several requests that fail together, the first one's word is enough."""
        if not lease.is_retired:
            lease.is_retired = True
            self._current = None
            self.open_later()

    def open_later(self) -> None:
        """Put off the next opening, the longer the more of them came to nothing."""
        pause = 0.0
        if self._opening_in_vain:
            tries = self._opening_in_vain - 1
            pause = 1.0 + full_jitter(tries, first=_REOPEN_FIRST_SECONDS, longest=_REOPEN_LONGEST_SECONDS)
        self._opening_in_vain += 1
        self._open_at = self._loop.time() + pause

    def _close(self, source: StatusSource) -> None:
        closing = start_apart(_close_quietly(source))
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)

    async def close(self) -> None:
        """Close what is open, and what is just being opened. Requests must have ended."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._current is not None:
            self._close(self._current.source)
            self._current = None
        if self._closings:
            await asyncio.wait(self._closings)


async def _open(waiter: Waiter) -> StatusSource:
    return await asyncio.wait_for(waiter.wait.connection.open_source(), _OPENING_SECONDS)


async def _close_quietly(source: StatusSource) -> None:
    try:
        await asyncio.wait_for(source.close(), _CLOSING_SECONDS)
    except Exception:  # noqa: BLE001  whatever it is, nobody waits for this client any more
        _log.warning("A client could not be closed properly; its connections end with the process.", exc_info=True)
