"""
### A batch over many workers

Four mapped tasks share the documents of one prefix: each takes those that fall to its shard, on whatever worker or
triggerer Airflow gives it. Every shard is a batch of its own, with its own retries; `merge` counts them together.
"""

from __future__ import annotations

import logging
from datetime import datetime

try:  # Airflow 3
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

from airflow_bda.operators import BdaBatchOperator

log = logging.getLogger(__name__)
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

    @task(trigger_rule="none_failed")
    def merge(manifests: list[dict]) -> dict[str, int]:
        done = [manifest for manifest in manifests if manifest]
        for manifest in done:
            log.info("Results of shard: %s", manifest["results_uri"])
        return {name: sum(manifest["counts"][name] for manifest in done) for name in done[0]["counts"]} if done else {}

    merge(process.output)


bda_batch_sharded()
