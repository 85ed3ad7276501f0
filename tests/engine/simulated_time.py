"""An event loop whose clock jumps to whatever comes next: a day of waiting takes as long as its computing does."""

from __future__ import annotations

import asyncio
import functools
import selectors
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
# When nothing is scheduled, only another thread can make something happen; it is given this much real time.
_REAL_SECONDS_FOR_THREADS = 5.0


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop that sleeps by moving its clock."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # chosen by the platform
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            events = super().select(_REAL_SECONDS_FOR_THREADS)
            if not events:
                raise RuntimeError("Nothing is scheduled any more: what is waited for never happens.")
            return events
        events = super().select(0)
        if not events and timeout > 0:
            self._loop.jump(timeout)
        return events


def wall_clock() -> datetime:
    """Return the simulated time of day, which starts at EPOCH."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def run_simulated(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run to the end, and insist that nothing is left behind and no callback failed."""
    loop = SimulatedLoop()
    try:
        result = loop.run_until_complete(_call(main))
        left_behind = asyncio.all_tasks(loop)
        if left_behind:
            raise AssertionError(f"tasks were left behind: {left_behind}")
        if loop.errors:
            raise AssertionError(f"callbacks failed: {loop.errors}")
        return result
    finally:
        loop.close()


async def _call(main: Callable[[], Awaitable[Any]]) -> Any:
    return await main()


def simulated(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make an async test run in simulated time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_simulated(functools.partial(test, *args, **kwargs))

    return run
