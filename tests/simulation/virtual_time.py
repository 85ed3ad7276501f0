"""An event loop without sockets or threads, whose clock jumps to whatever comes next."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any


class Stalled(Exception):  # noqa: N818  a state of the loop
    """Nothing is scheduled any more: what is waited for never happens."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that sleeps by moving its clock. It has no selector, so that a turn costs no system call."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        """Move the clock to what comes next, and run it: asyncio's own turn, without what a real clock needs."""
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise Stalled
            self._now = max(self._now, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
