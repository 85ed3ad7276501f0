"""Call BDA within the time that Lambda gives: retry transient errors while there is time."""

from __future__ import annotations

import random
import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from airflow_bda import __version__
from airflow_bda.service.aws_errors import Failure, classify
from airflow_bda.service.model import SERVICE
from airflow_bda.service.safe_values import make_responses_encodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.aws_lambda.telemetry import Context

_Answer = TypeVar("_Answer")

_CONNECT_TIMEOUT_SECONDS = 3
_LONGEST_READ_SECONDS, _SHORTEST_READ_SECONDS = 15, 1
_ANSWER_SECONDS = 1
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
# What a last try and the answer to the caller may need: a function that is cut off answers nobody.
RESERVE_SECONDS = float(_CONNECT_TIMEOUT_SECONDS + _SHORTEST_READ_SECONDS + _ANSWER_SECONDS)


def bda_client(context: Context) -> Any:
    """Return a client that waits for an answer no longer than the function may run."""
    left = context.get_remaining_time_in_millis() // 1000 - _CONNECT_TIMEOUT_SECONDS - _ANSWER_SECONDS
    return warm_client(max(_SHORTEST_READ_SECONDS, min(_LONGEST_READ_SECONDS, left)))


@cache
def warm_client(read_timeout_seconds: int) -> Any:
    """Return a client, made once for as long as Lambda keeps the function warm."""
    client = boto3.client(
        SERVICE,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout_seconds,
            # botocore would try again without looking at the time that is left.
            retries={"mode": "standard", "total_max_attempts": 1},
            user_agent_extra=f"airflow-bda-lambda/{__version__}",
        ),
    )
    return make_responses_encodable(client)


def call_in_time(
    call: Callable[[], _Answer],
    context: Context,
    *,
    on_retry: Callable[[Failure, float], None],
    sleep: Callable[[float], None] = time.sleep,
) -> _Answer:
    """
    Make a call, and make it again while it is throttled, fails on the service's side or gets no answer.

    :param call: must be safe to repeat: a status, or an invoke with a client token.
    :param context: tells how long the function may still run.
    :param on_retry: is told what went wrong, and the seconds until the next try.
    :raises Exception: the last try's own, when it would fail again or no time is left.
    """
    tries = 0
    while True:
        try:
            return call()
        except Exception as error:
            kind = classify(error)
            # Any time up to a limit that doubles: functions that were throttled together must not stay in step.
            limit = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 16))
            pause = random.uniform(0.0, limit)  # noqa: S311  spreads calls over time, keeps no secret
            is_time_left = context.get_remaining_time_in_millis() / 1000 > pause + RESERVE_SECONDS
            if kind not in {Failure.BUSY, Failure.UNREACHABLE} or not is_time_left:
                raise
        on_retry(kind, pause)
        sleep(pause)
        tries += 1
