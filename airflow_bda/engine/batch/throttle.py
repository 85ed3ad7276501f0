"""
Decide when a batch may start its next job: fair turns, a pace that seeks what the account allows, circuit breakers.

The pace and the turns are shared by all batches of one identity on one event loop. The breakers are each batch's own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_bda.engine.pacing import SeekingPace, full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Turns:
    """
    Turns to start a job: as fast as the pace allows, and in rotation where several batches want one.

    How many jobs an account may start in a second is not published. The pace starts at ten a second, as that of status
    requests does, doubles each second while starts succeed and more of them wait, as TCP does in its slow start, and
    falls when the service throttles.

    :param most_per_second: starts per second that are never exceeded.
    """

    def __init__(self, most_per_second: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._pace = SeekingPace(most_per_second, rise_per_end=1.0)
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, batch: Hashable) -> None:
        """Wait for a turn."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(batch, deque()).append(turn)
        self._serve()
        await turn

    def succeeded(self) -> None:
        """Note that a job was started."""
        self._pace.answered(is_end=True, is_late=bool(self._waiting))

    def slow_down(self) -> None:
        """Note that the service refused a call for its rate."""
        self._pace.slow_down(self._loop.time())

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self._pace.next_at <= self._loop.time():
            # Round robin: the batch that is served moves to the end.
            batch = next(iter(self._waiting))
            turns = self._waiting.pop(batch)
            turn = turns.popleft()
            if turns:
                self._waiting[batch] = turns
            if not turn.done():
                self._pace.spend(self._loop.time())
                turn.set_result(None)
        if self._waiting:
            self._timer = self._loop.call_at(self._pace.next_at, self._serve)


# As for the pollers: a loop's turns exist as long as a batch uses them.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, Turns]] = WeakKeyDictionary()
_turns_lock = threading.Lock()


def shared_turns(identity: str, most_per_second: float) -> Turns:
    """Return the turns of one identity on this loop."""
    with _turns_lock:
        of_this_loop = _turns.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    turns = of_this_loop.get(identity)
    if turns is None:
        turns = of_this_loop[identity] = Turns(most_per_second)
    return turns


class Breaker:
    """
    A circuit breaker: it opens after failures in a row, then allows one probe at a time, until one succeeds.

    The pauses between probes grow.

    :param threshold: how many failures in a row open it.
    :param first: the limit of the first pause, in seconds.
    :param longest: what the limit grows to, in seconds.
    """

    def __init__(self, threshold: int, *, first: float, longest: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._threshold = threshold
        self._first, self._longest = first, longest
        self._failures = 0
        self._probe_at = -inf
        self._is_probing = False
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether only probes are allowed."""
        return self._failures >= self._threshold

    async def enter(self) -> bool:
        """Wait until a start is allowed; return whether it is a probe, whose result must be reported."""
        while self.is_open:
            pause = inf if self._is_probing else self._probe_at - self._loop.time()
            if pause <= 0:
                self._is_probing = True
                return True
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), None if pause == inf else pause)
            except asyncio.TimeoutError:
                continue
        return False

    def succeeded(self) -> None:
        """Note a success: everything may start again."""
        self._failures = 0
        self._end_probe()

    def failed(self, *, is_probe: bool) -> bool:
        """
        Note a failure.

        Calls or jobs that were already running when the breaker opened, a hundred perhaps, say nothing new about the
        service: while the breaker is open, only a probe's failure makes the pause longer.

        :return: whether the failure counts.
        """
        if self.is_open and not is_probe:
            return False
        self._failures += 1
        tries = max(0, self._failures - self._threshold)
        # At least half of it: a probe without a pause would find the service unchanged.
        pause = full_jitter(tries, first=self._first, longest=self._longest)
        self._probe_at = self._loop.time() + max(pause, min(self._longest, self._first * 2.0 ** min(tries, 16)) / 2)
        self._end_probe()
        return True

    def abandoned(self) -> None:
        """Note that a probe has no result, and allow another one."""
        self._end_probe()

    def _end_probe(self) -> None:
        self._is_probing = False
        self._changed.set()


@dataclass(frozen=True)
class Permit:
    """
    The permission to make one call that starts a job.

    :param probes_calls: whether the call is the only one while calls are failing.
    :param probes_jobs: whether the job is the only one that starts while jobs are failing; the gate waits for its end.
    """

    probes_calls: bool = False
    probes_jobs: bool = False


class Gate:
    """
    All conditions for starting a job: closed breakers, a place among the open jobs, and a turn.

    :param turns: shared with the other batches of the identity.
    :param batch: names the batch among them.
    :param most: how many documents may be in process, and so how many jobs open, at once.
    :param log: logs one line.
    """

    def __init__(self, turns: Turns, batch: Hashable, most: int, log: Callable[[str], None]) -> None:
        self._turns = turns
        self._batch = batch
        self._log = log
        self._most = most
        self._in_process = self._open = 0
        # How many jobs may be open, as far as the account's quota is known, and up to where that comes back fast.
        self._places = float(most)
        self._was_good = 0.0
        self._starts_in_a_row = 0
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()
        self._free = asyncio.Event()
        # Retrying a call is free, retrying a job is billed. So the pauses for failing jobs are longer.
        self._calls = Breaker(1, first=1.0, longest=60.0)
        self._jobs = Breaker(_SERVICE_ERRORS_IN_A_ROW, first=60.0, longest=900.0)

    # -- documents

    async def take_up(self) -> None:
        """Wait until one document more may be in process."""
        while self._in_process >= self._most:
            self._free.clear()
            await self._free.wait()
        self._in_process += 1

    def leave(self) -> None:
        """Note that a document is no longer in process."""
        self._in_process -= 1
        self._free.set()

    # -- starts

    def adopt(self) -> Permit:
        """Count a job that an earlier round started."""
        self._open += 1
        return Permit()

    async def enter(self) -> Permit:
        """Wait until a call may be made. Its result must be reported to exactly one of the methods below."""
        while True:
            permit = Permit(probes_jobs=await self._jobs.enter())
            try:
                permit = replace(permit, probes_calls=await self._calls.enter())
                await self._take_place(is_probe=permit.probes_calls)
            except asyncio.CancelledError:
                self.abandoned(permit)
                raise
            try:
                # A breaker may have opened meanwhile.
                if self._lets_in(permit):
                    await self._turns.take(self._batch)
                    return permit
            except asyncio.CancelledError:
                self._give_back(permit)
                raise
            self._give_back(permit)

    def _give_back(self, permit: Permit) -> None:
        self._close_place()
        self.abandoned(permit)

    def _lets_in(self, permit: Permit) -> bool:
        return (permit.probes_jobs or not self._jobs.is_open) and (permit.probes_calls or not self._calls.is_open)

    async def _take_place(self, *, is_probe: bool) -> None:
        """Wait, in turn, until one job more may be open; a probe comes first."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if is_probe else self._waiting.append)((place, is_probe))
        self._hand_out_places()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._close_place()
            raise

    def _hand_out_places(self) -> None:
        while self._waiting and self._open < int(self._places):
            place, is_probe = self._waiting[0]
            if self._calls.is_open and not is_probe:
                return
            self._waiting.popleft()
            if not place.done():
                self._open += 1
                place.set_result(None)

    def started(self) -> None:
        """Note that a job was started."""
        self._calls_succeed_again()
        self._turns.succeeded()
        self._starts_in_a_row += 1
        if self._places < self._most:
            # Twice the places in a round up to half of what was good; from there one more in a round, and the more the
            # longer nothing is refused: what took the account's other places may have ended.
            more = 1.0 if self._places < self._was_good / 2 else max(1.0, self._starts_in_a_row / 4) / self._places
            self._places = min(self._most, self._places + more)
        self._hand_out_places()

    def refused(self, permit: Permit, what: str, *, is_quota: bool) -> bool:
        """
        Note that a call failed with an error that is retried.

        :param what: the error's first line.
        :param is_quota: whether too many jobs are open.
        :return: whether it was the first of the calls that failed together.
        """
        if not self._calls.is_open:
            self._log(f"{what} Starting fewer jobs until calls succeed again.")
        counts = self._calls.failed(is_probe=permit.probes_calls)
        if is_quota and self._starts_in_a_row:
            self._was_good = max(self._places, self._was_good / 2)
        self._starts_in_a_row = 0
        self._close_place()
        if is_quota:
            # What is open now is what the account allows.
            self._places = max(1.0, min(self._places, self._open))
        else:
            self._turns.slow_down()
        if permit.probes_jobs:
            self._jobs.abandoned()
        return counts

    def denied(self, permit: Permit) -> None:
        """Note that the service returned an error that concerns this document alone."""
        self._calls_succeed_again()
        self._close_place()
        if permit.probes_jobs:
            self._jobs.abandoned()

    def _calls_succeed_again(self) -> None:
        if self._calls.is_open:
            self._log("InvokeDataAutomationAsync answers again; starting jobs.")
        self._calls.succeeded()

    def abandoned(self, permit: Permit) -> None:
        """Note that the result of the call, or of its job, will not be known."""
        if permit.probes_calls:
            self._calls.abandoned()
        if permit.probes_jobs:
            self._jobs.abandoned()

    # -- ends

    def ended(self, permit: Permit, *, in_service_error: bool) -> None:
        """Note how a job ended."""
        self._close_place()
        was_open = self._jobs.is_open
        if in_service_error:
            self._jobs.failed(is_probe=permit.probes_jobs)
        else:
            self._jobs.succeeded()
        if self._jobs.is_open != was_open:
            self._log(
                "Jobs succeed again; starting all."
                if was_open
                else f"{_SERVICE_ERRORS_IN_A_ROW} jobs in a row ended in ServiceError; starting one at a time."
            )

    def _close_place(self) -> None:
        self._open -= 1
        self._hand_out_places()


# Ten failures in a row point to the service, not to single documents.
_SERVICE_ERRORS_IN_A_ROW = 10
