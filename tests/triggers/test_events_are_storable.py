"""What a trigger of ours fires passes through Airflow's own encoder, and into Postgres."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_bda._compat import safe_event

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
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


class Postgres:
    """A server of its own, reached through a socket in its folder."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # Not below pytest's folders, which nobody but their owner may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="bda-pg-", dir="/tmp"))
        # A server of Postgres refuses to run as root.
        self._as = {"user": "nobody"} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self._folder, "nobody")

    def start(self) -> None:
        self._run("initdb", "-U", "test", "-A", "trust", "-E", "UTF8", "-D", f"{self._folder}/data", "--no-sync")
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-l", f"{self._folder}/log", "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, sql: str) -> subprocess.CompletedProcess[str]:
        return self._run(
            *("psql", "-h", str(self._folder), "-U", "test", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-q"),
            given=sql,
            check=False,
        )

    def _run(self, name: str, *arguments: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        with (self._folder / f"{name}.out").open("w+") as out:
            ended = subprocess.run(
                [str(self._binaries / name), *arguments],
                input=given.encode(),
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=120,
                cwd="/",
                **self._as,
            )
            out.seek(0)
            said = out.read()
        assert ended.returncode == 0 or not check, said
        return subprocess.CompletedProcess(ended.args, ended.returncode, said)


@pytest.fixture(scope="module")
def postgres():
    if not BINARIES:
        pytest.skip("no server of Postgres is installed on this machine")
    server = Postgres(BINARIES[-1])
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
