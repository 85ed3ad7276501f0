"""
When to ask next, and how fast: pauses with jitter, poll schedules, and the rate of one poller.

https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Protocol

# Beyond this many doublings any pause has reached its limit; a larger exponent would only overflow.
_MOST_DOUBLINGS = 32
# A pause of 14 % of the job's age finds the end, on average, 7 % of the job's length late, whatever the length, and
# costs a number of calls that grows with the length's logarithm. benchmarks/detection.py prints both.
_PAUSE_PER_AGE = 0.14
_JITTER = 0.1
# The first poll comes at once, but for this much chance: the triggers of a whole DAG run start in the same instant.
_FIRST_POLL_SPREAD_SECONDS = 1.0
# Halving and slow regaining (AIMD) settles near what the service bears, as TCP does.
_SLOWDOWN = 0.5
_REGAIN_SECONDS = 30.0
# Refusals that come together are one event: those in flight when the first came say nothing new.
_ONE_EVENT_SECONDS = 1.0
# Slower than this share of the full pace it would take too long to notice that the service has recovered.
_SLOWEST_SHARE = 1 / 16


def uniform(low: float, high: float) -> float:
    """Return any number of seconds between *low* and *high*."""
    return random.uniform(low, high)  # noqa: S311  spreads calls over time, keeps no secret


def full_jitter(tries: int, *, first: float, longest: float) -> float:
    """
    Return the pause before another try: any time up to a limit that doubles with every failed try.

    :param tries: how many failed tries came before this one; 0 for the first pause.
    :param first: the limit of the first pause, in seconds.
    :param longest: what the limit grows to, in seconds.
    """
    return uniform(0.0, min(longest, first * 2.0 ** min(tries, _MOST_DOUBLINGS)))


class PollSchedule(Protocol):
    """A rule for the pauses between the polls of one job."""

    def first_delay(self) -> float:
        """Return the pause before the first poll, in seconds."""

    def next_delay(self, age_seconds: float) -> float:
        """Return the pause before the next poll of a job of that age, in seconds."""


@dataclass(frozen=True)
class AdaptiveSchedule:
    """
    Pauses in proportion to the job's age.

    :param floor: the shortest pause, in seconds.
    :param ceiling: the longest pause, in seconds.
    """

    floor: float
    ceiling: float

    def first_delay(self) -> float:
        """Return a short pause, by chance."""
        return uniform(0.0, min(self.floor, _FIRST_POLL_SPREAD_SECONDS))

    def next_delay(self, age_seconds: float) -> float:
        """Return a pause in proportion to the age."""
        pause = max(self.floor, age_seconds * _PAUSE_PER_AGE)
        return min(self.ceiling, max(self.floor, _around(pause)))


@dataclass(frozen=True)
class FixedSchedule:
    """
    Pauses of one length, give or take a tenth.

    :param interval: the pause, in seconds.
    """

    interval: float

    def first_delay(self) -> float:
        """Return a short pause, by chance."""
        return uniform(0.0, min(self.interval, _FIRST_POLL_SPREAD_SECONDS))

    def next_delay(self, age_seconds: float) -> float:  # noqa: ARG002  the protocol's
        """Return the one pause, whatever the age."""
        return _around(self.interval)


def _around(pause: float) -> float:
    return pause * uniform(1.0 - _JITTER, 1.0 + _JITTER)


class Pace:
    """
    When the next request may go out.

    What is due goes out together, up to a second's worth, and then nothing until that second is over: requests one by
    one, each after a pause, cost the processor nearly twice as much. All times are the event loop's, in seconds.

    :param requests_per_second: the pace while nothing is refused; no second ever sees more.
    """

    def __init__(self, requests_per_second: float) -> None:
        self.next_at = float("-inf")
        self._full_rate = requests_per_second
        self._slowed_rate = requests_per_second
        self._slowed_at = float("-inf")
        self._spent_at: deque[float] = deque(maxlen=max(1, int(requests_per_second)))

    def rate(self, now: float) -> float:
        """Return the pace at this time, in requests per second."""
        regained = self._full_rate * (now - self._slowed_at) / _REGAIN_SECONDS
        return min(self._full_rate, self._slowed_rate + regained)

    def spend(self, now: float) -> None:
        """Note that a request goes out."""
        self._spent_at.append(now)
        rate = self.rate(now)
        together = max(1, int(rate))
        if len(self._spent_at) >= together:
            self.next_at = self._spent_at[-together] + max(1.0, together / rate)

    def slow_down(self, now: float) -> None:
        """Note that the service could not keep up."""
        if now - self._slowed_at < _ONE_EVENT_SECONDS:
            return
        self._slowed_rate = max(self._full_rate * _SLOWEST_SHARE, self.rate(now) * _SLOWDOWN)
        self._slowed_at = now
