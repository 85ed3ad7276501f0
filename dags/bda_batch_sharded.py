"""
### A batch over many workers

Four mapped tasks share the documents of one prefix: each takes those that fall to its shard, on whatever worker or
triggerer Airflow gives it. Every shard is a batch of its own, with its own retries; `merge` writes the results of all
of them as one table.
"""

from __future__ import annotations

from datetime import datetime

try:  # Airflow 3
    from airflow.sdk import dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag

from airflow_bda.operators import BdaBatchOperator, BdaResultsOperator

SHARDS = 4


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="Every document under a prefix, shared out to four mapped tasks",
    tags=["bda"],
    doc_md=__doc__,
)
def bda_batch_sharded() -> None:
    """Process, merge."""
    process = BdaBatchOperator.partial(
        task_id="process",
        map_index_template="shard {{ task.shard }}",
        input_s3_prefix="s3://bda-input/",
        output_s3_uri="s3://bda-output/sharded",
        blueprints=["arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"],
        # All shards together: what one batch would have.
        max_in_flight=100 // SHARDS,
        deferrable=True,
        retries=3,
    ).expand(shard=[f"{number}/{SHARDS}" for number in range(SHARDS)])

    BdaResultsOperator(
        task_id="merge",
        # The manifests of all shards; a shard without documents is skipped, and has none.
        metadata_uris=process.output,
        output_s3_uri="s3://bda-output/tables",
        trigger_rule="none_failed",
    )


bda_batch_sharded()
