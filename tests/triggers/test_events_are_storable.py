"""What a trigger of ours fires passes through Airflow's own encoder, and into Postgres."""

from __future__ import annotations

import json

import pytest
from airflow_processes.databases import POSTGRES_PROGRAMS, Postgres
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_bda._compat import safe_event

TEXT = st.text(st.characters(codec=None, categories=None), max_size=20) | st.sampled_from(
    ["\ud83d", "a\0b", "a" * 50_000]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
_SHARED = {"deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=100, **_SHARED)
@given(payload=st.dictionaries(TEXT, VALUES, max_size=4))
def test_airflows_own_encoder_takes_every_event(payload):
    """One that it does not take ends the triggerer."""
    comms = pytest.importorskip("airflow.sdk.execution_time.comms", reason="Airflow 2 has no supervisor to talk to")
    if not hasattr(comms, "_new_encoder"):
        pytest.skip("this Airflow keeps its encoder elsewhere")

    assert comms._new_encoder().encode(safe_event(payload).payload)


@pytest.fixture(scope="module")
def postgres():
    if not POSTGRES_PROGRAMS:
        pytest.skip("no server of Postgres is installed on this machine")
    server = Postgres(POSTGRES_PROGRAMS[-1])
    server.start()
    yield server
    server.stop()


def statement(payload: object, column: str) -> str:
    return f"SELECT $bda${json.dumps(payload)}$bda$::{column} IS NULL;"


@settings(max_examples=20, **_SHARED)
@given(payloads=st.lists(st.dictionaries(TEXT, VALUES, max_size=4), min_size=1, max_size=10))
def test_postgres_keeps_every_event(postgres, payloads):
    """Airflow's columns are of both kinds; jsonb also refuses escapes of NUL and of half an emoji."""
    safe = [safe_event(payload).payload for payload in payloads]
    kept = postgres.ask("".join(statement(each, column) for each in safe for column in ("json", "jsonb")))

    assert kept.returncode == 0, kept.stdout


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud83d", "a\0b"])
def test_postgres_would_refuse_what_came_in(postgres, value):
    """So that the test above can fail."""
    assert postgres.ask(statement({"value": value}, "jsonb")).returncode != 0
