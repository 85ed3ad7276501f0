"""An event loop without sockets or threads, whose clock jumps to whatever comes next."""

from __future__ import annotations

import asyncio
from typing import Any


class Stalled(Exception):  # noqa: N818  a state of the loop
    """Nothing is scheduled any more: what is waited for never happens."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that sleeps by moving its clock. It has no selector, so that a turn costs no system call."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stalled
        self._now += max(0.0, timeout)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
