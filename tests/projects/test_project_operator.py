"""BdaApplyProjectOperator: what it returns, where it finds its files, and how it fails."""

from __future__ import annotations

import json
import logging
from datetime import datetime

import pytest
from project_repository import blueprint, project

from airflow_bda._compat import AirflowFailException
from airflow_bda.operators import BdaApplyProjectOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG


def make(**arguments):
    return BdaApplyProjectOperator(task_id="apply", **arguments)


def test_it_returns_arns_that_pass_through_xcom(repository):
    path = repository.write(project=project("order"), blueprints=[blueprint()])

    returned = make(files=[str(path)]).execute({})

    assert json.loads(json.dumps(returned)) == returned
    assert repository.stage_of(returned["project_arn"])["projectName"] == "orders"
    assert returned["project_stage"] == "LIVE"
    assert make(files=str(path)).execute({}) == returned | {"changes": []}


def test_files_are_looked_for_beside_the_dag_file(repository):
    repository.write("orders.json", project=project())
    with DAG("projects", schedule=None, start_date=datetime(2026, 1, 1)) as dag:  # noqa: DTZ001  Airflow's own zone
        task = make(files=["orders.json"], stage="DEVELOPMENT")
    dag.fileloc = str(repository.folder / "dag.py")

    assert task.execute({})["project_stage"] == "DEVELOPMENT"


def test_only_the_plan_is_logged_where_that_is_asked_for(repository, caplog, monkeypatch):
    # Airflow gives operators a logger that pytest does not see.
    monkeypatch.setattr(BdaApplyProjectOperator, "log", property(lambda self: logging.getLogger("task")))
    caplog.set_level(logging.INFO, logger="task")
    path = repository.write(project=project())

    returned = make(files=[str(path)], plan_only=True).execute({})

    assert returned["changes"] == ["create project orders in LIVE"]
    assert returned["project_arn"] is None
    assert "create project orders in LIVE" in caplog.messages
    assert repository.writes == 0
    assert repository.client.list_data_automation_projects()["projects"] == []


def test_a_wrong_file_is_not_retried(repository):
    path = repository.write(project={"projectName": "orders"})

    with pytest.raises(AirflowFailException, match="standardOutputConfiguration is missing"):
        make(files=[str(path)]).execute({})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"files": None}, "files is None: it must be a list"),
        ({"files": ["{{ var.value.file }}"]}, "files is"),
        ({"files": ["a.json"], "stage": "PROD"}, "stage is 'PROD': it must be one of LIVE, DEVELOPMENT"),
        ({"files": ["a.json"], "plan_only": "yes"}, "plan_only is 'yes': it must be True or False"),
        ({"files": ["a.json"], "max_wait": 0}, "max_wait is 0"),
    ],
)
def test_arguments_are_checked_by_name(arguments, said):
    with pytest.raises(AirflowFailException, match="invalid arguments") as refused:
        make(**arguments).execute({})

    assert said in str(refused.value)


def test_files_and_stage_are_templates():
    assert {"files", "stage"} <= set(BdaApplyProjectOperator.template_fields)
    assert not BdaApplyProjectOperator.template_ext
