"""When to ask next: soon for a young job, ever later for an old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from airflow_bda.engine.jitter import uniform

# A pause of 14 % of the job's age finds the end, on average, 7 % of the job's length late, whatever the length, and
# costs a number of calls that grows with the length's logarithm. benchmarks/detection.py prints both.
_PAUSE_PER_AGE = 0.14
_JITTER = 0.1
# The first poll comes at once, but for this much chance: the triggers of a whole DAG run start in the same instant.
_FIRST_POLL_SPREAD_SECONDS = 1.0


class PollSchedule(Protocol):
    """A rule for the pauses between the polls of one job."""

    def first_delay(self) -> float:
        """Give the pause before the first poll, in seconds."""

    def next_delay(self, age_seconds: float) -> float:
        """Give the pause before the next poll of a job of that age, in seconds."""


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
        """Give a short pause, by chance."""
        return uniform(0.0, min(self.floor, _FIRST_POLL_SPREAD_SECONDS))

    def next_delay(self, age_seconds: float) -> float:
        """Give a pause in proportion to the age."""
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
        """Give a short pause, by chance."""
        return uniform(0.0, min(self.interval, _FIRST_POLL_SPREAD_SECONDS))

    def next_delay(self, age_seconds: float) -> float:  # noqa: ARG002  the protocol's
        """Give the one pause, whatever the age."""
        return _around(self.interval)


def _around(pause: float) -> float:
    return pause * uniform(1.0 - _JITTER, 1.0 + _JITTER)
