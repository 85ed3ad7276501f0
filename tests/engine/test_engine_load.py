"""More waits than the service answers at once: how soon their ends are noticed, and that each has its turn."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from itertools import pairwise

import pytest
from pretended_service import ARN, Service, refusal
from simulated_time import simulated

from airflow_bda.engine.pacing import uniform
from airflow_bda.engine.waiting import WaitLimits
from airflow_bda.hooks.task_arguments import wait_limits
from airflow_bda.service.statuses import JobStatus


class Quota:
    """Refuses what is beyond so many requests a second, as a token bucket with one second's worth."""

    def __init__(self, requests_per_second: float) -> None:
        self.rate = self.tokens = requests_per_second
        self.filled_at = 0.0
        self.refused = []

    def __call__(self, call):
        # The service judges a call when it comes, which is its latency before it answers.
        self.tokens = min(self.rate, self.tokens + (call.at - self.filled_at) * self.rate)
        self.filled_at = call.at
        if self.tokens < 1.0:
            self.refused.append(call.at)
            return refusal("ThrottlingException")
        self.tokens -= 1.0
        return None


@simulated
async def test_four_hundred_waits_for_five_seconds_end_within_twenty_without_any_setting():
    random.seed(5)
    quota = Quota(50.0)
    service = Service(length=5.0, fault=quota)
    outcomes = await asyncio.gather(*(service.wait(n, limits=wait_limits()) for n in range(400)))
    assert all(outcome.state.status is JobStatus.SUCCESS for outcome in outcomes)
    assert asyncio.get_running_loop().time() < 20.0
    assert len(quota.refused) < 0.1 * len(service.calls)


@simulated
async def test_a_pace_that_found_the_quota_is_refused_little():
    random.seed(6)
    quota = Quota(50.0)
    lengths = {ARN.format(n): uniform(5.0, 20.0) for n in range(8000)}
    service = Service(lengths=lengths, fault=quota)
    await asyncio.gather(*(service.wait(n, limits=wait_limits()) for n in range(8000)))
    assert asyncio.get_running_loop().time() < 8000 / 50 * 1.25 + 15
    later = [call for call in service.calls if call.at > 30.0]
    assert len([at for at in quota.refused if at > 30.0]) <= 0.02 * len(later)


@simulated
async def test_waits_for_jobs_that_go_on_are_asked_no_faster_than_at_first():
    """Nothing ends, so more requests would buy nothing: other callers of the account keep their share."""
    service = Service(length=1e9)
    waits = [asyncio.create_task(service.wait(n, limits=wait_limits())) for n in range(1000)]
    await asyncio.sleep(300)
    assert len(service.calls) <= 10.0 * 301
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


@pytest.mark.parametrize("way", ["a crowd that ends", "states", "ages"])
def test_every_wait_is_looked_at_within_a_bound_whatever_was_learned(way):
    """Jobs of 5 s come without pause, and teach that the young are worth asking; the old ones have their turns."""
    most, number = 20.0, 60
    limits = WaitLimits(max_requests_per_second=most, min_poll_interval=0.75, max_poll_interval=20.0)

    @simulated
    async def run():
        random.seed(way)
        loop = asyncio.get_running_loop()
        service = Service(length=1e9)
        if way == "states":
            service.status = "Created"
        old = [asyncio.create_task(service.wait(f"old {n}", limits=limits)) for n in range(number)]
        if way == "ages":
            await asyncio.sleep(1000)
        young = set()
        for n in range(4000):
            service.lengths[ARN.format(n)] = loop.time() + 5.0
            wait = asyncio.create_task(service.wait(n, limits=limits))
            young.add(wait)
            wait.add_done_callback(young.discard)
            await asyncio.sleep(1 / 15)
        asked = defaultdict(list)
        for call in service.calls:
            if "old" in call.invocation_arn:
                asked[call.invocation_arn].append(call.at)
        assert len(asked) == number
        # A turn in four is for what is due the longest; a hundred of the young may stand before it.
        bound = 1.1 * 20.0 + 4 * (number + 200) / most
        for times in asked.values():
            assert max(later - earlier for earlier, later in pairwise([*times, loop.time()])) <= bound
        for wait in old:
            wait.cancel()
        await asyncio.gather(*old, *young, return_exceptions=True)

    run()
