"""``airflow-bda emulator`` as a process: what it prints, how it ends, what it refuses."""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import subprocess
import sys

import boto3
import pytest
import requests

from airflow_bda.emulator import EMULATOR
from airflow_bda.emulator.server import command

PROGRAM = """
import argparse, sys
from airflow_bda.emulator.server import command
parser = argparse.ArgumentParser()
command.add_arguments(parser)
assert "moto" not in sys.modules
sys.exit(command.run(parser.parse_args()))
"""


def parse(*args):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(args)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_endpoint_serves_and_ends_when_told(tmp_path, number):
    (tmp_path / "faults.json").write_text('{"faults": [{"kind": "throttling"}]}')
    (tmp_path / "settings.json").write_text('{"open_jobs": 3}')
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "a.txt").write_text("hello")
    options = ["--port", "0", "--seed-bucket", f"inputs={tmp_path / 'seed'}", "--job-seconds", "2"]
    options += ["--faults", str(tmp_path / "faults.json"), "--settings", str(tmp_path / "settings.json")]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            endpoint_url = process.stdout.readline().strip()
            health = requests.get(f"{endpoint_url}/_bda/health", timeout=10).json()
            assert (health["settings"]["open_jobs"], health["settings"]["in_progress_seconds"]) == (3, 2)
            s3 = boto3.client("s3", endpoint_url=endpoint_url)
            assert s3.get_object(Bucket="inputs", Key="a.txt")["Body"].read() == b"hello"
            assert requests.get(f"{endpoint_url}/_bda/faults", timeout=10).json()["faults"] == [{"kind": "throttling"}]
        finally:
            process.send_signal(number)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert f"AWS_ENDPOINT_URL={endpoint_url}" in told
    assert re.search(r"emulator: (\d+) of \1 operations", told), told
    assert "airflow connections add bda_emulator --conn-json '{" in told
    assert "stand-in" in told
    assert "Traceback" not in told


def test_a_port_that_is_taken_ends_it_with_1(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert command.run(parse("--port", str(taken.getsockname()[1]))) == 1
    assert "--port" in capsys.readouterr().err


def test_a_bucket_that_cannot_be_ends_it_with_1(capsys):
    assert command.run(parse("--port", "0", "--seed-bucket", "x")) == 1
    assert "'x'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed-bucket", "b=/no/such/folder"], "/no/such/folder"),
        (["--blueprints", "/no/such/folder"], "/no/such/folder"),
        (["--job-seconds", "-1"], "in_progress_seconds"),
        (["--faults", "/no/such/file"], "/no/such/file"),
    ],
)
def test_options_that_cannot_be_end_it_with_2(options, told, capsys):
    assert command.run(parse(*options)) == 2
    assert told in capsys.readouterr().err
    EMULATOR.configure()


@pytest.mark.parametrize("content", ["not json", json.dumps({"faults": [{"kind": "earthquake"}]})])
def test_a_faults_file_that_cannot_be_ends_it_with_2(content, tmp_path, capsys):
    file = tmp_path / "faults.json"
    file.write_text(content)
    assert command.run(parse("--faults", str(file))) == 2
    assert capsys.readouterr().err.startswith("airflow-bda emulator: ")
    EMULATOR.configure()
