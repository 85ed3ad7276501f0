"""
What a poller asks for next: what is due, and of that, when it is too much, what has most likely ended.

How likely is learned from the looks before. What is kept is a life table: for each age, how long jobs of that age were
watched, and how many of them ended. It is the actuary's estimate of a hazard, and takes in the looks that found no end
as well as those that did: https://en.wikipedia.org/wiki/Life_table. There is a table for each state that the look
before had found, so what a queued job (`Created`) is worth asking is learned apart from what a running one is.
"""

from __future__ import annotations

import heapq
import random
from enum import Enum
from itertools import accumulate, count, pairwise
from math import inf, log2
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

# Of so many turns, one is for what has been due the longest: whatever is thought likely, with n entries none waits for
# more than so many times n turns.
_ONE_TURN_IN = 4
# Of the other turns, one in so many goes to the way that found less: things change.
_ONE_TRY_IN = 13
# With less than this found by any way, there is nothing to choose by.
_LEAST_WORTH = 0.02
# How much one answer changes what is thought of a way of choosing.
_CHANGE_PER_ANSWER = 0.05
# More is not compared at once: that takes a millisecond.
_MOST_COMPARED = 512
# What was compared is compared anew after so long; a second's worth of requests goes out together.
_COMPARED_SECONDS = 1.0
# Ages from a second to a day, in steps of 19 %: four to each doubling. Everything younger or older is in the outermost.
_STEPS_PER_DOUBLING = 4
_STEPS = 17 * _STEPS_PER_DOUBLING
_EDGES: tuple[float, ...] = (0.0, *(2.0 ** (step / _STEPS_PER_DOUBLING) for step in range(1, _STEPS + 1)))
_WIDTHS = tuple(later - earlier for earlier, later in pairwise(_EDGES))
# 1 - 1/e^3.5, 97 %, looked for in steps that are finer than the table's.
_LIKELY_RISK = 3.5
_PAUSE_STEP = 1.1
# Each look weighs a little more than the one before, twice as much after 500: a queue that grows changes all lengths.
_GROWTH = 2.0 ** (1.0 / 500)
_TOO_HEAVY = 1e12
# What is believed before anything is learned: no length is more likely than another, whatever the scale. It weighs as
# much as a small part of one end.
_BELIEVED_ENDS = (0.05,) * _STEPS
_BELIEVED_WATCHED = tuple(0.25 * width for width in _WIDTHS)


class Way(Enum):
    """Why an entry was chosen among those that are due."""

    IN_TURN = "it has been due the longest"
    BY_PROMISE = "it is the likeliest to be worth it"
    BY_AGE = "it is the oldest: a queue is worked off in order"


class Entry(Protocol):
    """
    What an agenda holds.

    :param due: when to ask for it, on the loop's clock; infinite while it is not on the agenda.
    :param born: what was begun earlier has a smaller one.
    """

    due: float

    @property
    def born(self) -> float:
        """When it was begun, on the loop's clock."""

    def __hash__(self) -> int: ...


E = TypeVar("E", bound=Entry)


class Agenda(Generic[E]):
    """
    Entries by the time at which they are due, and those that are due by what they promise.

    :param promise: how likely it is that asking now is worth it; the greater, the sooner.
    """

    def __init__(self, promise: Callable[[E], float]) -> None:
        self._promise = promise
        self._numbers = count()
        self._coming: list[tuple[float, int, E]] = []
        self._number: dict[E, int] = {}
        # A dictionary for a set that keeps an order: what became due first stands first.
        self._waiting: dict[E, None] = {}
        self._turns = 0
        # How many answers of each kind were ends lately; at first a guess that is soon outweighed.
        self._worth = {Way.IN_TURN: 0.0, Way.BY_PROMISE: 0.04, Way.BY_AGE: 0.03}
        self._best: dict[Way, list[E]] = {}
        self._compared_at = -inf

    def put(self, entry: E, due: float) -> None:
        """Put an entry on the agenda, or move it."""
        self.drop(entry)
        entry.due = due
        number = self._number[entry] = next(self._numbers)
        heapq.heappush(self._coming, (due, number, entry))

    def drop(self, entry: E) -> None:
        """Take an entry off, if it is on."""
        entry.due = inf
        self._number.pop(entry, None)
        self._waiting.pop(entry, None)

    @property
    def waiting(self) -> int:
        """How many entries are due, as of the last :meth:`next_due`."""
        return len(self._waiting)

    def first(self) -> E:
        """Return what has been due the longest."""
        return next(iter(self._waiting))

    def next_due(self, now: float) -> float:
        """Return when there is something to ask for; infinite when nothing is on the agenda."""
        self._bring_forward(now)
        if self._waiting:
            return now
        return self._coming[0][0] if self._coming else inf

    def take(self, now: float, at_once: int) -> tuple[E, Way]:
        """
        Take off what to ask for next. Something must be due.

        :param at_once: how many can be asked for in a second: with no more than that due, they go in order.
        """
        self._bring_forward(now)
        self._turns += 1
        way = self._way() if len(self._waiting) > at_once else Way.IN_TURN
        entry = self._best_by(way, now, at_once)
        if entry is None:
            way, entry = Way.IN_TURN, self.first()
        self.drop(entry)
        return entry, way

    def learn(self, way: Way, *, was_worth_it: bool) -> None:
        """Take in whether what was chosen in a way was worth it; the better way is taken more often."""
        self._worth[way] += _CHANGE_PER_ANSWER * (was_worth_it - self._worth[way])

    def _way(self) -> Way:
        """Return how to choose: mostly in the way that finds the most, where anything is found at all."""
        best, *others = sorted(self._worth, key=self._worth.__getitem__, reverse=True)
        if self._turns % _ONE_TURN_IN == 0 or self._worth[best] < _LEAST_WORTH:
            return Way.IN_TURN
        return best if self._turns % _ONE_TRY_IN else others[self._turns // _ONE_TRY_IN % len(others)]

    def _bring_forward(self, now: float) -> None:
        """Let what has become due stand in line, and forget what was moved or dropped."""
        coming = self._coming
        while coming and (coming[0][0] <= now or self._number.get(coming[0][2]) != coming[0][1]):
            _, number, entry = heapq.heappop(coming)
            if self._number.get(entry) == number:
                self._waiting[entry] = None

    def _best_by(self, way: Way, now: float, at_once: int) -> E | None:
        if way is Way.IN_TURN:
            return None
        if now - self._compared_at >= _COMPARED_SECONDS:
            self._compare(at_once)
            self._compared_at = now
        best = self._best[way]
        while best:
            entry = best.pop()
            if entry in self._waiting:
                return entry
        return None

    def _compare(self, at_once: int) -> None:
        """List the best by either way, the very best last, from where they are taken."""
        waiting = list(self._waiting)
        oldest = heapq.nsmallest(at_once, waiting, key=lambda entry: entry.born)
        some = waiting if len(waiting) <= _MOST_COMPARED else random.sample(waiting, _MOST_COMPARED)
        self._best = {
            Way.BY_AGE: oldest[::-1],
            Way.BY_PROMISE: heapq.nlargest(at_once, some, key=self._promise)[::-1],
        }


class LifeTable:
    """How many jobs of each age ended, and how long they were watched at that age."""

    def __init__(self) -> None:
        self._ends = [*_BELIEVED_ENDS]
        self._watched = [*_BELIEVED_WATCHED]
        self._weight = 1.0
        self._risks: list[float] | None = None

    def learn(self, since: float, until: float, *, ended: bool) -> None:
        """
        Take in what a look at a job of the age *until* found, after one at the age *since*.

        :param ended: whether it had ended in between. Any moment is then taken to be as likely as any other.
        """
        spans = list(_spans(since, until))
        whole = sum(seconds for _, seconds in spans)
        goes_on = 1.0
        for step, seconds in spans:
            ends_here = seconds / whole if ended else 0.0
            self._ends[step] += self._weight * ends_here
            self._watched[step] += self._weight * seconds * (goes_on - ends_here / 2)
            goes_on -= ends_here
        self._weight *= _GROWTH
        self._risks = None
        if self._weight > _TOO_HEAVY:
            self._lighten()

    def _lighten(self) -> None:
        """Scale everything down, and let what was believed at first fill what is nearly forgotten."""
        self._ends = [old / self._weight + new for old, new in zip(self._ends, _BELIEVED_ENDS, strict=True)]
        self._watched = [old / self._weight + new for old, new in zip(self._watched, _BELIEVED_WATCHED, strict=True)]
        self._weight = 1.0

    def risk(self, since: float, until: float) -> float:
        """
        Return how likely it is that a job that was running at the age *since* has ended by the age *until*.

        :return: a number that grows with the likelihood *p* and is easier to add: ``-log(1 - p)``.
        """
        if self._risks is None:
            risks = (
                ends / watched * width for ends, watched, width in zip(self._ends, self._watched, _WIDTHS, strict=True)
            )
            self._risks = [0.0, *accumulate(risks)]
        return self._risk_until(self._risks, until) - self._risk_until(self._risks, since)

    @staticmethod
    def _risk_until(risks: list[float], age: float) -> float:
        step = _step_of(age)
        share = (age - _EDGES[step]) / _WIDTHS[step]
        return risks[step] + share * (risks[step + 1] - risks[step])


class Durations:
    """What one poller has learned of how long jobs take: a life table for each state that a job may be seen in."""

    def __init__(self) -> None:
        self._tables: dict[Hashable, LifeTable] = {}

    def learn(self, state: Hashable, since: float, until: float, *, ended: bool) -> None:
        """
        Take in a look.

        :param state: what the look before had found; None for the first look.
        :param since: the job's age at the look before, in seconds; 0 for the first.
        :param until: the job's age at this look.
        """
        self._table(state).learn(since, until, ended=ended)

    def risk(self, state: Hashable, since: float, until: float) -> float:
        """Return how likely an answer is to be an end; the greater, the likelier. See :meth:`LifeTable.risk`."""
        return self._table(state).risk(since, until)

    def seconds_until_likely(self, state: Hashable, age: float, *, most: float) -> float:
        """
        Return the pause after which a job of that age has ended, if it is like 97 in 100 of those before it.

        :param most: the longest pause, in seconds, whatever was learned.
        """
        table = self._table(state)
        pause = 1.0
        while pause < most and table.risk(age, age + pause) < _LIKELY_RISK:
            pause *= _PAUSE_STEP
        return min(pause, most)

    def _table(self, state: Hashable) -> LifeTable:
        table = self._tables.get(state)
        if table is None:
            table = self._tables[state] = LifeTable()
        return table


def _step_of(age: float) -> int:
    return min(_STEPS - 1, int(_STEPS_PER_DOUBLING * log2(age))) if age > 1.0 else 0


def _spans(since: float, until: float) -> Iterator[tuple[int, float]]:
    """Yield the steps that an interval of ages touches, with the seconds in each."""
    first, last = _step_of(since), _step_of(until)
    for step in range(first, last + 1):
        begins = since if step == first else _EDGES[step]
        ends = until if step == last else _EDGES[step + 1]
        yield step, max(1e-6, ends - begins)
