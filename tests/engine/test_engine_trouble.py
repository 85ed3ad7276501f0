"""What the service, the network and the credentials may do during a wait, and how the wait ends."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from pretended_service import ARN, FAST, Service, refusal
from simulated_time import EPOCH, simulated

from airflow_bda.engine.pacing import uniform
from airflow_bda.engine.waiting import WaitLimits
from airflow_bda.service.errors import BdaConnectionError, BdaError, BdaPermissionError, BdaRequestError

UNREACHABLE = EndpointConnectionError(endpoint_url="https://nowhere")


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def between(start: float, end: float, error: Exception):
    return lambda call: error if start <= call.at < end else None


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("InternalServerException", 500),
        refusal("SomethingNew", 503),
        UNREACHABLE,
        ReadTimeoutError(endpoint_url="https://slow"),
        ResponseParserError("<html>"),
        refusal("ExpiredTokenException"),
        refusal("UnrecognizedClientException"),
    ],
    ids=lambda error: type(error).__name__ + str(error)[:40],
)
def test_what_passes_is_waited_out_and_logged_once_at_each_end(error):
    lines = []

    @simulated
    async def run():
        service = Service(length=300.0, fault=between(10, 70, error))
        outcome = await service.wait(on_change=lines.append)
        assert outcome.state.status_text == "Success"
        assert not outcome.timed_out
        assert not outcome.error
        assert loop_time() < 300 * 1.25
        assert service.all_closed_once()

    run()
    assert [("Still waiting" in line, "answers again" in line) for line in lines] == [
        (False, False),
        (True, False),
        (False, True),
        (False, False),
    ], lines


@simulated
async def test_a_storm_of_throttling_loses_no_wait_and_slows_the_whole_poller():
    random.seed(7)
    storm = (30, 90)

    def fault(call):
        return refusal("ThrottlingException") if storm[0] <= call.at < storm[1] and uniform(0, 10) < 9 else None

    service = Service(length=120.0, fault=fault)
    lines = Counter()
    limits = WaitLimits(max_requests_per_second=20.0, min_poll_interval=0.75, max_poll_interval=300.0)
    outcomes = await asyncio.gather(
        *(service.wait(n, limits=limits, on_change=lambda _, n=n: lines.update([n])) for n in range(200))
    )
    assert all(outcome.state.status_text == "Success" for outcome in outcomes)
    assert loop_time() < 200
    during = [call for call in service.calls if 40 <= call.at < 90]
    assert len(during) < 50 * 20 / 3, "throttling must cut the pace"
    after = [call for call in service.calls if 130 <= call.at < 135]
    assert len(after) > 5 * 10 / 2 or loop_time() < 135, "the pace must come back to what it began with"
    assert max(lines.values()) <= 4, "two lines of the job's, one for each end of the storm"


@simulated
async def test_an_endpoint_that_is_gone_for_half_a_minute_fails_no_wait():
    service = Service(length=50.0, fault=between(10, 40, UNREACHABLE))
    outcomes = await asyncio.gather(*(service.wait(n) for n in range(50)))
    assert all(outcome.state.status_text == "Success" for outcome in outcomes)
    assert loop_time() < 100


@simulated
async def test_requests_that_hang_are_given_up():
    service = Service(length=20.0)

    async def hang(invocation_arn):
        await asyncio.sleep(3600)

    async def open_source():
        source = await service.open()
        if len(service.sources) == 1:
            source.get_status, working = hang, source.get_status
            asyncio.get_running_loop().call_later(25, setattr, source, "get_status", working)
        return source

    outcomes = await asyncio.gather(*(service.wait(n, open_source=open_source) for n in range(30)))
    assert all(outcome.state.status_text == "Success" for outcome in outcomes)
    assert loop_time() < 300


@simulated
async def test_requests_under_way_are_bounded():
    service = Service(latency=5.0)
    most = 0

    def fault(call):
        nonlocal most
        most = max(most, call.source.calls_under_way)

    service.fault = fault
    await asyncio.gather(*(service.wait(n) for n in range(100)))
    assert most == 10


@simulated
async def test_expired_credentials_are_renewed_by_one_opening():
    """Ten requests fail at once; one fresh client serves all, and the old one is closed under none of them."""
    service = Service(length=60.0, latency=1.0)
    service.fault = lambda call: (
        refusal("ExpiredTokenException") if call.at > 20 and call.source is service.sources[0] else None
    )
    outcomes = await asyncio.gather(*(service.wait(n) for n in range(40)))
    assert all(outcome.state.status_text == "Success" for outcome in outcomes)
    assert len(service.sources) == 2
    assert service.all_closed_once()


@simulated
async def test_credentials_that_stay_expired_are_renewed_ever_more_rarely():
    service = Service(length=7200.0, fault=between(10, 3600, refusal("ExpiredTokenException")))
    outcome = await service.wait()
    assert outcome.state.status_text == "Success"
    assert 20 < len(service.sources) < 200
    assert service.all_closed_once()


@simulated
async def test_an_opening_that_fails_after_it_once_worked_is_waited_out():
    service = Service(length=300.0)
    service.fault = between(10, 60, refusal("ExpiredTokenException"))

    async def open_source():
        if 10 < loop_time() < 100:
            raise NoCredentialsError
        return await service.open()

    assert (await service.wait(open_source=open_source)).state.status_text == "Success"


@simulated
async def test_a_first_opening_that_passes_by_is_waited_out():
    service = Service(length=60.0)

    async def open_source():
        if loop_time() < 30:
            raise UNREACHABLE
        return await service.open()

    lines = []
    assert (await service.wait(open_source=open_source, on_change=lines.append)).state.status_text == "Success"
    assert "Still waiting" in lines[0]


@simulated
async def test_a_first_opening_without_credentials_fails_its_own_wait_only():
    service = Service()

    async def open_source():
        await asyncio.sleep(5)
        raise NoCredentialsError

    bad = asyncio.create_task(service.wait("a", open_source=open_source))
    await asyncio.sleep(2)
    good = asyncio.create_task(service.wait("b"))
    error = (await bad).error
    assert isinstance(error, BdaConnectionError)
    assert error.invocation_arn == ARN.format("a")
    assert (await good).state.status_text == "Success"


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("AccessDeniedException", BdaPermissionError),
        ("ValidationException", BdaRequestError),
        ("UnrecognizedClientException", BdaConnectionError),
    ],
)
def test_what_does_not_pass_fails_the_waits_of_its_arn_only(code, error_class):
    @simulated
    async def run():
        service = Service(opening_seconds=0.0)
        service.fault = lambda call: refusal(code) if call.invocation_arn == ARN.format("a") else None
        *bad, good = await asyncio.gather(service.wait("a"), service.wait("a"), service.wait("b", identity="two"))
        for error in (outcome.error for outcome in bad):
            assert isinstance(error, error_class)
            assert error.invocation_arn == ARN.format("a")
            assert error.error_type == code
        assert good.state.status_text == "Success"

    run()


@simulated
async def test_an_error_of_our_own_is_not_waited_out_by_a_wait_that_never_worked():
    service = Service(fault=lambda _: TypeError("a mistake"))
    error = (await service.wait()).error
    assert type(error) is BdaError
    assert "a mistake" in str(error)


@simulated
async def test_credentials_that_work_for_another_arn_are_not_this_ones_mistake():
    service = Service()
    service.fault = lambda call: (
        refusal("UnrecognizedClientException") if call.invocation_arn == ARN.format("a") and call.at < 20 else None
    )
    first = asyncio.create_task(service.wait("b"))
    await asyncio.sleep(5)
    assert (await service.wait("a")).state.status_text == "Success"
    await first


@simulated
async def test_a_job_that_cannot_be_found_yet_is_given_grace():
    service = Service(fault=between(0, 20, refusal("ResourceNotFoundException")))
    assert (await service.wait()).state.status_text == "Success"


@simulated
async def test_a_job_that_cannot_be_found_after_the_grace_fails():
    service = Service(length=1e9, fault=lambda _: refusal("ResourceNotFoundException"))
    error = (await service.wait()).error
    assert isinstance(error, BdaRequestError)
    assert error.invocation_arn == ARN.format("a")
    assert 60 <= loop_time() < 130


@simulated
async def test_a_job_submitted_long_ago_gets_no_grace():
    service = Service(fault=lambda _: refusal("ResourceNotFoundException"))
    outcome = await service.wait(submitted_at=EPOCH - timedelta(hours=1))
    assert isinstance(outcome.error, BdaRequestError)
    assert len(service.calls) == 1


@simulated
async def test_an_unknown_status_is_no_end_and_is_logged_once():
    service = Service(status="Paused")
    lines = []
    outcome = await service.wait(on_change=lines.append)
    assert outcome.state.status_text == "Success"
    assert len([line for line in lines if "'Paused'" in line]) == 1


@simulated
async def test_a_status_is_logged_when_it_changes_not_when_it_is_polled():
    service = Service()
    lines = []
    await service.wait(on_change=lines.append)
    assert lines == [f"{ARN.format('a')} is InProgress.", f"{ARN.format('a')} is Success."]
    assert len(service.calls) > 5


@simulated
async def test_no_request_rate_above_the_limit():
    limits = WaitLimits(max_requests_per_second=5.0, min_poll_interval=0.75, max_poll_interval=300.0)
    service = Service(length=60.0)
    await asyncio.gather(*(service.wait(n, limits=limits) for n in range(100)))
    starts = [call.at for call in service.calls]
    assert all(later - earlier >= 1.0 - 1e-6 for earlier, later in zip(starts, starts[5:], strict=False))
    assert len(starts) > 0.9 * 5 * 60, "the pace must also be used"


@simulated
async def test_a_thousand_waits_at_a_slow_pace_are_served_fairly():
    limits = WaitLimits(max_requests_per_second=5.0, min_poll_interval=0.75, max_poll_interval=300.0)
    service = Service(length=1e9)
    until = EPOCH + timedelta(seconds=2000)
    outcomes = await asyncio.gather(*(service.wait(n, limits=limits, deadline=until) for n in range(1000)))
    assert all(outcome.timed_out and outcome.state for outcome in outcomes)
    polls = Counter(call.invocation_arn for call in service.calls if call.at < 1990)
    assert len(polls) == 1000
    assert max(polls.values()) - min(polls.values()) <= 3, (min(polls.values()), max(polls.values()))


@simulated
async def test_a_fixed_interval_is_kept():
    service = Service(length=600.0)
    await service.wait(poll_interval=20.0)
    starts = [call.at for call in service.calls]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(18.0 <= gap <= 22.2 for gap in gaps)
    assert FAST.min_poll_interval < 18


@simulated
async def test_good_answers_amid_a_storm_are_no_change():
    service = Service(length=120.0)
    turns = iter(range(1000))
    service.fault = lambda call: refusal("ThrottlingException") if 10 < call.at < 80 and next(turns) % 2 else None
    lines = []
    await service.wait(on_change=lines.append, poll_interval=2.0)
    assert ["Still waiting" in line for line in lines].count(True) == 1, lines
    assert ["answers again" in line for line in lines].count(True) == 1, lines


@simulated
async def test_a_poll_that_failed_is_made_again_soon_however_old_the_job_is():
    service = Service(length=5000.0, fault=between(1000, 3000, refusal("ThrottlingException")))
    waits = [asyncio.create_task(service.wait())]
    await service.until(lambda: service.calls[-1:] and 1000 < service.calls[-1].at < loop_time() - service.latency)
    failed_at = service.calls[-1].at
    service.fault = lambda _: None
    # Well below the two minutes that pass between the polls of a job of this age.
    await asyncio.sleep(30)
    assert service.calls[-1].at > failed_at
    await asyncio.gather(*waits)


@simulated
async def test_each_expiry_is_mended_at_once_if_the_one_before_was():
    """Credentials of a role expire every hour; that the tenth time comes is no reason to wait longer."""
    service = Service(length=4000.0)
    expired = set()

    def fault(call):
        if call.at > 300 * (len(expired) + 1):
            expired.add(call.source)
        return refusal("ExpiredTokenException") if call.source in expired else None

    service.fault = fault
    await service.wait(poll_interval=10.0)
    assert len(service.sources) == len(expired) + 1 >= 12
    assert max(later.at - earlier.at for earlier, later in pairwise(service.calls)) < 12
