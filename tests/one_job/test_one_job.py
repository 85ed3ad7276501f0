"""On a running Airflow: a document has one job, whatever is lost, killed or tried again."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("airflow_processes")


def test_a_first_try_starts_one_job(airflow, service):
    service.upload("a.pdf")
    run = airflow.trigger("submits", key="a.pdf")
    assert run.end() == ["success"]
    assert service.jobs_of_documents == {"a.pdf": 1}
    assert run.xcoms() == [service.jobs[0].invocation_arn]


def test_a_deferred_wait(airflow, service):
    service.upload("a.pdf")
    run = airflow.trigger("defers", key="a.pdf")
    assert run.end() == ["success"]
    assert service.jobs_of_documents == {"a.pdf": 1}
    assert run.xcoms("output_metadata_uri") == [service.jobs[0].output_metadata_uri]
