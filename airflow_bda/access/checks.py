"""What a look at a setup found: checks as data, each with what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Level(str, Enum):
    """How bad it is: jobs run, jobs run but something should be known, jobs would fail."""

    OK = "ok"
    HINT = "hint"
    FAULT = "fault"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Check:
    """
    One thing that was looked at.

    :param name: what it is about, in a word or two.
    :param text: what was found.
    :param remedy: what to do; empty where there is nothing to do.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.level.value:<5}  {self.name}: {self.text}", self.remedy)))


def ok(name: str, text: str) -> Check:
    """Give a check that found nothing wrong."""
    return Check(name, Level.OK, text)


def hint(name: str, text: str, remedy: str = "") -> Check:
    """Give a check that found something to know."""
    return Check(name, Level.HINT, text, remedy)


def fault(name: str, text: str, remedy: str) -> Check:
    """Give a check that found what makes jobs fail."""
    return Check(name, Level.FAULT, text, remedy)


@dataclass(frozen=True)
class Report:
    """All that was looked at, in the order of looking."""

    checks: tuple[Check, ...]

    @property
    def faults(self) -> tuple[Check, ...]:
        """What makes jobs fail."""
        return tuple(check for check in self.checks if check.level is Level.FAULT)

    @property
    def hints(self) -> tuple[Check, ...]:
        """What should be known."""
        return tuple(check for check in self.checks if check.level is Level.HINT)

    def to_json(self) -> list[dict[str, Any]]:
        """Give the checks as JSON has them."""
        return [{**asdict(check), "level": check.level.value} for check in self.checks]
