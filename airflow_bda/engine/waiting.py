"""
Wait for an invocation to end: one client and one rate-limited poller for all waits of one identity on one event loop.

Waiting never fails a healthy job. Throttling, faults of the service or the network and expired credentials are waited
out until the deadline, and logged when they begin and end. docs/decisions/0001-sharing-a-client.md says why sharing a
client is safe here.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_bda.engine.jitter import full_jitter
from airflow_bda.engine.poller import Poller
from airflow_bda.engine.pacing import AdaptiveSchedule, FixedSchedule
from airflow_bda.engine.threads import run_to_the_end
from airflow_bda.engine.waiter import IdentityChangedError, Waiter, WaitOutcome, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_bda.engine.pacing import PollSchedule
    from airflow_bda.engine.source import OpenSource, ResolveIdentity

__all__ = ["WaitLimits", "WaitOutcome", "wait_for_job", "wait_in_this_thread"]

# The loop's clock stands still while a machine sleeps, and deadlines are on the wall clock: look at it now and then.
_CLOCK_CHECK_SECONDS = 60.0
_MOVE_FIRST_SECONDS = 1.0
_MOVE_LONGEST_SECONDS = 60.0


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


async def wait_for_job(  # noqa: PLR0913  a connection in three parts, and what to wait for
    invocation_arn: str,
    *,
    identity: str,
    open_source: OpenSource,
    deadline: datetime,
    poll_interval: float | None,
    limits: WaitLimits,
    submitted_at: datetime | None = None,
    on_change: Callable[[str], None] | None = None,
    resolve_identity: ResolveIdentity | None = None,
    wall_clock: Callable[[], datetime] = utc_now,
) -> WaitOutcome:
    """
    Wait until an invocation has ended or the deadline has come.

    :param identity: a digest of the fully resolved connection. Waits of equal identity share a client.
    :param open_source: opens that client; called again when its credentials have failed. Must not block the loop.
    :param deadline: when to give up, timezone-aware. One that has passed already allows one more look.
    :param poll_interval: seconds between polls; None lets the pause grow with the job's age.
    :param submitted_at: when the job was submitted, if known: its age sets the pauses, and the grace for a job that
        cannot be found yet.
    :param on_change: logs one line; called on the loop, in the context of the caller.
    :param resolve_identity: looks *identity* up again. With it, a changed connection is noticed and followed.
    :param wall_clock: tells the time that *deadline* is compared with.
    :return: the last state, and whether the deadline came first.
    :raises BdaError: when the call was refused in a way that waiting does not mend.
    """
    waiter = Waiter(
        invocation_arn=invocation_arn,
        deadline=deadline,
        schedule=_schedule(poll_interval, limits),
        open_source=open_source,
        resolve_identity=resolve_identity,
        on_change=on_change,
        wall_clock=wall_clock,
    )
    waiter.know_submitted_at(submitted_at)
    moves = 0
    while True:
        try:
            return await _be_served(waiter, identity, limits)
        except IdentityChangedError as change:
            identity = await waiter.identity_now(change.identity if resolve_identity is None else identity)
        # Thousands may move at once; and a connection that gives another answer each time must not spin.
        pause = full_jitter(moves, first=_MOVE_FIRST_SECONDS, longest=_MOVE_LONGEST_SECONDS)
        await asyncio.sleep(min(pause, max(0.0, waiter.seconds_to_give_up)))
        moves += 1


def wait_in_this_thread(  # noqa: PLR0913  as above
    invocation_arn: str,
    *,
    identity: str,
    open_source: OpenSource,
    deadline: datetime,
    poll_interval: float | None,
    limits: WaitLimits,
    submitted_at: datetime | None = None,
    on_change: Callable[[str], None] | None = None,
    resolve_identity: ResolveIdentity | None = None,
    wall_clock: Callable[[], datetime] = utc_now,
) -> WaitOutcome:
    """Block until an invocation has ended or the deadline has come; see :func:`wait_for_job`."""
    return run_to_the_end(
        lambda: wait_for_job(
            invocation_arn,
            identity=identity,
            open_source=open_source,
            deadline=deadline,
            poll_interval=poll_interval,
            limits=limits,
            submitted_at=submitted_at,
            on_change=on_change,
            resolve_identity=resolve_identity,
            wall_clock=wall_clock,
        )
    )


def _schedule(poll_interval: float | None, limits: WaitLimits) -> PollSchedule:
    if poll_interval is not None:
        return FixedSchedule(poll_interval)
    return AdaptiveSchedule(floor=limits.min_poll_interval, ceiling=limits.max_poll_interval)


async def _be_served(waiter: Waiter, identity: str, limits: WaitLimits) -> WaitOutcome:
    waiter.join_anew()
    poller = _poller(identity, limits)
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
# alive from here; a poller lives as long as its waits.
_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, Poller]] = WeakKeyDictionary()
_pollers_lock = threading.Lock()


def _poller(identity: str, limits: WaitLimits) -> Poller:
    of_this_loop = _pollers_of(asyncio.get_running_loop())
    poller = of_this_loop.get(identity)
    if poller is None:
        poller = of_this_loop[identity] = Poller(
            identity,
            requests_per_second=limits.max_requests_per_second,
            # A wait that arrives while the client is being closed gets a new one.
            on_shut=partial(of_this_loop.pop, identity, None),
        )
    return poller


def _pollers_of(loop: asyncio.AbstractEventLoop) -> WeakValueDictionary[str, Poller]:
    with _pollers_lock:
        if loop not in _pollers:
            _pollers[loop] = WeakValueDictionary()
        return _pollers[loop]
