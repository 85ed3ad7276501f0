"""The links as Airflow's web server gives them, of tasks that a real Airflow ran."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from airflow_processes.documents import PlainProcessor

from airflow_bda.emulator import EMULATOR, EmulatorSettings
from airflow_bda.emulator.testing import EmulatorForTests
from airflow_bda.hooks.connection import AsyncAwsHook
from airflow_bda.links import BdaInputLink, BdaOutputLink

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

CONSOLE = "https://us-east-1.console.aws.amazon.com/s3"
INPUT = f"{CONSOLE}/object/links?region=us-east-1&prefix=a%20%2B%20%C3%A4.pdf"
SENSORS = ("poke", "reschedule", "deferrable_sensor")


@pytest.fixture(scope="module")
def links(airflow_db, bda_emulator_server):
    """Run every task, and give the links of each, by its task and map index, and the jobs."""
    with pytest.MonkeyPatch.context() as patch:
        yield _run(airflow_db, bda_emulator_server, patch)


def _run(airflow_db, server, patch):
    emulator = EmulatorForTests(server)
    emulator.reset()
    for name, value in emulator.environment.items():
        patch.setenv(name, value)
    # As if the emulator were AWS; that it has pages of its own is another test's subject.
    patch.setattr(AsyncAwsHook, "emulator_url", None)
    EMULATOR.configure(EmulatorSettings(created_seconds=0, in_progress_seconds=0.1), processor=PlainProcessor())
    for key in ("a + ä.pdf", "1.pdf", "2.pdf"):
        emulator.upload(b"a document", key, bucket="links")
    folder = airflow_db.parent / "dags" / "links"
    shutil.copytree(Path(__file__).parent / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        bag = DagBag(str(folder))
        assert bag.import_errors == {}
        dag = bag.dags["links"]
        instances = dag.test().get_task_instances()
        assert {ti.task_id: str(ti.state) for ti in instances} == dict.fromkeys(dag.task_ids, "success")
        return _links_of(dag, instances), emulator.jobs
    finally:
        shutil.rmtree(folder)
        emulator.reset()


def _links_of(dag, instances):
    """Read them as the web server does: from tasks that were stored and read again."""
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    return {
        (ti.task_id, ti.map_index): {
            link.name: link.get_link(stored.get_task(ti.task_id), ti_key=ti.key)
            for link in stored.get_task(ti.task_id).operator_extra_links
        }
        for ti in instances
        if ti.task_id != "between"
    }


def output_links(jobs, key):
    """Return the links to the folders of the jobs that read *key*."""
    ids = [job.invocation_arn.rpartition("/")[2] for job in jobs if job.input_s3_uri == f"s3://links/{key}"]
    return [f"{CONSOLE}/buckets/links?region=us-east-1&prefix=results/{job_id}/" for job_id in ids]


def test_operators_link_to_their_input_and_to_the_folder_of_their_own_job(links):
    found, jobs = links
    given = [found[task_id, -1] for task_id in ("start", "blocking", "deferrable")]

    assert {links[BdaInputLink.name] for links in given} == {INPUT}
    assert {links[BdaOutputLink.name] for links in given} == set(output_links(jobs, "a + ä.pdf"))
    assert len(jobs) == 5


@pytest.mark.parametrize("mode", SENSORS)
def test_a_sensor_has_the_links_of_the_task_that_started_its_job(links, mode):
    found, _ = links

    assert found[mode, -1] == found["start", -1]


def test_a_sensor_that_follows_no_such_task_links_to_the_results(links):
    found, _ = links

    assert found["alone", -1] == {**found["start", -1], BdaInputLink.name: ""}


@pytest.mark.parametrize("index", [0, 1])
def test_mapped_tasks_have_links_of_their_own(links, index):
    found, jobs = links
    (folder,) = output_links(jobs, f"{index + 1}.pdf")

    assert found["many", index] == {
        BdaOutputLink.name: folder,
        BdaInputLink.name: f"{CONSOLE}/object/links?region=us-east-1&prefix={index + 1}.pdf",
    }
    assert found["many_sensors", index] == found["many", index]
