"""How fast an operation may be called."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class RateLimiter:
    """
    Counts each operation's calls against its rate; a second's worth may come at once.

    :param clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, operation: str, rate: float | None) -> bool:
        """
        Count one call; False when it comes too fast.

        :param rate: calls per second; None for no limit.
        """
        if rate is None:
            return True
        burst = max(rate, 1.0)
        with self._lock:
            now = self._clock()
            tokens, filled_at = self._buckets.get(operation, (burst, now))
            tokens = min(burst, tokens + (now - filled_at) * rate)
            allowed = tokens >= 1
            self._buckets[operation] = (tokens - 1 if allowed else tokens, now)
        return allowed
