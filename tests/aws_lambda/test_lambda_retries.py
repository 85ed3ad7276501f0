"""Trying again within the time that Lambda gives, in simulated time."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from lambda_context import LambdaContext

from airflow_bda.aws_lambda.handler import RESERVE_SECONDS, bda_client, call_in_time


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Op")


class Call:
    """A call that goes wrong so often, and then goes well."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def run(call: Call, context: LambdaContext) -> list[float]:
    pauses: list[float] = []
    assert call_in_time(call, context, on_retry=lambda _, pause: pauses.append(pause), sleep=context.sleep) == "answer"
    return pauses


@pytest.mark.parametrize(
    "error",
    [
        refusal("ThrottlingException"),
        refusal("ServiceQuotaExceededException"),
        refusal("InternalServerException"),
        EndpointConnectionError(endpoint_url="x"),
    ],
    ids=repr,
)
def test_what_passes_is_tried_again(error):
    call = Call(error, error, error)

    assert len(run(call, LambdaContext(60))) == 3
    assert call.made == 4


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"])
def test_what_waiting_does_not_mend_is_told_at_once(code):
    call = Call(refusal(code))

    with pytest.raises(ClientError):
        run(call, LambdaContext(60))
    assert call.made == 1


@given(st.floats(0, 900))
def test_there_is_always_time_left_to_answer(seconds):
    """However long the function may run and however long the throttling lasts, its end comes with the last error."""
    context = LambdaContext(seconds)
    call = Call(*[refusal("ThrottlingException")] * 10_000)

    with pytest.raises(ClientError):
        run(call, context)

    # A function that was given less than the reserve makes one try, and none after.
    assert context.remaining_seconds >= min(seconds, RESERVE_SECONDS) - 0.001
    if seconds > 2 * RESERVE_SECONDS:
        assert call.made > 1


@given(st.floats(RESERVE_SECONDS, 900))
def test_no_answer_is_waited_for_beyond_the_functions_end(seconds):
    """A service that takes the call and says nothing: the function is left the time to say so."""
    config = bda_client(LambdaContext(seconds)).meta.config

    assert config.connect_timeout + config.read_timeout < seconds
    assert config.read_timeout >= min(15, seconds - RESERVE_SECONDS)


def test_a_function_that_stays_warm_keeps_its_client(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert bda_client(LambdaContext(60)) is bda_client(LambdaContext(45))


def test_pauses_grow_and_differ():
    """Functions that were throttled together must not come back together."""
    runs = [run(Call(*[refusal("ThrottlingException")] * 6), LambdaContext(900)) for _ in range(20)]

    assert len({tuple(pauses) for pauses in runs}) == 20
    assert max(pauses[0] for pauses in runs) <= 0.5
    assert max(pauses[-1] for pauses in runs) > 0.5
    assert all(pause <= 8 for pauses in runs for pause in pauses)
