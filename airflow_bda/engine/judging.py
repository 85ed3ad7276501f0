"""What a failed status call means, what a wait remembers, and single looks at a job: the same in every mode."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.service.aws_errors import Failure, call_error, classify, error_code
from airflow_bda.service.errors import BdaError
from airflow_bda.service.model import GET_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.service.statuses import JobState

# Not known: whether a status can be asked for right after the invoke. This is long for a replica to lag behind, and
# short for an ARN that was mistyped.
NOT_FOUND_GRACE_SECONDS = 60.0
# An endpoint that was never reached is more often a typing error than an outage. A task whose first look is during an
# outage fails after this long with a clear error, and its retries are for that.
NEVER_REACHED_SECONDS = 60.0
# A triggerer that has just started may find a key that is being rotated, though the worker could use the connection. A
# triggerer that has no credentials at all should say so long before the deadline.
CREDENTIALS_GRACE_SECONDS = 600.0


class Verdict(Enum):
    """What to do after a failed call."""

    NOT_VISIBLE_YET = "ask again: the job was submitted a moment ago"
    WAIT = "ask again"
    REOPEN = "ask again with a new client, made from the connection as it is then"
    FAIL = "end the wait with the error"


@dataclass(frozen=True)
class Known:
    """
    What is known of the connection and the job when a call fails.

    :param has_worked: whether the connection has worked in this process.
    :param worked_before: whether it is known to have worked in another one: a look before the task deferred, an earlier
        poke of a rescheduled sensor, the submit.
    :param was_reached: whether AWS has answered at all, if only with an error.
    :param failing_seconds: how long there have been nothing but failures; 0 for the first.
    :param job_age: seconds since the job was submitted, or since the wait began.
    """

    has_worked: bool = False
    worked_before: bool = False
    was_reached: bool = False
    failing_seconds: float = 0.0
    job_age: float = 0.0


def judge(error: BaseException, known: Known, *, while_opening: bool = False) -> Verdict:
    """
    Decide what a failed status call means.

    A healthy job must not fail because of the way to it. So everything is waited out that may pass (throttling, faults
    of the service, expired credentials), and what a connection that worked does not do by itself (an endpoint that is
    gone, a key that is being rotated). What the service refuses for good ends the wait at once, and a connection that
    never worked ends it early.

    :param while_opening: whether the client could not even be made.
    """
    kind = classify(error)
    if kind is Failure.NOT_FOUND:
        return Verdict.NOT_VISIBLE_YET if known.job_age < NOT_FOUND_GRACE_SECONDS else Verdict.FAIL
    if kind is Failure.BUSY:
        return Verdict.WAIT
    if kind is Failure.EXPIRED:
        return Verdict.REOPEN
    worked = known.has_worked or known.worked_before
    if kind is Failure.UNREACHABLE:
        patient = worked or known.was_reached or known.failing_seconds < NEVER_REACHED_SECONDS
        return Verdict.WAIT if patient else Verdict.FAIL
    if kind is Failure.CREDENTIALS or while_opening:
        in_grace = known.worked_before and known.failing_seconds < CREDENTIALS_GRACE_SECONDS
        return Verdict.REOPEN if known.has_worked or in_grace else Verdict.FAIL
    # An error that is not the service's: clients fail like this on answers that are not valid.
    is_no_answer = kind is Failure.OTHER and error_code(error) is None
    return Verdict.WAIT if is_no_answer and worked else Verdict.FAIL


def explain(error: BaseException, invocation_arn: str | None = None) -> BdaError:
    """Return the error to raise for a failed status call."""
    if isinstance(error, BdaError):
        return error
    return call_error(error, operation=GET_STATUS, invocation_arn=invocation_arn)


@dataclass
class Sightings:
    """
    What one wait has seen so far. Tells each change once, in the same words in every mode.

    :param tell: logs one line.
    :param worked_before: see :class:`Known`.
    """

    invocation_arn: str
    tell: Callable[[str], None]
    worked_before: bool = False

    state: JobState | None = None
    has_worked: bool = False
    was_reached: bool = False
    failing_since: float | None = None
    last_failure: BdaError | None = None
    _trouble: Failure | None = None

    def known(self, *, now: float, job_age: float) -> Known:
        """
        Return what a failed call is judged by.

        :param now: the time, by the clock of :meth:`failed`.
        """
        failing_seconds = 0.0 if self.failing_since is None else now - self.failing_since
        return Known(self.has_worked, self.worked_before, self.was_reached, failing_seconds, job_age)

    def saw(self, state: JobState, *, is_calm: bool = True) -> None:
        """
        Take note of an answer.

        :param is_calm: False while other calls on this connection still fail, which makes one good answer no news.
        """
        self.has_worked = self.was_reached = True
        self.last_failure = self.failing_since = None
        if self._trouble is not None and (is_calm or state.status.is_terminal):
            self._trouble = None
            self.tell(f"{GET_STATUS} answers again for {self.invocation_arn}.")
        if self.state is None or self.state.status_text != state.status_text:
            self.tell(state.describe())
        self.state = state

    def failed(self, error: BaseException, verdict: Verdict, *, now: float) -> None:
        """Take note of a failure that may pass by waiting."""
        kind = classify(error)
        self.was_reached = self.was_reached or kind not in {Failure.UNREACHABLE, Failure.CREDENTIALS, Failure.OTHER}
        if self.failing_since is None:
            self.failing_since = now
        self.last_failure = explain(error)
        if verdict is not Verdict.NOT_VISIBLE_YET and self._trouble is not kind:
            self._trouble = kind
            why = self.last_failure.summary()
            self.tell(f"{why} Still waiting for {self.invocation_arn}: the job itself keeps running.")


Ask: TypeAlias = "Callable[[str], JobState]"
_PAUSE_FIRST_SECONDS = 1.0
_PAUSE_LONGEST_SECONDS = 10.0


class Looker:
    """
    Looks at one job, and remembers from look to look what a poller would.

    :param open_client: makes a client from the connection as it is now, and returns what asks it for a status; called
        again when the credentials have failed. Both raise as botocore does.
    :param tell: logs one line.
    :param seconds_left: how long the whole wait may last; a look lasts no longer.
    :param job_age: how old the job is, at least, in seconds.
    :param worked_before: whether the connection is known to have worked in another process.
    """

    def __init__(  # noqa: PLR0913  what a look depends on
        self,
        invocation_arn: str,
        *,
        open_client: Callable[[], Ask],
        tell: Callable[[str], None],
        seconds_left: Callable[[], float],
        job_age: Callable[[], float],
        worked_before: bool = False,
    ) -> None:
        self.seen = Sightings(invocation_arn, tell, worked_before=worked_before)
        self._arn = invocation_arn
        self._open_client = open_client
        self._ask: Ask | None = None
        self._seconds_left = seconds_left
        self._job_age = job_age

    def look(self) -> JobState | None:
        """
        Look once. A connection that never worked is tried for a minute first, so that any later look can rely on it.

        :return: the state; None when it cannot be asked for now, and waiting continues.
        :raises BdaError: when the call was refused in a way that waiting does not change.
        """
        tries = 0
        while True:
            try:
                if self._ask is None:
                    self._ask = self._open_client()
                state = self._ask(self._arn)
            except Exception as error:  # noqa: BLE001  what is not known to pass is raised again, explained
                if not self._is_to_be_repeated(error):
                    return None
            else:
                self.seen.saw(state)
                return state
            pause = full_jitter(tries, first=_PAUSE_FIRST_SECONDS, longest=_PAUSE_LONGEST_SECONDS)
            time.sleep(min(pause, max(0.0, self._seconds_left())))
            tries += 1

    def _is_to_be_repeated(self, error: Exception) -> bool:
        """Judge a failure: whether to look again at once, or later; raises what ends the wait."""
        now = time.monotonic()
        known = self.seen.known(now=now, job_age=self._job_age())
        verdict = judge(error, known, while_opening=self._ask is None)
        if verdict is Verdict.FAIL:
            raise explain(error, self._arn) from error
        self.seen.failed(error, verdict, now=now)
        if verdict is Verdict.REOPEN:
            self._ask = None
        may_be_wrong = not (self.seen.was_reached or self.seen.has_worked or self.seen.worked_before)
        return may_be_wrong and self._seconds_left() > 0
