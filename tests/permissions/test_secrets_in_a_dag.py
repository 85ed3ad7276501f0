"""A whole DAG with logs at DEBUG: no secret and no word of a document in its logs or its database."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest
from airflow_processes.databases import Sqlite
from airflow_processes.settings import IS_AIRFLOW_2

DAG_FILE = """
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

from airflow_bda.operators import BdaInvokeOperator, BdaPreflightOperator, BdaResultsOperator
from airflow_bda.sensors import BdaStatusSensor

TO_DO = {"input_s3_uri": "s3://bda-test/a.pdf", "output_s3_uri": "s3://bda-test/out", "aws_conn_id": "planted"}

with DAG("secrets", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), schedule=None) as dag:
    check = BdaPreflightOperator(task_id="check", **TO_DO)
    blocks = BdaInvokeOperator(task_id="blocks", wait_for_completion=True, deferrable=False, **TO_DO)
    starts = BdaInvokeOperator(task_id="starts", wait_for_completion=False, **TO_DO)
    waits = BdaStatusSensor(task_id="waits", invocation_arn=starts.output, deferrable=True, aws_conn_id="planted")
    fails = BdaInvokeOperator(
        task_id="fails", **{**TO_DO, "input_s3_uri": "s3://bda-test/none.pdf"}, wait_for_completion=True
    )
    tables = BdaResultsOperator(
        task_id="tables", metadata_uris=waits.output, output_s3_uri="s3://bda-test/tables", aws_conn_id="planted"
    )
    check >> blocks >> starts >> waits >> tables >> fails
"""
RUN = """
import importlib, sys
sys.path.insert(0, {folder!r})
if {of_airflow_2}:
    importlib.import_module("airflow.providers.fab.auth_manager.models")
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
bag = DagBag({file!r})
assert not bag.import_errors, bag.import_errors
run = bag.dags["secrets"].test()
print("ended:", *sorted(f"{{ti.task_id}}={{ti.state}}" for ti in run.get_task_instances()))
"""
# What the sample says, as a reader of logs would find it.
WORDS = ("A-17", "$12.50", "2026-01-05")


@pytest.fixture
def planted():
    """Return a secret for each place that may hold one."""
    places = ("password", "aws_session_token", "note", "external_id", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {place: f"SECRET{secrets.token_hex(12)}" for place in places}


@pytest.fixture
def ran(tmp_path, planted, migrated_database, bda_emulator, sample_pdf):
    """Test the DAG in a process of its own, and return what it printed and logged, and its database."""
    bda_emulator.upload(sample_pdf, "a.pdf")
    (tmp_path / "secrets_dag.py").write_text(DAG_FILE)
    database = Sqlite.copied(migrated_database, tmp_path / "airflow.db")
    extra = {
        "aws_session_token": planted["aws_session_token"],
        "region_name": "us-east-1",
        "endpoint_url": bda_emulator.endpoint_url,
        "role_arn": "arn:aws:iam::123456789012:role/runs",
        "assume_role_kwargs": {"ExternalId": planted["external_id"]},
        "note": planted["note"],
    }
    connection = {"conn_type": "aws", "login": "AKIAIOSFODNN7EXAMPLE", "password": planted["password"], "extra": extra}
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            RUN.format(folder=str(tmp_path), file=str(tmp_path / "secrets_dag.py"), of_airflow_2=IS_AIRFLOW_2),
        ],
        env={
            **os.environ,
            **bda_emulator.environment,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__LOGGING__LOG_FORMAT": "{%(name)s} %(message)s",
            "AIRFLOW_CONN_PLANTED": json.dumps(connection),
            "AWS_SECRET_ACCESS_KEY": planted["AWS_SECRET_ACCESS_KEY"],
            "AWS_SESSION_TOKEN": planted["AWS_SESSION_TOKEN"],
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    logs = "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*.log"))
    return ended.stdout + ended.stderr + logs, database


def test_what_a_dag_leaves_holds_no_secret_and_no_word_of_a_document(ran, planted, bda_emulator):
    said, database = ran

    states = next(line for line in said.splitlines() if line.startswith("ended:"))
    assert states == "ended: blocks=success check=success fails=failed starts=success tables=success waits=success"
    tables = database.query("SELECT name FROM sqlite_master WHERE type = 'table'")
    rows = [(table, str(row)) for (table,) in tables for row in database.query(f'SELECT * FROM "{table}"')]
    kept = [(table, place) for place, secret in planted.items() for table, row in rows if secret in row]
    words = [(table, word) for word in WORDS for table, row in rows if word in row]
    assert (kept, words) == ([], [])
    assert ours_with([*planted.values(), *WORDS], said) == []


def ours_with(searched: list[str], said: str) -> list[str]:
    """Return the lines of our loggers and errors that hold one of these; botocore and Airflow have their own."""
    ours = [line for line in said.splitlines() if "airflow_bda" in line and "loc=supervisor.py" not in line]
    assert ours
    return [line for line in ours if any(each in line for each in searched)]
