"""
Submit with retries on transient errors, until the deadline; raise other errors at once.

Trying again is safe as long as every try sends the same client token: the service answers all of them with one
invocation.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore import exceptions as botocore_exceptions

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.engine.tasks import run_to_the_end
from airflow_bda.engine.waiting import utc_now
from airflow_bda.service.aws_errors import call_error, classify
from airflow_bda.service.errors import BdaError, BdaTimeoutError
from airflow_bda.service.model import INVOKE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from airflow_bda.service.aws_errors import Failure

# The pauses of AWS's own solutions for this call: 2 s doubling to 300 s, here with full jitter.
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0
# An endpoint that was never reached is more often a typing error than an outage. Six tries, with the pauses above, take
# half a minute on average (a minute at most); then the task fails with a clear error, and its retries are for outages.
_TRIES_TO_REACH = 6
_NEVER_REACHED = (
    botocore_exceptions.EndpointConnectionError,
    botocore_exceptions.ConnectTimeoutError,
    botocore_exceptions.ProxyConnectionError,
    botocore_exceptions.SSLError,
)


async def submit(
    call: Callable[[], Awaitable[str]],
    *,
    deadline: datetime,
    on_change: Callable[[str], None] | None = None,
    wall_clock: Callable[[], datetime] = utc_now,
) -> str:
    """
    Submit a job, however long the service is busy or out of reach.

    :param call: makes one try and returns the invocation's ARN. Every try must send the same client token.
    :param deadline: when to give up, timezone-aware; one try is made even when it has passed.
    :param on_change: logs one line when submitting begins to fail, fails in another way, or is taken up again.
    :param wall_clock: returns the time that *deadline* is compared with.
    :raises BdaConnectionError: when the endpoint could not be reached at all, in several tries.
    :raises BdaTimeoutError: when the deadline came first; it says what the last try met with.
    :raises BdaError: at once, when the call was refused in a way that waiting does not change.
    """
    attempts = _Attempts(deadline, on_change, wall_clock)
    while True:
        try:
            return await call()
        except Exception as error:  # noqa: BLE001  what is not known to pass is raised again, explained
            pause = attempts.pause_after(error)
        await asyncio.sleep(pause)


def submit_in_this_thread(
    call: Callable[[], Awaitable[str]],
    *,
    deadline: datetime,
    on_change: Callable[[str], None] | None = None,
) -> str:
    """Block until a job is submitted; see :func:`submit`."""
    return run_to_the_end(lambda: submit(call, deadline=deadline, on_change=on_change))


@dataclass
class _Attempts:
    """The tries so far, and what they met with."""

    deadline: datetime
    on_change: Callable[[str], None] | None
    wall_clock: Callable[[], datetime]
    in_vain: int = 0
    was_reached: bool = False
    trouble: Failure | None = None

    def pause_after(self, error: Exception) -> float:
        """Return the seconds until the next try; raise the error where there is none."""
        if isinstance(error, BdaError):
            raise error
        kind = classify(error)
        explained = call_error(error, operation=INVOKE)
        self.was_reached = self.was_reached or not isinstance(error, _NEVER_REACHED)
        pause = full_jitter(self.in_vain, first=_FIRST_PAUSE_SECONDS, longest=_LONGEST_PAUSE_SECONDS)
        self.in_vain += 1
        if not kind.is_passing or (not self.was_reached and self.in_vain >= _TRIES_TO_REACH):
            raise explained from error
        seconds_left = (self.deadline - self.wall_clock()).total_seconds()
        if seconds_left <= 0:
            raise self._too_late(explained) from error
        if kind is not self.trouble and self.on_change is not None:
            self.on_change(f"{explained.summary()} Trying again until {self.deadline:%Y-%m-%d %H:%M:%S %Z}.")
        self.trouble = kind
        return min(pause, seconds_left)

    def _too_late(self, explained: BdaError) -> BdaTimeoutError:
        return BdaTimeoutError(
            f"No job could be submitted in the time allowed; {self.in_vain} tries were made. The last one: "
            f"{explained.message}",
            remedy="No invocation is known. A retry of the task sends the same client token, so it can start no second "
            "job. Allow more time, or fewer jobs at once.",
            error_type=explained.error_type,
            error_message=explained.error_message,
        )
