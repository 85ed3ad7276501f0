"""The metrics, as a StatsD server gets them: by Airflow's own client, over UDP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from airflow_bda.hooks import telemetry

# In a process of its own: Airflow reads once where its metrics go.
SEND = """
from botocore.exceptions import ClientError
from types import SimpleNamespace
import contextlib

from airflow_bda import _compat

try:
    from airflow.sdk.observability import stats
except ImportError:
    stats = None
else:
    # An object in Airflow 3.2, the module itself later.
    stats = stats if hasattr(stats, "initialize") else stats.Stats
if stats is not None:
    # As Airflow's own processes do when they start.
    with contextlib.suppress(ImportError):
        from airflow.sdk.observability.metrics import stats_utils
        if hasattr(stats, "__file__"):
            stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
        else:
            stats.initialize(factory=stats_utils.get_stats_factory(type(stats)))

from airflow_bda.hooks import telemetry
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.service.errors import BdaClientError, BdaTimeoutError

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/11111111-2222-3333-4444-555555555555"
starts = telemetry.Starts(lambda request: ARN)
starts.submit(None)
starts.found_a_job()
telemetry.Starts(lambda request: ARN).found_a_job()
telemetry.succeeded()
telemetry.failed(BdaClientError("No."))
telemetry.failed(BdaTimeoutError("No."))
telemetry.batch_ended({"total": 7, "failed": 2})

class Hook(BdaHook):
    answers = [{"status": "Success", "jobDurationInSeconds": 16}, None]

    @property
    def conn(self):
        return SimpleNamespace(get_data_automation_status=self.answer)

    def answer(self, invocationArn):
        answer = self.answers.pop(0)
        if answer is None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetDataAutomationStatus")
        return answer

hook = Hook(aws_conn_id=None, region_name="us-east-1")
hook.ask_status(ARN)
try:
    hook.ask_status(ARN)
except ClientError:
    pass
with telemetry.one_in_flight():
    pass
"""


@pytest.fixture
def statsd():
    """Open the socket of a StatsD server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        yield server


def received(server) -> list[str]:
    lines = []
    while True:
        try:
            lines += server.recv(65536).decode().splitlines()
        except TimeoutError:
            return [line.partition("|#")[0].removeprefix("test.") for line in lines]


def test_a_statsd_server_gets_every_metric(statsd):
    settings = {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(statsd.getsockname()[1])}
    settings["STATSD_PREFIX"] = "test"
    environment = os.environ | {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}

    ended = subprocess.run(
        [sys.executable, "-c", SEND], env=environment, capture_output=True, text=True, check=False, timeout=300
    )

    assert ended.returncode == 0, ended.stderr
    assert [line for line in received(statsd) if line.startswith("bda.")] == [
        "bda.started:1|c",
        "bda.attached:1|c",
        "bda.succeeded:1|c",
        "bda.failed.client:1|c",
        "bda.failed.timeout:1|c",
        "bda.batch.total:7|g",
        "bda.batch.failed:2|g",
        "bda.polls:1|c",
        "bda.seconds:16000.000000|ms",
        "bda.polls:1|c",
        "bda.throttles:1|c",
        "bda.in_flight:1|g",
        "bda.in_flight:0|g",
    ]


def test_a_metric_that_cannot_be_sent_fails_nothing(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route to the server")

    monkeypatch.setattr(telemetry, "stats", refuse)

    with telemetry.one_in_flight(), telemetry.one_poll():
        pass


def test_a_call_that_fails_otherwise_is_no_throttle(monkeypatch):
    sent = []
    monkeypatch.setattr(telemetry, "_send", lambda what, metric, *values, **options: sent.append(metric))

    with pytest.raises(ValueError, match="other"), telemetry.throttles():
        raise ValueError("other")

    assert sent == []
