"""Job events as hints: they change how soon an end is seen and how often BDA is asked, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from functools import partial
from random import Random
from statistics import mean
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretended_queue import Queue, event
from pretended_service import ARN, FAST, Service
from simulated_time import EPOCH, run_simulated, simulated, wall_clock

from airflow_bda.engine.pacing import uniform
from airflow_bda.engine.waiting import StatusConnection, Wait, wait_for_job
from airflow_bda.service.statuses import JobStatus


async def wait_for(service, name, queue, **changes):
    """Wait for a job; return its outcome and when it was there."""
    connection = StatusConnection("one", service.open, None, (lambda: queue) if queue else None)
    outcome = await service.wait(name, connection=connection, **changes)
    return outcome, asyncio.get_running_loop().time()


async def run_jobs(lengths, *, every, make_queue, fate=lambda number, queue, ends: None):
    """Start a job every while and wait for each; *fate* sends its events. Return lags, calls and the queue."""
    loop = asyncio.get_running_loop()
    service, queue = Service(), make_queue()
    waits = []
    for number, length in enumerate(lengths):
        ends = service.lengths[ARN.format(number)] = loop.time() + length
        fate(number, queue, ends)
        waits.append(asyncio.create_task(wait_for(service, number, queue)))
        await asyncio.sleep(every)
    ended = await asyncio.gather(*waits)
    assert all(outcome.state.status is JobStatus.SUCCESS for outcome, _ in ended)
    lags = [at - service.lengths[ARN.format(number)] for number, (_, at) in enumerate(ended)]
    return lags, service, queue


def told(number, queue, ends):
    queue.send_later(event(number), ends + 0.1)


@simulated
async def test_an_event_lets_the_poller_look_at_once():
    service, queue = Service(length=500.0), Queue()
    queue.send_later(event("a"), 500.2)
    _, at = await wait_for(service, "a", queue)
    assert at < 501.0
    assert queue.gone
    assert queue.closed == 1
    assert service.all_closed_once()


def test_while_events_flow_there_is_little_polling_and_ends_are_seen_at_once():
    lengths = [20.0 + number % 40 for number in range(600)]
    lags, service, _ = run_simulated(lambda: run_jobs(lengths, every=2.0, make_queue=Queue, fate=told))
    assert mean(lags[200:]) < 0.5
    late_arns = {ARN.format(number) for number in range(200, 600)}
    assert len([call for call in service.calls if call.invocation_arn in late_arns]) <= 1.15 * 400


def test_events_that_never_come_cost_nothing():
    lengths = [20.0 + number % 40 for number in range(200)]
    lags: dict[str, list[float]] = {"without": [], "lost": []}
    calls = {"without": 0, "lost": 0}
    # One run's mean varies by a tenth with the jitter of its pauses.
    for jitter in range(6):
        for name, make_queue in (("without", lambda: None), ("lost", Queue)):
            random.seed(jitter)
            found, service, _ = run_simulated(partial(run_jobs, lengths, every=2.0, make_queue=make_queue))
            lags[name] += found
            calls[name] += len(service.calls)
    assert mean(lags["lost"]) < 1.1 * mean(lags["without"])
    assert calls["lost"] < 1.1 * calls["without"]


def test_events_that_stop_are_noticed_and_polling_takes_over():
    lengths = [20.0 + number % 40 for number in range(600)]

    def fate(number, queue, ends):
        if number < 300:
            told(number, queue, ends)

    lags, _, _ = run_simulated(lambda: run_jobs(lengths, every=2.0, make_queue=Queue, fate=fate))
    assert max(lags) < 120.0, "some must be late for the poller to notice"
    assert mean(lags[400:]) < 0.1 * mean(lengths), "from then on it polls as without events"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_becomes_of_events_every_wait_ends_right(seed):
    """Lost, late, doubled, early, forged: each end is seen, never before it came, and not later than polling would."""
    chance = Random(seed)  # noqa: S311  makes test data, keeps no secret
    loss, forged = chance.random(), chance.random()
    lengths = [chance.uniform(2.0, 90.0) for _ in range(80)]

    def fate(number, queue, ends):
        for _ in range(chance.choice((1, 1, 2))):
            if chance.random() >= loss:
                queue.send_later(event(number), ends + chance.choice((0.1, 0.5, 40.0)))
        if chance.random() < forged:
            early = event(number, chance.choice(("Succeeded", "Failed With Client Error", "Created")))
            for _ in range(chance.choice((1, 20))):
                queue.send_later(early, max(0.0, ends - chance.uniform(0.0, 30.0)))
            queue.send_later(event(UUID(int=chance.getrandbits(128))), ends)
            queue.send_later(event(number, account="999999999999"), ends - 1.0)

    lags, service, queue = run_simulated(lambda: run_jobs(lengths, every=1.0, make_queue=Queue, fate=fate))
    assert min(lags) >= 0.0
    assert max(lags) <= 600.0
    asked = Counter(call.invocation_arn for call in service.calls)
    assert max(asked.values()) < 60
    assert max(queue.returns.values(), default=0) <= 3
    assert queue.closed >= 1


@simulated
async def test_a_message_for_another_triggerer_goes_back_at_once_a_few_times():
    service, queue = Service(length=200.0), Queue()
    queue.send(event("somebody-elses"))
    await wait_for(service, "a", queue)
    (message,) = queue.returns
    assert queue.returns[message] == 3
    assert message not in queue.gone
    assert message.receives <= 3 + 200 / 30 + 2, "then it is left to its visibility timeout"


@simulated
async def test_an_event_that_came_before_the_wait_is_not_lost():
    """While events flow, a new wait does not look at once, unless its event has come already."""
    service, queue = Service(), Queue()
    loop = asyncio.get_running_loop()
    keeper = asyncio.create_task(wait_for(service, "keeper", queue))
    service.lengths[ARN.format("keeper")] = 1000.0
    for number in range(40):
        service.lengths[ARN.format(number)] = loop.time() + 10.0
        told(number, queue, loop.time() + 10.0)
        await wait_for(service, number, queue)
    service.lengths[ARN.format("early")] = loop.time()
    queue.send(event("early"))
    await asyncio.sleep(5)
    began = loop.time()
    _, at = await wait_for(service, "early", queue)
    assert at - began < 2.0
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


@simulated
async def test_an_event_that_came_before_the_wait_counts_for_a_wait_that_would_look_late_too():
    class PatientWait(Wait):
        def schedule(self):
            return SimpleNamespace(first_delay=lambda: 500.0, next_delay=lambda age: 500.0)

    service, queue = Service(length=1000.0), Queue()
    keeper = asyncio.create_task(wait_for(service, "keeper", queue))
    service.lengths[ARN.format("early")] = 0.0
    queue.send_later(event("early"), 3.0)
    await asyncio.sleep(10.0)
    source = StatusConnection("one", service.open, None, lambda: queue)
    await wait_for_job(
        PatientWait(ARN.format("early"), EPOCH + timedelta(hours=1), source, FAST, wall_clock=wall_clock)
    )
    assert asyncio.get_running_loop().time() < 12.0
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


@simulated
async def test_a_reader_that_fails_leaves_the_waits_to_polling():
    class Broken(Queue):
        async def receive(self):
            await asyncio.sleep(uniform(1.0, 2.0))
            raise OSError("no queue")

    service, queue = Service(length=60.0), Broken()
    outcome, at = await wait_for(service, "a", queue)
    assert outcome.state.status is JobStatus.SUCCESS
    assert at < 75.0
    assert queue.closed == 1


@pytest.mark.parametrize("kind", ["Created", "Resized"])
def test_an_event_that_is_no_end_is_no_hint(kind):
    @simulated
    async def run():
        service, queue = Service(length=300.0), Queue()
        for at in range(10, 200, 5):
            queue.send_later(event("a", kind), float(at))
        await wait_for(service, "a", queue)
        assert len(service.calls) < 45

    run()
