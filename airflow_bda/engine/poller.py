"""
One client that asks for many: the waits of one identity on one event loop.

A poller is an agenda and a timer. Every request is a task in an empty context: a wait that leaves, even by
being cancelled, never affects another.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.agenda import Agenda, Durations, Way
from airflow_bda.engine.client import Lease, SharedClient
from airflow_bda.engine.hints import Hints
from airflow_bda.engine.judging import Known, Verdict, explain, judge
from airflow_bda.engine.pacing import SeekingPace, full_jitter, uniform
from airflow_bda.engine.tasks import error_of, start_apart, start_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_bda.engine.waiting import Waiter
    from airflow_bda.service.statuses import JobState, JobStatus

# botocore's pool holds 10 connections unless told otherwise; more requests would only queue inside the client.
_MOST_IN_FLIGHT = 10
# Making and signing a request takes a millisecond or two, and the loop serves nobody meanwhile.
_MOST_STARTS_A_TURN = 4
# A status is a small answer. Without a limit, ten requests that hang would stop every wait of this identity.
_REQUEST_SECONDS = 30.0
_RETRY_FIRST_SECONDS = 2.0
_RETRY_LONGEST_SECONDS = 60.0
# A storm is over when nothing failed for this long: a single good answer in the middle of one does not count.
_CALM_SECONDS = 10.0
# A changed connection mostly shows by its old credentials failing. This is for one whose old credentials still work.
_IDENTITY_CHECK_SECONDS = 300.0
# A job ends once, and its event may come twice or before the status shows it. More are forged.
_MOST_HINTS = 4
_PAUSE_AFTER_HINT_SECONDS = 5.0
# An event comes this long after the end, mostly much less.
_HINT_SECONDS = 5.0
# Though events flow, one may be lost: no wait is left alone for longer.
_LONGEST_WITH_HINTS_SECONDS = 600.0
# The last poll of a wait comes this long before its deadline: time for an answer.
_LAST_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class _Look:
    """
    One request under way.

    :param since: the job's age at the look before, in seconds.
    :param until: its age at this one.
    :param at: when it was sent, on the loop's clock.
    :param is_short: whether more was due than could be asked for.
    :param way: how it was chosen.
    """

    since: float
    until: float
    at: float
    is_short: bool
    way: Way


@dataclass(eq=False)
class _Watch:
    """
    One invocation and all who wait for it.

    :param looked_at: when it was last asked for with an answer, on the loop's clock.
    :param found: what the answer said.
    :param hints: how many events had it looked at.
    :param is_hinted: whether an event has come since the last look.
    """

    invocation_arn: str
    waiters: list[Waiter] = field(default_factory=list)
    due: float = inf
    looked_at: float | None = None
    found: JobStatus | None = None
    tries_in_vain: int = 0
    hints: int = 0
    is_hinted: bool = False
    request: asyncio.Task[JobState] | None = None

    @property
    def age(self) -> float:
        return max(waiter.age for waiter in self.waiters)

    @property
    def born(self) -> float:
        """When the job was submitted, on the loop's clock."""
        return min(waiter.born_at for waiter in self.waiters)

    def span(self, now: float) -> tuple[float, float]:
        """Return the job's ages at the last look and now; the first is 0 where there was no look."""
        age = self.age
        return (0.0 if self.looked_at is None else max(0.0, age - (now - self.looked_at))), age

    def let_go_of_the_done(self) -> None:
        """Drop those whose wait has ended; they leave the poller when their own tasks get to run."""
        self.waiters = [waiter for waiter in self.waiters if not waiter.outcome.done()]


class Poller:
    """
    Asks for the statuses of many invocations with one client.

    :param identity: the identity that the client must have.
    :param requests_per_second: the most that is asked, all waits together.
    :param on_shut: called once, when the last wait has left and before the client is closed.
    """

    def __init__(self, identity: str, *, requests_per_second: float, on_shut: Callable[[], object]) -> None:
        self.identity = identity
        self._on_shut = on_shut
        self._loop = asyncio.get_running_loop()
        self._pace = SeekingPace(requests_per_second)
        self._durations = Durations()
        self._client = SharedClient(identity, self)
        self._waiters: dict[Waiter, None] = {}
        self._watches: dict[str, _Watch] = {}
        self._agenda: Agenda[_Watch] = Agenda(self._promise)
        self._in_flight: set[asyncio.Task[JobState]] = set()
        self._has_worked = False
        self._last_trouble_at = -inf
        self._timer: asyncio.TimerHandle | None = None
        self._identity_check: asyncio.Task[None] | None = None
        self._hints: Hints | None = None
        self._reading_hints: asyncio.Task[None] | None = None
        self._is_shut = False

    # Who waits

    def join(self, waiter: Waiter) -> None:
        """Serve a wait from now on; its ``outcome`` will tell."""
        self._waiters[waiter] = None
        watch = self._watches.setdefault(waiter.invocation_arn, _Watch(waiter.invocation_arn))
        watch.waiters.append(waiter)
        if self._hints is None and waiter.wait.connection.open_hints is not None:
            self._hints = Hints(waiter.wait.connection.open_hints(), self._look_now, self._poll_as_without_hints)
            self._reading_hints = start_within(waiter.context, self._hints.read())
        was_announced = self._hints is not None and self._hints.was_announced(waiter.invocation_arn)
        delay = 0.0 if was_announced else self._pause_with_hints(watch, waiter.schedule.first_delay())
        first_poll = self._loop.time() + delay
        if watch.request is None and first_poll < watch.due:
            self._agenda.put(watch, first_poll)
        if self._identity_check is None:
            self._identity_check = start_apart(self._check_identities())
        self._tick()

    def leave(self, waiter: Waiter) -> asyncio.Task[None] | None:
        """
        Serve a wait no more, however it ended. Takes effect at once.

        :return: the closing of the client, when this was the last wait.
        """
        self._waiters.pop(waiter, None)
        self._pass_over(waiter)
        if self._waiters or self._is_shut or self._loop.is_closed():
            return None
        self._is_shut = True
        self._on_shut()
        self._tick()
        tasks = [*self._in_flight, *filter(None, [self._identity_check, self._reading_hints])]
        for task in tasks:
            task.cancel()
        return start_apart(self._close_after(tasks))

    def _pass_over(self, waiter: Waiter) -> None:
        watch = self._watches.get(waiter.invocation_arn)
        if watch is not None and waiter in watch.waiters:
            watch.waiters.remove(waiter)
            if not watch.waiters:
                self._drop(watch)

    def _drop(self, watch: _Watch) -> None:
        if self._watches.get(watch.invocation_arn) is watch:
            del self._watches[watch.invocation_arn]
        self._agenda.drop(watch)
        if watch.request is not None:
            watch.request.cancel()

    async def _close_after(self, tasks: list[asyncio.Task[Any]]) -> None:
        if tasks:
            await asyncio.wait(tasks)
        await self._client.close()

    # What is due

    def _promise(self, watch: _Watch) -> float:
        if watch.is_hinted:
            return inf
        return self._durations.risk(watch.found, *watch.span(self._loop.time()))

    def _tick(self) -> None:
        """Start what may start now, a few at a time, and set the timer for what comes next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _ in range(_MOST_STARTS_A_TURN):
            if self._pause() > 0:
                break
            self._advance()
        pause = max(0.0, self._pause())
        if pause < inf:
            self._timer = self._loop.call_later(pause, self._tick)

    def _pause(self) -> float:
        """Return the seconds until something may start; infinite when only an event can change that."""
        now = self._loop.time()
        due = self._agenda.next_due(now)
        if due == inf or self._is_shut:
            return inf
        if not self._client.is_open:
            return max(due, self._client.may_open_at) - now
        if len(self._in_flight) >= _MOST_IN_FLIGHT:
            return inf
        return max(due, self._pace.next_at) - now

    def _advance(self) -> None:
        if self._client.is_open:
            self._send()
        else:
            self._client.open_through(self._agenda.first().waiters[0])

    # Requests

    def _send(self) -> None:
        now = self._loop.time()
        at_once = max(1, int(self._pace.rate(now)))
        is_short = self._agenda.waiting > at_once
        watch, way = self._agenda.take(now, at_once)
        look = _Look(*watch.span(now), at=now, is_short=is_short, way=way)
        self._pace.spend(now)
        lease = self._client.borrow()
        request = start_apart(_ask(lease, watch.invocation_arn))
        watch.request = request
        self._in_flight.add(request)
        request.add_done_callback(partial(self._finished, watch, lease, look))

    def _finished(self, watch: _Watch, lease: Lease, look: _Look, request: asyncio.Task[JobState]) -> None:
        self._in_flight.discard(request)
        watch.request = None
        error = error_of(request)
        watch.let_go_of_the_done()
        if not watch.waiters:
            self._drop(watch)
        elif error is None:
            self._answered(watch, look, request.result())
        else:
            self._failed(watch, lease, error)
        self._client.give_back(lease)
        self._tick()

    def _answered(self, watch: _Watch, look: _Look, state: JobState) -> None:
        self._has_worked = True
        self._client.answered()
        is_end = state.status.is_terminal
        self._pace.answered(is_end=is_end, is_late=look.is_short)
        self._learn(watch, look, ended=is_end)
        self._agenda.learn(look.way, was_worth_it=is_end)
        watch.found, watch.looked_at = state.status, look.at
        watch.tries_in_vain = 0
        is_calm = self._loop.time() - self._last_trouble_at >= _CALM_SECONDS
        for waiter in watch.waiters:
            waiter.saw(state, is_calm=is_calm)
        watch.let_go_of_the_done()
        if not watch.waiters:
            self._drop(watch)
            return
        delay = self._pause_with_hints(watch, min(waiter.schedule.next_delay(watch.age) for waiter in watch.waiters))
        if watch.is_hinted:
            watch.is_hinted = False
            delay = min(delay, _PAUSE_AFTER_HINT_SECONDS)
        last_poll = min(waiter.seconds_left for waiter in watch.waiters) - _LAST_POLL_SECONDS
        self._agenda.put(watch, self._loop.time() + (min(delay, last_poll) if last_poll > 0 else delay))

    def _learn(self, watch: _Watch, look: _Look, *, ended: bool) -> None:
        since = look.since
        if ended and self._hints is not None:
            if watch.is_hinted:
                # It was running until a moment ago: the event came when it ended.
                self._hints.told(watch.invocation_arn)
                since = max(since, look.until - _HINT_SECONDS)
                self._durations.learn(watch.found, look.since, since, ended=False)
            else:
                self._hints.ended(watch.invocation_arn)
        self._durations.learn(watch.found, since, look.until, ended=ended)

    def _failed(self, watch: _Watch, lease: Lease, error: BaseException) -> None:
        verdict = judge(error, self._known(watch.waiters))
        if verdict is Verdict.FAIL:
            for waiter in watch.waiters:
                waiter.fail(explain(error, watch.invocation_arn))
            self._drop(watch)
            return
        if verdict is Verdict.REOPEN:
            self._client.retire(lease)
        elif verdict is Verdict.WAIT:
            self._pace.slow_down(self._loop.time())
        self._note_failure(watch.waiters, error, verdict)
        delay = full_jitter(watch.tries_in_vain, first=_RETRY_FIRST_SECONDS, longest=_RETRY_LONGEST_SECONDS)
        watch.tries_in_vain += 1
        self._agenda.put(watch, self._loop.time() + delay)

    def _note_failure(self, waiters: Iterable[Waiter], error: BaseException, verdict: Verdict) -> None:
        now = self._loop.time()
        if verdict is not Verdict.NOT_VISIBLE_YET:
            self._last_trouble_at = now
        for waiter in waiters:
            waiter.seen.failed(error, verdict, now=now)

    def _known(self, waiters: list[Waiter]) -> Known:
        """Put together what several waits know: one that moved here has seen its former poller work."""
        each = [waiter.seen.known(now=self._loop.time(), job_age=waiter.age) for waiter in waiters]
        return Known(
            has_worked=self._has_worked or any(known.has_worked for known in each),
            worked_before=any(known.worked_before for known in each),
            was_reached=any(known.was_reached for known in each),
            failing_seconds=max(known.failing_seconds for known in each),
            job_age=max(known.job_age for known in each),
        )

    # Events as hints

    def _look_now(self, invocation_arn: str) -> bool:
        """Look at a job as soon as the pace allows; return whether it is waited for here."""
        watch = self._watches.get(invocation_arn)
        if watch is None:
            return False
        if watch.hints < _MOST_HINTS:
            watch.hints += 1
            watch.is_hinted = True
            if watch.request is None and watch.tries_in_vain == 0:
                self._agenda.put(watch, self._loop.time())
                self._tick()
        return True

    def _pause_with_hints(self, watch: _Watch, pause: float) -> float:
        """Return the pause before the next look; a longer one while events tell of ends."""
        if self._hints is None or not self._hints.flow:
            return pause
        likely = self._durations.seconds_until_likely(watch.found, watch.age, most=_LONGEST_WITH_HINTS_SECONDS)
        return max(pause, likely)

    def _poll_as_without_hints(self) -> None:
        now = self._loop.time()
        for watch in self._watches.values():
            if watch.request is None and watch.due > now:
                pause = min(waiter.schedule.next_delay(watch.age) for waiter in watch.waiters)
                self._agenda.put(watch, min(watch.due, now + uniform(0.0, pause)))
        self._tick()

    # The client, as its owner is told

    def opened(self) -> None:
        """Go on with what is due."""
        self._tick()

    def opened_for_another(self, waiter: Waiter, identity: str) -> None:
        """Let the waits look up their identities again."""
        self._send_away(waiter, identity)
        self._tick()

    def failed_to_open(self, waiter: Waiter, error: BaseException) -> None:
        """Wait it out if that may help; else fail the one wait, and let the next one try."""
        verdict = judge(error, self._known([waiter]), while_opening=True)
        if verdict is Verdict.FAIL:
            waiter.fail(explain(error, waiter.invocation_arn))
            self._pass_over(waiter)
        else:
            self._client.open_later()
            self._note_failure(self._waiters, error, verdict)
        self._tick()

    # Whose waits these are

    async def _check_identities(self) -> None:
        """Look one connection up again every while, in turn: a poller's waits may come by several connections."""
        while True:
            await asyncio.sleep(uniform(0.8, 1.2) * _IDENTITY_CHECK_SECONDS)
            waiter = next(iter(self._waiters))
            self._waiters[waiter] = self._waiters.pop(waiter)
            if waiter.wait.connection.resolve_identity is not None:
                identity = await start_within(waiter.context, waiter.identity_now(self.identity))
                if identity != self.identity and waiter in self._waiters:
                    self._send_away(waiter, identity)

    def _send_away(self, waiter: Waiter, identity: str) -> None:
        """
        Part with a wait that belongs to another identity now, and let all the others look theirs up as well.

        Those that cannot look it up stay: they may have come by another connection.
        """
        for each in list(self._waiters):
            if each is waiter or each.wait.connection.resolve_identity is not None:
                each.send_away(identity)
                self._pass_over(each)


async def _ask(lease: Lease, invocation_arn: str) -> JobState:
    return await asyncio.wait_for(lease.source.get_status(invocation_arn), _REQUEST_SECONDS)
