"""BdaReviewOperator before Airflow 3.1: it can be imported, and says what it needs."""

from __future__ import annotations

import pytest

from airflow_bda.exceptions import BdaRequestError
from airflow_bda.operators import BdaReviewOperator


def test_an_airflow_that_cannot_ask_people_is_named_when_the_dag_is_read(monkeypatch):
    monkeypatch.setattr(BdaReviewOperator, "is_available", False)

    with pytest.raises(BdaRequestError, match=r"needs Airflow 3\.1 or later"):
        BdaReviewOperator(task_id="review", tables="s3://b/fields/date=x/y.jsonl")
