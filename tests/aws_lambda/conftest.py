"""A context for each test, and what the functions write."""

from __future__ import annotations

import json
import time

import pytest
from lambda_context import LambdaContext

from airflow_bda.aws_lambda.handler import warm_client


@pytest.fixture
def context() -> LambdaContext:
    return LambdaContext()


@pytest.fixture
def written(capsys):
    """Return the JSON lines that were written since it was last asked."""

    def lines() -> list[dict]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return lines


@pytest.fixture(autouse=True)
def _no_warm_function():
    """Make each test a cold start: a client is kept while a function is warm."""
    warm_client.cache_clear()
    yield
    warm_client.cache_clear()


@pytest.fixture
def wait_until():
    """Return a function that waits until something is true."""

    def wait(is_true) -> None:
        for _ in range(200):
            if is_true():
                return
            time.sleep(0.05)
        raise AssertionError("it did not come true in ten seconds")

    return wait
