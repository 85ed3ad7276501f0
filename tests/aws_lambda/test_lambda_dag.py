"""The example DAG, run by Airflow against the function that the template deploys."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deployed_function import deploy

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

DAG = Path(__file__).parents[2] / "dags" / "bda_lambda.py"


@pytest.fixture
def dag(airflow_db):
    """Return the DAG from Airflow's own folder: it runs no others."""
    folder = airflow_db.parent / "dags" / "lambda"
    folder.mkdir()
    shutil.copy(DAG, folder)
    yield DagBag(str(folder)).dags["bda_lambda"]
    shutil.rmtree(folder)


@pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning")
def test_it_runs_to_the_end_as_it_is(dag, bda_emulator, sample_pdf):
    deploy(bda_emulator, InputPrefix="bda-input", OutputPrefix="bda-output")
    bda_emulator.make_bucket("bda-output")
    document = bda_emulator.upload(sample_pdf, "invoice.pdf", bucket="bda-input")

    run = dag.test()

    assert str(run.state) == "success"
    assert {ti.task_id: ti.state for ti in run.get_task_instances()} == dict.fromkeys(dag.task_ids, "success")
    assert [(job.input_s3_uri, str(job.status)) for job in bda_emulator.jobs] == [(document, "Success")]
