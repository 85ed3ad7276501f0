"""
Wait for an invocation to end: one client and one rate-limited poller for all waits of one identity on one event loop.

Waiting never fails a healthy job. Throttling, faults of the service or the network and expired credentials are waited
out until the deadline, and logged when they begin and end. docs/decisions/0001-sharing-a-client.md says why sharing a
client is safe here.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.engine.poller import Poller
from airflow_bda.engine.tasks import run_to_the_end
from airflow_bda.engine.waiter import IdentityChangedError, Waiter

if TYPE_CHECKING:
    from airflow_bda.engine.waiter import Wait
    from airflow_bda.service.statuses import JobOutcome

# The loop's clock stands still while a machine sleeps, and deadlines are on the wall clock: look at it now and then.
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
        # Thousands may move at once; and a connection that gives another answer each time must not spin.
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
# alive from here; a poller lives as long as its waits.
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
