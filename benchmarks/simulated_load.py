"""
Many waits at a service that is short of requests, in simulated time: ours beside three others at equal calls.

Our waits are the engine's own, on the tests' simulated clock. The others are replayed at the instants at which ours
made its calls, so that all of them make equal calls at an equal rate:

- the *oracle* knows when each job ends, and asks for one that has ended whenever there is one;
- the *statistician* has the exact distribution of the lengths, and always asks where an end is the likeliest; nothing
  that does not know the single job can do much better;
- *in order* asks for what is due the longest, with pauses in proportion to the job's age: our rule of before.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from botocore.exceptions import ClientError

from airflow_bda.engine.pacing import AdaptiveSchedule
from airflow_bda.engine.waiting import StatusConnection, Wait, WaitLimits, wait_for_job
from airflow_bda.hooks import task_arguments as shipped
from airflow_bda.service.statuses import JobState

# The tests' simulated clock.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engine"))
from pretended_queue import Queue, event
from pretended_service import ARN
from simulated_time import EPOCH, run_simulated, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LATENCY_SECONDS = 0.05
ARN_ID = "job-{}"


@dataclass(frozen=True)
class Job:
    """When a job was submitted and began to be waited for, and how long it takes."""

    number: int
    starts: float
    runs: float
    ends: float


@dataclass
class Account:
    """
    The service as one account sees it.

    :param requests_per_second: what it allows, as a token bucket that holds one second's worth; None for any number.
    """

    jobs: dict[str, Job]
    requests_per_second: float | None = None
    calls: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)
    _tokens: float = math.nan
    _filled_at: float = 0.0

    def is_allowed(self, now: float) -> bool:
        """Take a token, if there is one."""
        if self.requests_per_second is None:
            return True
        if math.isnan(self._tokens):
            self._tokens = self.requests_per_second
        self._tokens += (now - self._filled_at) * self.requests_per_second
        self._tokens = min(self._tokens, self.requests_per_second)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    async def get_status(self, invocation_arn: str) -> JobState:
        """Answer by the simulated clock."""
        now = asyncio.get_running_loop().time()
        allowed = self.is_allowed(now)
        (self.calls if allowed else self.throttled).append(now)
        await asyncio.sleep(LATENCY_SECONDS)
        if not allowed:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Get")
        job = self.jobs[invocation_arn]
        status = "Success" if now >= job.ends else "InProgress" if now >= job.runs else "Created"
        return JobState.from_response(invocation_arn, {"status": status})


class Source:
    """One client."""

    def __init__(self, identity: str, account: Account) -> None:
        self.identity = identity
        self.get_status = account.get_status

    async def close(self) -> None:
        """Nothing is open."""


def limits(most: float = shipped.MAX_STATUS_REQUESTS_PER_SECOND) -> WaitLimits:
    """Return what the platform allows."""
    return WaitLimits(most, shipped.MIN_POLL_INTERVAL, shipped.MAX_POLL_INTERVAL)


@dataclass
class Run:
    """What became of a load."""

    lags: list[float]
    account: Account

    @property
    def mean_lag(self) -> float:
        """Give the mean lag in seconds."""
        return sum(self.lags) / len(self.lags)


def run(
    jobs: Sequence[Job],
    *,
    most: float = shipped.MAX_STATUS_REQUESTS_PER_SECOND,
    quota: float | None = None,
    triggerers: int = 1,
    event_delay: Callable[[], float | None] | None = None,
) -> Run:
    """
    Wait for all jobs with the engine's own code.

    :param event_delay: how long after its end a job's event comes, None for never; without it there is no queue.
    """
    account = Account({ARN.format(ARN_ID.format(job.number)): job for job in jobs}, quota)
    the_limits = limits(most)
    queue: Queue

    async def wait(job: Job) -> float:
        await asyncio.sleep(job.starts)
        delay = event_delay() if event_delay else None
        if delay is not None:
            queue.send_later(event(ARN_ID.format(job.number)), job.ends + delay)
        identity = f"triggerer {job.number % triggerers}"

        async def open_source() -> Source:
            return Source(identity, account)

        await wait_for_job(
            Wait(
                ARN.format(ARN_ID.format(job.number)),
                deadline=EPOCH + timedelta(days=10),
                connection=StatusConnection(identity, open_source, None, (lambda: queue) if event_delay else None),
                limits=the_limits,
                wall_clock=wall_clock,
            )
        )
        return asyncio.get_running_loop().time() - job.ends

    async def main() -> list[float]:
        nonlocal queue
        queue = Queue()
        return await asyncio.gather(*map(wait, jobs))

    return Run(run_simulated(main), account)


def oracle(jobs: Sequence[Job], calls: Sequence[float]) -> float:
    """Return the mean lag of a poller that knows when each job ends."""
    ends = iter(sorted(job.ends for job in jobs))
    lags = []
    end = next(ends)
    for at in calls:
        if at >= end:
            lags.append(at + LATENCY_SECONDS - end)
            end = next(ends, math.inf)
    return sum(lags) / len(lags)


def statistician(jobs: Sequence[Job], calls: Sequence[float], length: Callable[[], float]) -> float:
    """Return the mean lag of a poller that knows how lengths are distributed, and nothing of the single job."""
    lengths = np.sort([length() for _ in range(100_000)])
    starts, ends = np.array([job.starts for job in jobs]), np.array([job.ends for job in jobs])
    gone_on, lags = np.zeros(len(jobs)), []
    is_open = np.ones(len(jobs), dtype=bool)
    for at in calls:
        by_now = np.searchsorted(lengths, at - starts) / len(lengths)
        chances = np.where(is_open, (by_now - gone_on) / np.maximum(1e-9, 1.0 - gone_on), -1.0)
        best = int(chances.argmax())
        if at >= ends[best]:
            lags.append(at + LATENCY_SECONDS - ends[best])
            is_open[best] = False
        else:
            gone_on[best] = by_now[best]
    # What it has not found when its calls are used up, it finds one by one.
    at = calls[-1]
    for left in np.flatnonzero(is_open):
        at += 0.1
        lags.append(max(0.0, at - ends[left]) + LATENCY_SECONDS)
    return float(np.mean(lags))


def in_order(jobs: Sequence[Job], calls: Sequence[float]) -> float:
    """Return the mean lag of a poller that asks for what is due the longest."""
    schedule = AdaptiveSchedule(shipped.MIN_POLL_INTERVAL, shipped.MAX_POLL_INTERVAL)
    due = [(job.starts + schedule.first_delay(), job.number, job) for job in jobs]
    heapq.heapify(due)
    lags = []
    instants = iter(calls)
    at = next(instants)
    while due:
        when, number, job = due[0]
        if when <= at:
            heapq.heappop(due)
            if at >= job.ends:
                lags.append(at + LATENCY_SECONDS - job.ends)
            else:
                heapq.heappush(due, (at + schedule.next_delay(at - job.starts), number, job))
        # Where it needs more calls than ours made, they go on at ten a second.
        at = next(instants, at + 0.1)
    return sum(lags) / len(lags)


def at_once(number: int, length: Callable[[], float]) -> list[Job]:
    """Make jobs that are submitted a millisecond after the other."""
    return spread(number, length, number / 1000)


def spread(number: int, length: Callable[[], float], seconds: float) -> list[Job]:
    """Make jobs that are submitted evenly over a time."""
    starts = [seconds * each / number for each in range(number)]
    return [Job(each, start, start, start + length()) for each, start in enumerate(starts)]


def in_a_queue(jobs: Sequence[Job], at_a_time: int) -> list[Job]:
    """Let the service work on so many jobs at a time, in the order in which they came."""
    running: list[float] = []
    queued = []
    for job in jobs:
        runs = max(job.starts, heapq.heappop(running)) if len(running) >= at_a_time else job.starts
        queued.append(Job(job.number, job.starts, runs, runs + job.ends - job.starts))
        heapq.heappush(running, queued[-1].ends)
    return queued
