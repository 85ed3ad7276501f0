"""The deadline: on the wall clock, absolute, and never before one look."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from pretended_service import Service
from simulated_time import EPOCH, simulated, wall_clock

from airflow_bda.engine.waiting import WaitLimits


def loop_time() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("seconds", [1.0, 30.0, 86_400.0])
def test_a_wait_ends_at_its_deadline_with_the_last_state(seconds):
    @simulated
    async def run():
        service = Service(length=1e9)
        outcome = await service.wait(deadline=EPOCH + timedelta(seconds=seconds))
        assert outcome.timed_out
        assert outcome.state.status_text == "InProgress"
        assert seconds <= loop_time() < seconds + 0.5

    run()


@simulated
async def test_the_last_poll_comes_just_before_the_deadline():
    """Pauses grow with age; a job that ends in the last of them must still be seen."""
    service = Service(length=990.0)
    outcome = await service.wait(deadline=EPOCH + timedelta(seconds=1000), poll_interval=400.0)
    assert outcome.state.status_text == "Success"
    assert not outcome.timed_out


@simulated
async def test_a_deadline_that_has_passed_allows_one_look_at_an_ended_job():
    service = Service(length=0.0)
    outcome = await service.wait(deadline=EPOCH - timedelta(hours=1))
    assert outcome.state.status_text == "Success"
    assert not outcome.timed_out


@simulated
async def test_a_deadline_that_has_passed_ends_the_wait_after_one_look_at_a_running_job():
    service = Service(length=1e9)
    outcome = await service.wait(deadline=EPOCH - timedelta(hours=1))
    assert outcome.timed_out
    assert outcome.state.status_text == "InProgress"
    assert len(service.calls) == 1


@simulated
async def test_a_deadline_that_has_passed_gives_up_without_an_answer():
    service = Service(fault=lambda _: EndpointConnectionError(endpoint_url="https://nowhere"))
    outcome = await service.wait(deadline=EPOCH - timedelta(hours=1), has_worked=True)
    assert outcome.timed_out
    assert outcome.state is None
    assert "EndpointConnectionError" in outcome.error.error_message
    assert loop_time() < 310


@simulated
async def test_a_failure_that_was_over_before_the_deadline_is_not_its_reason():
    gone = EndpointConnectionError(endpoint_url="https://nowhere")
    service = Service(length=1e9, fault=lambda call: gone if call.at < 20 else None)
    outcome = await service.wait(deadline=EPOCH + timedelta(seconds=100))
    assert outcome.timed_out
    assert outcome.error.error_message is None


@simulated
async def test_a_thousand_late_waits_all_get_their_look():
    service = Service(length=0.0)
    limits = WaitLimits(max_requests_per_second=5.0, min_poll_interval=0.75, max_poll_interval=300.0)
    late = EPOCH - timedelta(hours=1)
    outcomes = await asyncio.gather(*(service.wait(n, deadline=late, limits=limits) for n in range(1000)))
    assert all(outcome.state.status_text == "Success" for outcome in outcomes)


@simulated
async def test_a_client_that_never_opens_does_not_outlast_the_deadline():
    service = Service(opening_seconds=1e6)
    outcome = await service.wait(deadline=EPOCH + timedelta(seconds=60))
    assert outcome.timed_out
    assert outcome.state is None
    assert loop_time() < 61


@simulated
async def test_a_machine_that_slept_past_the_deadline_ends_the_wait_soon_after():
    """The loop's clock stands still while a machine sleeps; the wall clock does not."""
    slept = timedelta(0)
    service = Service(length=1e9)
    deadline = EPOCH + timedelta(hours=12)
    wait = asyncio.create_task(
        service.wait(deadline=deadline, poll_interval=5000.0, wall_clock=lambda: wall_clock() + slept)
    )
    await asyncio.sleep(600)
    slept = timedelta(hours=20)
    outcome = await wait
    assert outcome.timed_out
    assert loop_time() < 600 + 61


@simulated
async def test_waits_for_one_arn_keep_their_own_deadlines():
    service = Service(length=100.0)
    short, long = await asyncio.gather(
        service.wait("same", deadline=EPOCH + timedelta(seconds=20)), service.wait("same")
    )
    assert short.timed_out
    assert long.state.status_text == "Success"
