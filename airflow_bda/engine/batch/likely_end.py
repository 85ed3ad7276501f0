"""When a job of a batch has probably ended: learnt from those before it, so that one look or two are enough."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_bda.engine.pacing import AdaptiveSchedule, uniform
from airflow_bda.engine.waiting import Wait

if TYPE_CHECKING:
    from airflow_bda.engine.pacing import PollSchedule
    from airflow_bda.engine.waiting import WaitLimits

_REMEMBERED = 64
# Three of five jobs have ended at the first look; an earlier look would cost calls, a later one time.
_SHARE_AT_FIRST_LOOK = 0.6
# The pauses after a look too early, in shares of the likely length, each twice the one before.
_FIRST_PAUSE_SHARE = 0.15
# While nothing is known, only these look often; the others wait for what they learn.
_SCOUTS = 4
_LONGEST_WAIT_FOR_SCOUTS = 600.0


class LikelyEnd:
    """
    The lengths of the jobs that ended last.

    :param limits: the shortest and the longest pause between looks.
    """

    def __init__(self, limits: WaitLimits) -> None:
        self.limits = limits
        self._lengths: deque[float] = deque(maxlen=_REMEMBERED)
        self._scouts = 0
        self._known = asyncio.Event()

    @property
    def seconds(self) -> float | None:
        """How long a job probably takes, from its submission, in seconds; None while none has ended."""
        if not self._lengths:
            return None
        return sorted(self._lengths)[int(len(self._lengths) * _SHARE_AT_FIRST_LOOK)]

    def learn(self, seconds: float) -> None:
        """Take in how long a job took."""
        self._lengths.append(seconds)
        self._known.set()

    async def wait_for_scouts(self) -> None:
        """Return at once for a scout, and when anything is known; else after ten minutes."""
        if self._lengths or self._scouts < _SCOUTS:
            self._scouts += 1
            return
        try:
            await asyncio.wait_for(self._known.wait(), _LONGEST_WAIT_FOR_SCOUTS)
        except asyncio.TimeoutError:
            return


@dataclass
class LikelySchedule:
    """
    Look when the job has probably ended, then after pauses that double.

    :param age: how old the job was when the schedule was made, in seconds.
    """

    likely: LikelyEnd
    age: float
    looks: int = 0

    def first_delay(self) -> float:
        """Return what is left of the likely length."""
        seconds = self.likely.seconds
        if seconds is None:
            return self._adaptive().first_delay()
        return max(0.0, seconds - self.age) + uniform(0.0, 0.02) * seconds

    def next_delay(self, age_seconds: float) -> float:
        """Return a pause twice as long as the one before."""
        seconds = self.likely.seconds
        if seconds is None:
            return self._adaptive().next_delay(age_seconds)
        # Many jobs may have become longer at once: then no look is early enough to be told from a late one.
        pause = _FIRST_PAUSE_SHARE * max(seconds, age_seconds / 2) * 2.0**self.looks
        self.looks = min(self.looks + 1, 3)
        limits = self.likely.limits
        return min(limits.max_poll_interval, max(limits.min_poll_interval, pause))

    def _adaptive(self) -> AdaptiveSchedule:
        limits = self.likely.limits
        return AdaptiveSchedule(floor=limits.min_poll_interval, ceiling=limits.max_poll_interval)


@dataclass(frozen=True)
class LikelyWait(Wait):
    """A wait that looks by the likely end."""

    likely: LikelySchedule | None = field(default=None, compare=False)

    def schedule(self) -> PollSchedule:
        """Return the rule for the pauses between polls."""
        return self.likely or super().schedule()
