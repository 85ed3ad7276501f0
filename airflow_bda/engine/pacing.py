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


# How fast a poller asks before it has learned anything. Nobody publishes what an account may make; ten leaves room for
# its other callers, and serves a thousand jobs of minutes each.
_START_RATE = 10.0
# An answer that is an end had to be asked for anyway, and asking sooner costs nothing; one that is not was spent in
# vain. With these two the pace settles where one answer in three is an end: it never buys speed for more than that.
_RISE_PER_END = 0.35
_FALL_PER_VAIN_LOOK = _RISE_PER_END / 2
# After a refusal the pace falls to this share, comes back to what was good, rests there, and then tries more, the
# faster the longer nothing is refused: CUBIC, https://www.rfc-editor.org/rfc/rfc9438. AWS's SDKs do so in their retry
# mode "adaptive". Its constant, in requests per second to the cube: 50 a second is good again after 22 seconds.
_FALL = 0.8
# Two triggerers that ask in the same moments of each second would always come in the same order, and it would always be
# the second that is refused.
_MOST_DRIFT_SECONDS = 0.05
_CUBIC = 0.001


class SeekingPace(Pace):
    """
    A pace that finds out what the account allows, and asks for no more than is worth it.

    Two numbers move it. One is what the account bears: unknown until the first refusal, and from then on near what was
    last good. The other is what is worth asking: it rises with every answer that is an end and falls with every other,
    while more is due than can be asked. Several processes that share a quota by this rule come to similar shares, since
    a refusal takes more from the one that has more.

    :param most: requests per second that are never exceeded.
    :param rise_per_end: what an answer that is an end adds to the pace, in requests per second.
    """

    def __init__(self, most: float, *, rise_per_end: float = _RISE_PER_END) -> None:
        super().__init__(most)
        self._rise = rise_per_end
        self._start = min(most, _START_RATE)
        self._worth = self._start
        self._good: float | None = None

    def rate(self, now: float) -> float:
        """Return the pace at this time, in requests per second."""
        return min(self._full_rate, self._worth, self._borne(now))

    def spend(self, now: float) -> None:
        """Note that a request goes out."""
        before = self.next_at
        super().spend(now)
        if self.next_at > max(now, before):
            self.next_at += uniform(0.0, _MOST_DRIFT_SECONDS)

    def _borne(self, now: float) -> float:
        if self._good is None:
            return self._full_rate
        back_after: float = (self._good * (1.0 - _FALL) / _CUBIC) ** (1 / 3)
        found = self._good + _CUBIC * (now - self._slowed_at - back_after) ** 3
        return max(found, self._start * _SLOWEST_SHARE)

    def answered(self, *, is_end: bool, is_late: bool) -> None:
        """
        Note what an answer was worth.

        :param is_late: whether the wait had been due for a while: only then is there something to gain.
        """
        if is_end and is_late:
            self._worth = min(self._full_rate, self._worth + self._rise)
        elif not is_end:
            self._worth = max(self._start, self._worth - _FALL_PER_VAIN_LOOK)

    def slow_down(self, now: float) -> None:
        """Note that the service could not keep up."""
        if now - self._slowed_at < _ONE_EVENT_SECONDS:
            return
        self._good = max(self.rate(now), self._start * _SLOWEST_SHARE)
        self._slowed_at = now
