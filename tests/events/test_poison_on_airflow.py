"""On a running Airflow: what a message of the queue or a job's error text holds cannot end the triggerer."""

from __future__ import annotations

import json

import pytest
from airflow_processes.databases import POSTGRES_PROGRAMS, Postgres
from airflow_processes.eventually import eventually
from airflow_processes.fixtures import bda_server, service  # noqa: F401  fixtures
from airflow_processes.running import RunningAirflow
from airflow_processes.settings import IS_AIRFLOW_2
from job_event_queue import event

from airflow_bda.emulator.testing import EmulatorForTests
from airflow_bda.service.safe_values import MOST_CHARACTERS

pytestmark = [
    pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 2 has no event triggers"),
    pytest.mark.running_airflow,
]

DAGS = """
from datetime import datetime, timezone
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.triggers import BdaJobEventTrigger
from airflow_processes.reports import report

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
trigger = BdaJobEventTrigger(sqs_queue_url="QUEUE", region_name="us-east-1")
jobs = Asset("jobs", watchers=[AssetWatcher(name="watcher", trigger=trigger)])
with DAG("on_event", schedule=[jobs], start_date=START, catchup=False, is_paused_upon_creation=False):
    EmptyOperator(task_id="seen")
with DAG("defers", schedule=None, start_date=START, catchup=False, is_paused_upon_creation=False):
    BdaInvokeOperator(
        task_id="invoke",
        input_s3_uri="s3://inputs/{{ dag_run.conf['key'] }}",
        output_s3_uri="s3://outputs/x",
        wait_for_completion=True,
        deferrable=True,
        pre_execute=report,
    )
"""
HALF_AN_EMOJI = "\ud83d"


def body(job_id, **detail):
    content = event(job_id)
    content["detail"] |= detail
    return json.dumps(content)


def odd_messages():
    """Yield what anybody who may send to the queue can send."""
    yield body("nan", job_duration_in_seconds=float("nan"))
    yield body("infinite", job_duration_in_seconds=float("-inf"))
    yield body("digits").replace('"job_duration_in_seconds": 16', '"job_duration_in_seconds": ' + "9" * 400)
    yield body("nul", input_s3_object={"s3_bucket": "in", "name": "a\0b"})
    yield body("half", input_s3_object={"s3_bucket": "in", "name": f"a{HALF_AN_EMOJI}"})
    yield body("half-status", job_status=HALF_AN_EMOJI, error_message=HALF_AN_EMOJI)
    yield body("long", input_s3_object={"s3_bucket": "in", "name": "a" * 250_000})
    yield '{"detail-type": ' + "[" * 100_000 + "]" * 100_000 + "}"
    yield f"not JSON {'a' * 200_000}"


@pytest.fixture(scope="module")
def queue_url(bda_server):  # noqa: F811  the fixture
    sqs = EmulatorForTests(bda_server).client("sqs")
    return sqs.create_queue(QueueName="poison", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]


@pytest.fixture(params=["SQLite", "Postgres"])
def database(request, migrated_database):
    """Postgres refuses numbers and characters that SQLite takes."""
    if request.param == "SQLite":
        yield migrated_database
        return
    if not POSTGRES_PROGRAMS:
        pytest.skip("no server of Postgres is installed on this machine")
    postgres = Postgres(POSTGRES_PROGRAMS[-1])
    postgres.start()
    try:
        postgres.migrate()
        yield postgres
    finally:
        postgres.stop()


@pytest.fixture
def airflow(tmp_path, database, queue_url, service):  # noqa: F811  the fixture
    """Start an Airflow that watches the queue."""
    sqs = EmulatorForTests(service.server).client("sqs")
    url = sqs.create_queue(QueueName="poison", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "poison.py").write_text(DAGS.replace("QUEUE", url))
    running = RunningAirflow(
        tmp_path / "home",
        database=database,
        dags=dags,
        dag_ids={"on_event", "defers"},
        environment={
            **service.environment,
            # Airflow 3.0 starts a watcher when it reads the file for the second time.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        },
    )
    try:
        running.start()
        yield running
    finally:
        running.end()


def test_the_triggerer_lives_through_odd_messages_and_odd_errors(airflow, service, queue_url):  # noqa: F811
    """All in one run: starting an Airflow is what takes the time."""
    sqs = EmulatorForTests(service.server).client("sqs")
    (triggerer,) = airflow.triggerers
    eventually(lambda: airflow.query("SELECT count(*) FROM trigger")[0][0] > 0, what="the watcher runs")
    for message in odd_messages():
        sqs.send_message(QueueUrl=queue_url, MessageBody=message)
    service.faults.add(
        "failed_job", status="ClientError", error_message=f"page 1: {HALF_AN_EMOJI} {'a' * 300_000}", times=1
    )
    service.upload("a.pdf")
    run = airflow.trigger("defers", key="a.pdf")

    assert run.end() == ["failed"]
    sqs.send_message(QueueUrl=queue_url, MessageBody=body("good"))

    def stored() -> list[str]:
        return [str(extra) for (extra,) in airflow.query("SELECT extra FROM asset_event")]

    eventually(lambda: any("good" in extra for extra in stored()), what="a good event after the odd ones is stored")
    assert triggerer.is_alive
    assert max(map(len, stored())) < MOST_CHARACTERS
    assert any("half" in extra for extra in stored())
    for (row,) in airflow.query("SELECT next_kwargs FROM task_instance"):
        assert len(str(row)) < 2 * MOST_CHARACTERS
