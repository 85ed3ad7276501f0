"""One wait: what was asked for, what it has seen so far, and how it tells of changes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.engine.pacing import PollSchedule
    from airflow_bda.engine.source import OpenSource, ResolveIdentity
    from airflow_bda.service.aws_errors import Failure
    from airflow_bda.service.statuses import JobState

# A wait whose deadline passed before it began (a triggerer was down) still looks once: the job may long have ended.
# Many such waits may come at once, and share the pace.
_LATE_SECONDS = 300.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WaitOutcome:
    """
    How a wait ended.

    :param state: the last state that was seen; None when no poll was ever answered.
    :param timed_out: whether the deadline came first. Otherwise *state* is terminal.
    :param last_failure: what the last poll failed with, when that was the deadline's last word; else None.
    """

    state: JobState | None
    timed_out: bool = False
    last_failure: str | None = None


class IdentityChangedError(Exception):
    """The connection that a wait goes through now stands for somebody else; never leaves the engine."""

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.identity = identity


def utc_now() -> datetime:
    """Give the wall clock's time, for deadlines; pauses go by the event loop's clock."""
    return datetime.now(timezone.utc)


@dataclass(eq=False)
class Waiter:
    """
    One wait, whichever poller serves it.

    :param deadline: when to give up, on the wall clock.
    :param on_change: logs one line.
    :param wall_clock: tells the time; tests pass a simulated one.
    """

    invocation_arn: str
    deadline: datetime
    schedule: PollSchedule
    open_source: OpenSource
    resolve_identity: ResolveIdentity | None
    on_change: Callable[[str], None] | None
    wall_clock: Callable[[], datetime] = utc_now

    outcome: asyncio.Future[WaitOutcome] = field(init=False)
    state: JobState | None = None
    has_worked: bool = False
    last_failure: str | None = None
    _trouble: Failure | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Airflow tells triggers' log lines apart by context variables: a line must be written in its wait's own.
        self.context = contextvars.copy_context()
        self.outcome = self._loop.create_future()
        self._born_at = self._loop.time()
        self._late_until = self._born_at + (_LATE_SECONDS if self.seconds_left <= 0 else 0.0)

    def know_submitted_at(self, submitted_at: datetime | None) -> None:
        """Count the job's age from its submission, where that is known; else it counts from the wait's start."""
        if submitted_at is not None:
            if submitted_at.tzinfo is None:
                submitted_at = submitted_at.replace(tzinfo=timezone.utc)
            age = max(0.0, (self.wall_clock() - submitted_at).total_seconds())
            self._born_at = self._loop.time() - age

    @property
    def age(self) -> float:
        """How old the job is, in seconds."""
        return self._loop.time() - self._born_at

    @property
    def seconds_left(self) -> float:
        """How long it is until the deadline, in seconds; negative when it has passed."""
        return (self.deadline - self.wall_clock()).total_seconds()

    @property
    def seconds_to_give_up(self) -> float:
        """How long the wait may go on, in seconds: until its deadline, or a little more if that had passed already."""
        return max(self.seconds_left, self._late_until - self._loop.time())

    def join_anew(self) -> None:
        """Get ready to be served, also by another poller than before."""
        self.outcome = self._loop.create_future()

    async def identity_now(self, otherwise: str) -> str:
        """
        Look up whom the connection stands for.

        :param otherwise: what to give when that cannot be told.
        """
        if self.resolve_identity is None:
            return otherwise
        try:
            return await self.resolve_identity()
        except Exception:  # noqa: BLE001  a secrets backend may raise anything
            _log.warning("The connection could not be looked up again; it is taken to be unchanged.", exc_info=True)
            return otherwise

    def saw(self, state: JobState, *, storm_is_over: bool) -> None:
        """Take note of an answer; end the wait when it is the last one."""
        if self.state is None:
            self.know_submitted_at(state.submitted_at)
        self.has_worked = True
        self.last_failure = None
        if self._trouble is not None and (storm_is_over or state.status.is_terminal):
            self._trouble = None
            self._tell(f"GetDataAutomationStatus answers again for {self.invocation_arn}.")
        if self.state is None or self.state.status_text != state.status_text:
            self._tell(_status_line(state))
        self.state = state
        if state.status.is_terminal:
            self.end(WaitOutcome(state))
        elif self.seconds_left <= 0:
            self.time_out()

    def stumbled(self, kind: Failure, what: str) -> None:
        """Take note of a failure that waiting may mend."""
        self.last_failure = what
        if self._trouble is not kind:
            self._trouble = kind
            self._tell(f"{what} Still waiting for {self.invocation_arn}: the job itself goes on.")

    def time_out(self) -> None:
        """End the wait at its deadline."""
        self.end(WaitOutcome(self.state, timed_out=True, last_failure=self.last_failure))

    def end(self, outcome: WaitOutcome) -> None:
        """End the wait with an outcome."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def _tell(self, line: str) -> None:
        if self.on_change is not None:
            self._loop.call_soon(self.on_change, line, context=self.context)


def _status_line(state: JobState) -> str:
    if state.status.value == state.status_text or state.status.value != "Unknown":
        return f"{state.invocation_arn} is {state.status_text}."
    return (
        f"{state.invocation_arn} has the status {state.status_text!r}, which this release does not know; "
        "waiting on until it ends in one that it knows."
    )
