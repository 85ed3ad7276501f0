"""
### One document, from S3 to fields

`invoke` starts one data automation job, `wait` waits for it in the triggerer without holding a worker slot, and
`show_fields` logs and returns what was found. Trigger it with the params of your own document; the defaults are those
of the local emulator (`airflow-bda emulator`).
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
from airflow_bda.sensors import BdaStatusSensor

# What is logged stands in the task's log as it happens; Airflow folds away what is printed.
log = logging.getLogger(__name__)
MANAGED = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="One document, from S3 to its fields: invoke, wait without a worker slot, show",
    tags=["bda"],
    doc_md=__doc__,
    # Neither a second invoke nor a second wait starts a second job.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    # Params that are lists reach the operator as lists, not as their text.
    render_template_as_native_obj=True,
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
        "blueprints": Param(
            [f"{MANAGED}invoice", f"{MANAGED}receipt"],
            type="array",
            title="Blueprints",
            description="The ARNs of the blueprints to try; the one that fits the document says what to extract",
        ),
    },
)
def bda_document() -> None:
    """Invoke, wait, show."""
    invoke = BdaInvokeOperator(
        task_id="invoke",
        input_s3_uri="{{ params.input_s3_uri }}",
        output_s3_uri="{{ params.output_s3_uri }}",
        blueprints="{{ params.blueprints }}",
    )
    wait = BdaStatusSensor(task_id="wait", invocation_arn=invoke.output, deferrable=True, timeout=3600)

    @task
    def show_fields(metadata_uri: str) -> list[dict]:
        """Log each field, and return them: a few of one document. BdaResultsOperator makes tables of many."""
        log.info("Results: %s", metadata_uri)
        rows = []
        for segment in BdaHook().get_results(metadata_uri).segments:
            log.info("Segment %s: %s pages, %s", segment.index, segment.pages, segment.custom_status or "no blueprint")
            for field in segment.custom.fields() if segment.custom else ():
                log.info("  %s = %r (confidence %s)", field.path, field.value, field.confidence)
                rows.append({"segment": segment.index, "field": field.path, "value": field.value})
        return rows

    show_fields(wait.output)


bda_document()
