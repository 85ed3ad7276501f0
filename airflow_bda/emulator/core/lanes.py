"""Work in the background: so much at once, the rest waiting."""

from __future__ import annotations

import logging
from collections import deque
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class Lane(Generic[Item]):
    """
    A queue with so many places at its head.

    Its threads are daemons, made when there is work and gone when there is none: a program may end with work open, and
    an idle emulator costs nothing.

    :param name: of the threads.
    :param limit: how many run at once.
    :param run: does one item's work; what it raises is logged.
    """

    def __init__(self, name: str, limit: int, run: Callable[[Item], None]) -> None:
        self._name = name
        self._limit = limit
        self._run = run
        self._lock = Lock()
        self._waiting: deque[Item] = deque()
        self._running = 0

    def submit(self, item: Item) -> None:
        """Queue an item."""
        with self._lock:
            self._waiting.append(item)
            if self._running == self._limit:
                return
            self._running += 1
        Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                item = self._waiting.popleft()
            try:
                self._run(item)
            except Exception:
                logger.exception("The background work on %s failed", item)
