"""Links that Airflow 3's web server reads from the database, past whatever stores XComs elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_bda.links.bda import BdaOutputLink, link_job, link_like_upstream

base = pytest.importorskip("airflow.sdk.bases.xcom", reason="Airflow 2's web server reads links through the backend")
xcom = pytest.importorskip("airflow.sdk.execution_time.xcom")

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e360000-1111-2222-3333-444455556666"
FOLDER = "buckets/out?region=us-east-1&prefix=x/4e360000-1111-2222-3333-444455556666/"


@pytest.fixture
def stored(monkeypatch):
    """Put an XCom backend in place, and give what is in the database."""
    rows = {}

    class Elsewhere(base.BaseXCom):
        @staticmethod
        def serialize_value(value, **_):  # noqa: ARG004  Airflow's signature
            raise AssertionError("the web server could not read what a backend writes")

    def set_in_db(cls, key, value, *, task_id, **_):
        rows[task_id, key] = value

    def get_one(cls, *, key, task_id, **_):
        assert cls is base.BaseXCom
        return rows.get((task_id, key))

    monkeypatch.setattr(base.BaseXCom, "_set_xcom_in_db", classmethod(set_in_db))
    monkeypatch.setattr(base.BaseXCom, "get_one", classmethod(get_one))
    monkeypatch.setattr(xcom, "XCom", Elsewhere)
    return rows


def task_instance(task_id, **members):
    return SimpleNamespace(dag_id="d", run_id="r", task_id=task_id, map_index=-1, **members)


def test_a_running_task_links_to_its_job(stored):
    invoke = task_instance("invoke")
    link_job({"ti": invoke}, ARN, input_s3_uri="s3://in/a.pdf", output_s3_uri="s3://out/x")

    assert stored["invoke", "_link_BdaOutputLink"].endswith(FOLDER)
    assert stored["invoke", "_link_BdaInputLink"].startswith("https://")
    assert BdaOutputLink().get_link(None, ti_key=invoke).endswith(FOLDER)


def test_a_sensor_takes_them_from_the_task_before_it(stored):
    link_job({"ti": task_instance("invoke")}, ARN, input_s3_uri="s3://in/a.pdf", output_s3_uri="s3://out/x")
    before = SimpleNamespace(operator_extra_links=(BdaOutputLink(),))
    sensor = SimpleNamespace(upstream_task_ids={"invoke"}, dag=SimpleNamespace(get_task=lambda _: before))

    link_like_upstream({"ti": task_instance("wait", xcom_pull=lambda **_: ARN)}, sensor, ARN)

    assert stored["wait", "_link_BdaOutputLink"] == stored["invoke", "_link_BdaOutputLink"]
