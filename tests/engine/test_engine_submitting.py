"""Submitting: retries on transient errors, other errors at once, and never longer than allowed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from pretended_service import ARN, refusal
from simulated_time import EPOCH, simulated, wall_clock

from airflow_bda.engine.submitting import submit, submit_in_this_thread
from airflow_bda.engine.waiting import utc_now
from airflow_bda.service.errors import (
    BdaConnectionError,
    BdaError,
    BdaPermissionError,
    BdaRequestError,
    BdaTimeoutError,
)

REFUSED = EndpointConnectionError(endpoint_url="https://nowhere")


class Invoke:
    """Fails with what it is given, in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.at: list[float] = []

    async def __call__(self) -> str:
        self.at.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return ARN


def run(invoke: Invoke, *, seconds: float = 86_400.0, on_change=None):
    return submit(invoke, deadline=EPOCH + timedelta(seconds=seconds), on_change=on_change, wall_clock=wall_clock)


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("ServiceQuotaExceededException"),
        refusal("InternalServerException", 500),
        refusal("ExpiredTokenException"),
        ReadTimeoutError(endpoint_url="https://slow"),
        ConnectionClosedError(endpoint_url="https://lost"),
    ],
    ids=lambda error: str(error)[:50],
)
def test_what_passes_is_waited_out_and_logged_once(error):
    lines = []

    @simulated
    async def test():
        invoke = Invoke(*[error] * 20)
        assert await run(invoke, on_change=lines.append) == ARN
        assert len(invoke.at) == 21
        gaps = [later - earlier for earlier, later in pairwise(invoke.at)]
        assert gaps[0] <= 2.0
        assert 30.0 < max(gaps) <= 300.0

    test()
    assert len(lines) == 1
    assert "Trying again" in lines[0]


@simulated
async def test_a_change_of_trouble_is_logged():
    lines = []
    throttled, gone = refusal("ThrottlingException"), REFUSED
    await run(Invoke(throttled, throttled, gone, gone, throttled), on_change=lines.append)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("AccessDeniedException", BdaPermissionError),
        ("ValidationException", BdaRequestError),
        ("UnrecognizedClientException", BdaConnectionError),
        ("Novelty", BdaError),
    ],
)
def test_what_does_not_pass_is_raised_at_once(code, error_class):
    @simulated
    async def test():
        invoke = Invoke(refusal(code))
        with pytest.raises(error_class) as caught:
            await run(invoke)
        assert caught.value.error_type == code
        assert len(invoke.at) == 1

    test()


@simulated
async def test_an_error_that_explains_itself_is_raised_as_it_is():
    error = BdaRequestError("The request is refused.")
    with pytest.raises(BdaRequestError) as caught:
        await run(Invoke(error))
    assert caught.value is error


@simulated
async def test_an_endpoint_that_was_never_reached_is_given_up_within_a_minute():
    invoke = Invoke(*[REFUSED] * 100)
    with pytest.raises(BdaConnectionError) as caught:
        await run(invoke)
    assert "endpoint_url" in str(caught.value)
    assert len(invoke.at) == 6
    assert invoke.at[-1] <= 62


@simulated
async def test_an_endpoint_that_was_reached_once_is_waited_for():
    invoke = Invoke(refusal("ThrottlingException"), *[REFUSED] * 20)
    assert await run(invoke) == ARN


@simulated
async def test_the_deadline_ends_the_tries_and_says_what_they_met_with():
    invoke = Invoke(*[refusal("ServiceQuotaExceededException")] * 1000)
    with pytest.raises(BdaTimeoutError) as caught:
        await run(invoke, seconds=600)
    assert caught.value.error_type == "ServiceQuotaExceededException"
    assert "same client token" in str(caught.value)
    assert invoke.at[-1] == pytest.approx(600)


@simulated
async def test_one_try_is_made_even_after_the_deadline():
    invoke = Invoke()
    assert await run(invoke, seconds=-5) == ARN


def test_code_that_blocks_submits_as_well():
    assert submit_in_this_thread(Invoke(), deadline=utc_now() + timedelta(seconds=30)) == ARN
