"""On a running Airflow: the example DAGs, from the job by way of EventBridge and SQS to the collected results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from airflow_processes.eventually import eventually
from airflow_processes.running import Run, RunningAirflow, free_port
from airflow_processes.settings import IS_AIRFLOW_2

from airflow_bda.emulator import EMULATOR
from airflow_bda.emulator.server.server import EmulatorServer, SeedBucket
from airflow_bda.emulator.testing import EmulatorForTests

pytestmark = [
    pytest.mark.skipif(IS_AIRFLOW_2, reason="Airflow 2 has no event triggers"),
    pytest.mark.running_airflow,
]

DAG_FILE = Path(__file__).parents[2] / "dags" / "bda_on_event.py"
QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/bda-events"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms of its functions."""


_Loader.add_constructor("!Ref", lambda loader, node: {"Ref": node.value})
_Loader.add_constructor("!GetAtt", lambda loader, node: {"Fn::GetAtt": node.value.split(".")})


def template():
    """Read the template that the DAG's page shows."""
    return json.dumps(yaml.load(DAG_FILE.read_text().split("```yaml\n")[1].split("```")[0], _Loader))  # noqa: S506  safe


@pytest.fixture(scope="module")
def emulator():
    """Return an emulator with the queue and the rule of the DAG's page."""
    with EmulatorServer(port=free_port(), seed_buckets=(SeedBucket("bda-input"), SeedBucket("bda-output"))) as server:
        server.reset()
        emulator = EmulatorForTests(server)
        emulator.client("cloudformation").create_stack(StackName="events", TemplateBody=template())
        # A killed triggerer's last poll may still take a message; so long it stays away.
        emulator.client("sqs").set_queue_attributes(QueueUrl=QUEUE_URL, Attributes={"VisibilityTimeout": "5"})
        yield emulator
    emulator.reset()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, migrated_database, emulator):
    """Return an Airflow that has the example's DAGs, and its queue at the emulator."""
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(DAG_FILE, dags)
    running = RunningAirflow(
        home,
        database=migrated_database,
        environment={
            **emulator.environment,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            # Airflow 3.0 starts a watcher when it reads the file for the second time.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        },
        dags=dags,
        dag_ids={"bda_submit_with_events", "bda_on_event"},
    )
    try:
        running.start()
        yield running
    finally:
        running.end()


def collected(emulator):
    """Return what was collected, by the job's id."""
    s3 = emulator.client("s3")
    listed = s3.list_objects_v2(Bucket="bda-output", Prefix="results/collected/").get("Contents", ())
    files = {entry["Key"]: s3.get_object(Bucket="bda-output", Key=entry["Key"])["Body"].read() for entry in listed}
    return {Path(key).stem: json.loads(content) for key, content in files.items()}


def runs(airflow):
    rows = airflow.query("SELECT run_id FROM dag_run WHERE dag_id = 'bda_on_event' ORDER BY id")
    return [Run(airflow, "bda_on_event", run_id) for (run_id,) in rows]


def messages(emulator):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = emulator.client("sqs").get_queue_attributes(QueueUrl=QUEUE_URL, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def test_results_are_collected_when_a_job_ends(airflow, emulator, sample_pdf):
    emulator.client("sqs").send_message(QueueUrl=QUEUE_URL, MessageBody="no event of anybody's")
    EMULATOR.faults.add("duplicate_event", status="Success")
    document = emulator.upload(sample_pdf, "invoice.pdf", bucket="bda-input")
    assert airflow.trigger("bda_submit_with_events").end() == ["success"]
    (job,) = emulator.jobs
    found = eventually(lambda: collected(emulator), what="results are collected", describe=airflow.tell_of_logs)
    for run in runs(airflow):
        assert set(run.end()) == {"success"}

    assert set(found) == {job.job_id}
    assert found[job.job_id]["document"] == document
    assert "A-17" in [value for _, value in found[job.job_id]["fields"]]
    assert emulator.calls.get("GetDataAutomationStatus", 0) == 0
    # Both deliveries are gone; the message that cannot be read is not.
    eventually(lambda: messages(emulator) == 1, what="the queue is empty but for what is no event")


def test_what_comes_while_no_triggerer_runs_is_not_lost(airflow, emulator, sample_pdf):
    EMULATOR.faults.clear()
    airflow.kill_triggerers()
    emulator.upload(sample_pdf, "later.pdf", bucket="bda-input")
    before = len(emulator.jobs)
    submit = airflow.trigger("bda_submit_with_events", input_s3_uri="s3://bda-input/later.pdf")
    assert submit.end() == ["success"]
    job = emulator.jobs[before]
    eventually(lambda: str(emulator.jobs[before].status) == "Success", what="the job ends")
    airflow.start_triggerer()
    found = eventually(
        lambda: collected(emulator).get(job.job_id), what="results are collected", describe=airflow.tell_of_logs
    )

    assert found["document"] == "s3://bda-input/later.pdf"
