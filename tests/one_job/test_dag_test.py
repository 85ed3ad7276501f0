"""`dag.test()`, as `airflow dags test` runs it: each has jobs of its own, also for a date that was tested before."""

from __future__ import annotations

import importlib
import uuid
from datetime import datetime, timezone

import pytest
from airflow_processes.documents import PlainProcessor
from airflow_processes.settings import AIRFLOW_VERSION, IS_AIRFLOW_2

from airflow_bda.emulator import EMULATOR, EmulatorSettings

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

DAY = datetime(2026, 1, 5, tzinfo=timezone.utc)
DAG_FILE = """
from datetime import datetime, timedelta, timezone
from airflow_bda.operators import BdaInvokeOperator
try:
    from airflow.sdk import DAG, task_group
except ImportError:
    from airflow import DAG

def fail_once(context, result=None):
    if context["ti"].try_number == 1:
        raise RuntimeError("The disk is full.")

def invoke(**arguments):
    BdaInvokeOperator(task_id="invoke", input_s3_uri="s3://inputs/a.pdf", output_s3_uri="s3://outputs/r", **arguments)

with DAG("{dag_id}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
{body}
"""


@pytest.fixture
def tested(airflow_db, bda_emulator):
    """Test a DAG of a body for one date, in a new run each time."""
    EMULATOR.configure(EmulatorSettings(created_seconds=0, in_progress_seconds=0.1), processor=PlainProcessor())
    bda_emulator.upload(b"a document", "a.pdf", bucket="inputs")
    bda_emulator.make_bucket("outputs")
    if IS_AIRFLOW_2:  # whose runs refer to these tables, which matters when one is deleted
        importlib.import_module("airflow.providers.fab.auth_manager.models")
    dag_id = f"tested_{uuid.uuid4().hex[:8]}"
    file = airflow_db.parent / "dags" / f"{dag_id}.py"

    def test(body):
        file.write_text(DAG_FILE.format(dag_id=dag_id, body=body))
        bag = DagBag(str(file))
        assert bag.import_errors == {}
        date = {"execution_date": DAY} if IS_AIRFLOW_2 else {"logical_date": DAY, "run_after": DAY}
        run = bag.dags[dag_id].test(**date)
        assert str(run.state) == "success"
        return run.run_id

    yield test
    file.unlink()


@pytest.mark.parametrize("waits", ["", "wait_for_completion=True", "wait_for_completion=True, deferrable=True"])
def test_a_date_that_was_tested_before_gets_a_new_job(tested, bda_emulator, waits):
    runs = {tested(f"    invoke({waits})") for _ in range(2)}

    assert len(runs) == 1
    assert len(bda_emulator.jobs) == 2


def test_a_retry_within_a_test_finds_the_job(tested, bda_emulator):
    tested("    invoke(retries=1, retry_delay=timedelta(0), wait_for_completion=True, post_execute=fail_once)")

    assert len(bda_emulator.jobs) == 1


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 4), reason="this Airflow has no Task Loops")
def test_each_iteration_of_a_loop_has_a_job_of_its_own_which_its_retry_finds(tested, bda_emulator):
    tested(
        "    @task_group\n    def again():\n"
        "        invoke(retries=1, retry_delay=timedelta(0), wait_for_completion=True, post_execute=fail_once)\n"
        "    again.loop(max_iterations=3)"
    )

    assert len(bda_emulator.jobs) == 3
