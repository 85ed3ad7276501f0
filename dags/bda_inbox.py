"""
### The whole, every night

`process` runs a job for every new document of the day's folder. `tables` writes what was found as two tables, and a
page that shows the documents (the link *BDA report*). `review` asks a person about the values with a low confidence,
on Airflow 3.1 and later. What fails is told by `tell`: the document and the reason first.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

try:  # Airflow 3
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

from airflow_bda.exceptions import alert_text
from airflow_bda.operators import BdaBatchOperator, BdaResultsOperator, BdaReviewOperator


def tell(context: dict) -> None:
    """Log the alert; a real inbox sends it to a channel, a topic or a mailbox."""
    logging.getLogger(__name__).error(alert_text(context))


with DAG(
    "bda_inbox",
    schedule=None,  # "@daily"
    start_date=datetime(2026, 1, 1),
    description="A folder a day: every document processed, tables written, unsure values reviewed",
    tags=["bda", "waits for a person"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "on_failure_callback": tell},
):
    batch = BdaBatchOperator(
        task_id="process",
        input_s3_prefix="s3://bda-input/",  # "s3://my-bucket/inbox/{{ ds }}/"
        output_s3_uri="s3://bda-output/inbox",
        blueprints=["arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"],
        deferrable=True,
    )
    tables = BdaResultsOperator(
        task_id="tables", metadata_uris=batch.output, output_s3_uri="s3://bda-output/inbox/tables", report=True
    )
    if BdaReviewOperator.is_available:
        BdaReviewOperator(task_id="review", tables=tables.output, below=0.9)
