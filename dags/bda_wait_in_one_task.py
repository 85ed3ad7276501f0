"""
### One document in one task

The same job as `bda_document`, by a single task: it starts the job, leaves its worker slot to others while the
triggerer waits, and comes back with the result. Its XCom `return_value` is the invocation's ARN, and
`output_metadata_uri` says where the results are.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

try:  # Airflow 3
    from airflow.sdk import Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param

from airflow_bda.hooks import BdaHook
from airflow_bda.operators import BdaInvokeOperator

# What is logged stands in the task's log as it happens; Airflow folds away what is printed.
log = logging.getLogger(__name__)
PUBLIC = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="One document in one task, which waits in the triggerer",
    tags=["bda"],
    doc_md=__doc__,
    # A second try waits for the job of the first.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    params={
        "input_s3_uri": Param(
            "s3://bda-input/invoice.pdf",
            type="string",
            title="Document",
            description="The file to process, one object: s3://bucket/key",
        ),
        "output_s3_uri": Param(
            "s3://bda-output/results",
            type="string",
            title="Results",
            description="The prefix under which the service writes the job's folder: s3://bucket/prefix",
        ),
        "project_arn": Param(
            PUBLIC,
            type="string",
            title="Project",
            description="The data automation project that says what to extract; the default is AWS's own",
        ),
    },
)
def bda_wait_in_one_task() -> None:
    """Invoke and wait in one task, then sum up the result."""
    process = BdaInvokeOperator(
        task_id="process",
        input_s3_uri="{{ params.input_s3_uri }}",
        output_s3_uri="{{ params.output_s3_uri }}",
        project_arn="{{ params.project_arn }}",
        wait_for_completion=True,
        deferrable=True,
        max_wait=timedelta(hours=2),
    )

    @task
    def show_summary(metadata_uri: str) -> dict[str, int]:
        log.info("Results: %s", metadata_uri)
        result = BdaHook().get_results(metadata_uri)
        log.info("%s: %s segments, %s pages", result.metadata.modality, result.segment_count, result.pages)
        return {"segments": result.segment_count, "pages": result.pages}

    show_summary(process.output["output_metadata_uri"])


bda_wait_in_one_task()
