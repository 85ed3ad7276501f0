"""
### A whole inbox, every night

One task runs a job for each document under a prefix, at the speed that the account's quota allows and from one place of
the triggerer. Documents that an earlier night finished, and that did not change since, are skipped. Killed or tried
again, it resumes where it was: no document has a second job.
"""

from __future__ import annotations

from datetime import datetime

try:  # Airflow 3
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

from airflow_bda.operators import BdaBatchOperator

with DAG(
    "bda_batch",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="Every document under a prefix, in one task",
    tags=["bda"],
    doc_md=__doc__,
):
    BdaBatchOperator(
        task_id="process",
        input_s3_prefix="s3://bda-input/",
        output_s3_uri="s3://bda-output/batch",
        blueprints=["arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"],
        max_failures=0.05,
        deferrable=True,
        retries=3,
    )
