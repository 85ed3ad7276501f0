"""The example DAGs: they load without a complaint, explain themselves, and run to the end as they are."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import pytest

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

from airflow_bda._compat import HAS_EVENT_TRIGGERS
from airflow_bda.emulator import EMULATOR
from airflow_bda.hooks import BdaHook

DAGS = Path(__file__).parents[2] / "dags"
INVOKING = ["bda_document", "bda_wait_in_one_task"]


@pytest.fixture(scope="module")
def dag_bag(airflow_db):
    """Airflow runs only what lies in its own folder."""
    folder = airflow_db.parent / "dags" / "examples"
    shutil.copytree(DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    yield DagBag(str(folder))
    shutil.rmtree(folder)


@pytest.fixture
def samples(bda_emulator, sample_pdf):
    bda_emulator.make_bucket("bda-output")
    return bda_emulator.upload(sample_pdf, "invoice.pdf", bucket="bda-input")


def test_all_load(dag_bag):
    assert dag_bag.import_errors == {}
    assert set(INVOKING) <= set(dag_bag.dags)


def test_all_explain_themselves_and_their_params(dag_bag):
    for dag in dag_bag.dags.values():
        assert dag.doc_md
        # The list of DAGs shows it: what it does, in half a line.
        assert 20 < len(dag.description) < 120, dag.dag_id
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema.get("title"), (dag.dag_id, name)
            assert param.description, (dag.dag_id, name)


@pytest.mark.parametrize("dag_id", INVOKING)
def test_runs_to_the_end_with_one_job(dag_bag, samples, bda_emulator, dag_id):
    run = dag_bag.dags[dag_id].test()

    assert str(run.state) == "success"
    assert {ti.task_id: ti.state for ti in run.get_task_instances()} == dict.fromkeys(
        dag_bag.dags[dag_id].task_ids, "success"
    )
    assert [(job.input_s3_uri, str(job.status)) for job in bda_emulator.jobs] == [(samples, "Success")]


def test_those_that_need_resources_say_so_before_they_are_triggered(dag_bag):
    needy = {dag_id for dag_id, dag in dag_bag.dags.items() if any(tag.startswith("needs ") for tag in dag.tags)}

    assert needy == {"bda_lambda", "bda_on_event", "bda_wait_with_events"} & set(dag_bag.dags)
    assert all("Needs" in dag_bag.dags[dag_id].description for dag_id in needy)


def test_the_fields_are_logged_and_returned(dag_bag, samples, bda_emulator, caplog):
    """Not printed: Airflow's log page folds printed lines away."""
    caplog.set_level("INFO")
    document = (resources.files("airflow_bda.emulator") / "samples" / "invoice.pdf").read_bytes()
    bda_emulator.upload(document, "invoice.pdf", bucket="bda-input")

    run = dag_bag.dags["bda_document"].test()

    (shown,) = [ti for ti in run.get_task_instances() if ti.task_id == "show_fields"]
    rows = shown.xcom_pull(task_ids="show_fields")
    assert {"segment": 0, "field": "InvoiceNumber", "value": "TR-2026-0417"} in rows
    for row in rows:
        assert f"  {row['field']} = {row['value']!r} " in caplog.text


def test_params_lead_to_another_document(dag_bag, samples, bda_emulator, sample_pdf):
    other = bda_emulator.upload(sample_pdf, "other name.pdf", bucket="bda-input")

    run = dag_bag.dags["bda_document"].test(run_conf={"input_s3_uri": other, "output_s3_uri": "s3://bda-output/else/"})

    assert str(run.state) == "success"
    (job,) = bda_emulator.jobs
    assert job.input_s3_uri == other
    assert job.output_metadata_uri.startswith("s3://bda-output/else/")
    assert "//" not in job.output_metadata_uri.removeprefix("s3://")


def test_submits_and_waits_for_nothing(dag_bag, samples, bda_emulator):
    """What its event starts is tested on a whole Airflow, in tests/events."""
    EMULATOR.faults.add("stuck_job")
    run = dag_bag.dags["bda_submit_with_events"].test()

    assert str(run.state) == "success"
    assert [(job.input_s3_uri, str(job.status)) for job in bda_emulator.jobs] == [(samples, "Created")]


def test_an_event_ends_a_wait(dag_bag, samples, bda_emulator, monkeypatch):
    """With the queue and the rule of the DAG's page, and long before the task would look by itself."""
    page = dag_bag.dags["bda_wait_with_events"].doc_md
    bda_emulator.client("cloudformation").create_stack(
        StackName="hints", TemplateBody=page.split("```yaml\n")[1].split("```")[0]
    )
    monkeypatch.setenv(
        "AIRFLOW__BDA__JOB_EVENTS_QUEUE", bda_emulator.client("sqs").get_queue_url(QueueName="bda-hints")["QueueUrl"]
    )
    # Mostly long enough for the first look to find it in progress; the next one by itself would come after ten minutes.
    EMULATOR.faults.add("slow_job", seconds=3.0)
    run = dag_bag.dags["bda_wait_with_events"].test()

    assert str(run.state) == "success"
    (job,) = bda_emulator.jobs
    assert job.input_s3_uri == samples
    assert job.polls <= 2


def test_mapped_tasks_have_names(dag_bag, samples, bda_emulator):
    run = dag_bag.dags["bda_batch_sharded"].test()

    names = {ti.rendered_map_index for ti in run.get_task_instances() if ti.task_id == "process"}
    assert names == {"shard 0/4", "shard 1/4", "shard 2/4", "shard 3/4"}


@pytest.mark.parametrize("dag_id", ["bda_batch", "bda_batch_sharded"])
def test_a_batch_has_one_job_for_each_document(dag_bag, samples, bda_emulator, sample_pdf, dag_id):
    other = bda_emulator.upload(sample_pdf, "other.pdf", bucket="bda-input")

    run = dag_bag.dags[dag_id].test()

    assert str(run.state) == "success"
    assert sorted(job.input_s3_uri for job in bda_emulator.jobs) == sorted([samples, other])
    if dag_id == "bda_batch_sharded":
        # One table of all shards' results.
        s3 = bda_emulator.client("s3")
        (stored,) = s3.list_objects_v2(Bucket="bda-output", Prefix="tables/segments/")["Contents"]
        rows = s3.get_object(Bucket="bda-output", Key=stored["Key"])["Body"].read().splitlines()
        assert {json.loads(row)["input_s3_uri"] for row in rows} == {samples, other}


def test_a_project_is_made_once_and_used(dag_bag, samples, bda_emulator):
    for _ in range(2):
        run = dag_bag.dags["bda_project"].test()
        assert str(run.state) == "success"

    (project,) = bda_emulator.client("bedrock-data-automation").list_data_automation_projects()["projects"]
    assert project["projectName"] == "invoices-to-pay"
    hook = BdaHook()
    last = hook.get_results(bda_emulator.jobs[-1].output_metadata_uri)
    fields = {field.path: field.value for field in last.segments[0].custom.fields()}
    assert fields["invoice_number"] == "A-17"
    assert len(bda_emulator.jobs) == 2


def test_what_an_event_starts_needs_airflow_3(dag_bag):
    assert ("bda_on_event" in dag_bag.dags) is HAS_EVENT_TRIGGERS
