"""
Wait for an invocation to end: one client and one rate-limited poller for all waits of one identity on one event loop.

A `Wait` says what is asked for, a `StatusConnection` where to ask, and a `Waiter` keeps what was seen so far.

Waiting never fails a healthy job. Throttling, faults of the service or the network and expired credentials are waited
out until the deadline, and logged when they begin and end. docs/decisions/0001-sharing-a-client.md says why sharing a
client is safe here.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_bda.engine.judging import Sightings
from airflow_bda.engine.pacing import AdaptiveSchedule, FixedSchedule, full_jitter
from airflow_bda.engine.poller import Poller
from airflow_bda.engine.tasks import run_to_the_end
from airflow_bda.service.safe_values import safe_logger
from airflow_bda.service.statuses import JobOutcome

if TYPE_CHECKING:
    from airflow_bda.engine.hints import HintQueue
    from airflow_bda.engine.pacing import PollSchedule
    from airflow_bda.service.errors import BdaError
    from airflow_bda.service.statuses import JobState

# A wait whose deadline passed before it began (a triggerer was down) still looks once: the job may long have ended.
# Many such waits may come at once, and share the pace.
_LATE_SECONDS = 300.0

_log = safe_logger(__name__)


class StatusSource(Protocol):
    """One authenticated client that asks for statuses."""

    @property
    def identity(self) -> str:
        """
        Whom this source asks as: the digest of the connection as it was when the source was opened.

        It must be made from the very settings that the client was made from. A source whose identity is not the one
        that its poller serves is closed unused, and the waits move on (see :mod:`airflow_bda.engine.waiting`).
        """

    async def get_status(self, invocation_arn: str) -> JobState:
        """
        Ask once.

        :raises Exception: as botocore does; :func:`airflow_bda.service.aws_errors.classify` says what it means.
        """

    async def close(self) -> None:
        """Close the client. Called once, after the last call has ended."""


OpenSource = Callable[[], Awaitable[StatusSource]]
ResolveIdentity = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class StatusConnection:
    """
    How the service is reached.

    :param identity: a digest of the fully resolved connection. Waits of equal identity share a client.
    :param open_source: opens that client; called again when its credentials have failed. Must not block the loop.
    :param resolve_identity: looks *identity* up again. With it, a changed connection is noticed and followed.
    :param open_hints: opens the queue of the account's job events, if there is one.
    """

    identity: str
    open_source: OpenSource
    resolve_identity: ResolveIdentity | None = None
    open_hints: Callable[[], HintQueue] | None = None


@dataclass(frozen=True)
class WaitLimits:
    """
    What the platform allows.

    :param max_requests_per_second: for all waits of one identity on one event loop together.
    :param min_poll_interval: the shortest pause between two polls of one invocation, in seconds.
    :param max_poll_interval: the longest, in seconds.
    """

    max_requests_per_second: float
    min_poll_interval: float
    max_poll_interval: float


def utc_now() -> datetime:
    """Return the wall clock's time, for deadlines; pauses go by the event loop's clock."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Wait:
    """
    One invocation to wait for, and all that decides how.

    :param deadline: when to give up, timezone-aware. One that has passed already allows one more look.
    :param connection: how the service is reached.
    :param limits: what the platform allows.
    :param poll_interval: seconds between polls; None lets the pause grow with the job's age.
    :param submitted_at: when the job was submitted, if known: its age sets the pauses, and the grace for a job that
        cannot be found yet.
    :param has_worked: whether the connection is known to have worked, in this process or another. Then an endpoint that
        cannot be reached, or credentials that are refused, do not end the wait early.
    :param on_change: logs one line; called on the loop, in the context of the caller.
    :param wall_clock: returns the time that *deadline* is compared with.
    """

    invocation_arn: str
    deadline: datetime
    connection: StatusConnection
    limits: WaitLimits
    poll_interval: float | None = None
    submitted_at: datetime | None = None
    has_worked: bool = False
    on_change: Callable[[str], None] | None = None
    wall_clock: Callable[[], datetime] = utc_now

    def schedule(self) -> PollSchedule:
        """Return the rule for the pauses between polls."""
        if self.poll_interval is not None:
            return FixedSchedule(self.poll_interval)
        return AdaptiveSchedule(floor=self.limits.min_poll_interval, ceiling=self.limits.max_poll_interval)


class IdentityChangedError(Exception):
    """The connection of a wait has another identity now; never leaves the engine."""

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.identity = identity


@dataclass(eq=False)
class Waiter:
    """One wait under way, by whatever poller: how old its job is, and what it has seen."""

    wait: Wait

    outcome: asyncio.Future[JobOutcome] = field(init=False)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.schedule = self.wait.schedule()
        # Airflow assigns log lines to triggers by context variables: a line must be written in its wait's own.
        self.context = contextvars.copy_context()
        self.outcome = self._loop.create_future()
        self.seen = Sightings(self.wait.invocation_arn, self._tell, worked_before=self.wait.has_worked)
        self.born_at = self._loop.time()
        self._late_until = self.born_at + (_LATE_SECONDS if self.seconds_left <= 0 else 0.0)
        self._know_submitted_at(self.wait.submitted_at)

    def _know_submitted_at(self, submitted_at: datetime | None) -> None:
        """Count the job's age from its submission, where that is known; else it counts from the wait's start."""
        if submitted_at is not None:
            if submitted_at.tzinfo is None:
                submitted_at = submitted_at.replace(tzinfo=timezone.utc)
            age = max(0.0, (self.wait.wall_clock() - submitted_at).total_seconds())
            self.born_at = self._loop.time() - age

    @property
    def invocation_arn(self) -> str:
        """The job that is waited for."""
        return self.wait.invocation_arn

    @property
    def age(self) -> float:
        """How old the job is, in seconds."""
        return self._loop.time() - self.born_at

    @property
    def seconds_left(self) -> float:
        """How long it is until the deadline, in seconds; negative when it has passed."""
        return (self.wait.deadline - self.wait.wall_clock()).total_seconds()

    @property
    def seconds_to_give_up(self) -> float:
        """How long the wait may last, in seconds: until its deadline, or a little more if that had passed already."""
        return max(self.seconds_left, self._late_until - self._loop.time())

    def join_anew(self) -> None:
        """Get ready to be served, also by another poller than before."""
        self.outcome = self._loop.create_future()

    async def identity_now(self, otherwise: str) -> str:
        """
        Look up the identity of the connection.

        :param otherwise: what to return when that is not known.
        """
        resolve = self.wait.connection.resolve_identity
        if resolve is None:
            return otherwise
        try:
            return await resolve()
        except Exception:  # noqa: BLE001  a secrets backend may raise anything
            _log.warning("The connection could not be looked up again; it is taken to be unchanged.", exc_info=True)
            return otherwise

    def saw(self, state: JobState, *, is_calm: bool) -> None:
        """Take note of an answer; end the wait when it is the last one."""
        if self.seen.state is None:
            self._know_submitted_at(state.submitted_at)
        self.seen.saw(state, is_calm=is_calm)
        if state.status.is_terminal:
            self._end(JobOutcome.of_state(state))
        elif self.seconds_left <= 0:
            self.time_out()

    def time_out(self) -> None:
        """End the wait at its deadline."""
        self._end(
            JobOutcome.of_timeout(
                self.invocation_arn,
                deadline=self.wait.deadline,
                last_state=self.seen.state,
                last_failure=self.seen.last_failure,
            )
        )

    def fail(self, error: BdaError) -> None:
        """End the wait with an error."""
        self._end(JobOutcome(self.invocation_arn, error=error, state=self.seen.state))

    def send_away(self, identity: str) -> None:
        """Leave the poller: the connection has another identity now."""
        if not self.outcome.done():
            self.outcome.set_exception(IdentityChangedError(identity))

    def _end(self, outcome: JobOutcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def _tell(self, line: str) -> None:
        if self.wait.on_change is not None:
            self._loop.call_soon(self.wait.on_change, line, context=self.context)


# The loop's clock stops while a machine sleeps, and deadlines are on the wall clock: check that now and then.
_CLOCK_CHECK_SECONDS = 60.0
_MOVE_FIRST_SECONDS = 1.0
_MOVE_LONGEST_SECONDS = 60.0


async def wait_for_job(wait: Wait) -> JobOutcome:
    """
    Wait until an invocation has ended, the deadline has come, or a call was refused for good.

    :return: how it ended, with the last state that was seen; an error is returned, not raised.
    """
    waiter = Waiter(wait)
    identity = wait.connection.identity
    moves = 0
    while True:
        try:
            return await _be_served(waiter, identity)
        except IdentityChangedError as change:
            otherwise = change.identity if wait.connection.resolve_identity is None else identity
            identity = await waiter.identity_now(otherwise)
        # Thousands may move at once; and a connection that returns another answer each time must not spin.
        pause = full_jitter(moves, first=_MOVE_FIRST_SECONDS, longest=_MOVE_LONGEST_SECONDS)
        await asyncio.sleep(min(pause, max(0.0, waiter.seconds_to_give_up)))
        moves += 1


def wait_in_this_thread(wait: Wait) -> JobOutcome:
    """Block until an invocation has ended or the deadline has come; see :func:`wait_for_job`."""
    return run_to_the_end(lambda: wait_for_job(wait))


async def _be_served(waiter: Waiter, identity: str) -> JobOutcome:
    waiter.join_anew()
    poller = _poller(identity, waiter.wait.limits.max_requests_per_second)
    poller.join(waiter)
    try:
        await _outcome_or_deadline(waiter)
        return waiter.outcome.result()
    finally:
        closing = poller.leave(waiter)
        if closing is not None:
            # Before the loop can end; shielded, as the client must be closed even if this wait is cancelled twice.
            await asyncio.shield(closing)


async def _outcome_or_deadline(waiter: Waiter) -> None:
    while not waiter.outcome.done():
        seconds = waiter.seconds_to_give_up
        if seconds <= 0:
            waiter.time_out()
        await asyncio.wait([waiter.outcome], timeout=min(seconds, _CLOCK_CHECK_SECONDS))


# Two loops never share a client: it is bound to the loop that it was opened on. Neither loops nor pollers are kept
# alive from here; a poller exists as long as its waits.
_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, Poller]] = WeakKeyDictionary()
_pollers_lock = threading.Lock()


def _poller(identity: str, requests_per_second: float) -> Poller:
    with _pollers_lock:
        of_this_loop = _pollers.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    poller = of_this_loop.get(identity)
    if poller is None:
        poller = of_this_loop[identity] = Poller(
            identity,
            requests_per_second=requests_per_second,
            # A wait that arrives while the client is being closed gets a new one.
            on_shut=partial(of_this_loop.pop, identity, None),
        )
    return poller
