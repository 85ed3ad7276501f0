"""
### A person looks at what the service is unsure of

`process` runs one document's job, `tables` writes its fields as a table, and `review` puts those with a low confidence
into one form, each with its value, confidence and page. The link *BDA report* of `tables` leads to the pages.

Answer the form under *Required Actions*, in the run or in Airflow's menu. The table then has the corrected values, with
who reviewed them and when; `value_read` is what the service read.

The values in the form are the document's, and Airflow keeps them in its database.

Airflow 3.1 or later; before that this file has no DAG.
"""

from __future__ import annotations

from datetime import datetime, timedelta

try:  # Airflow 3
    from airflow.sdk import Param, dag
except ImportError:  # Airflow 2
    from airflow.decorators import dag
    from airflow.models.param import Param

from airflow_bda.operators import BdaInvokeOperator, BdaResultsOperator, BdaReviewOperator

MANAGED = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="One document, whose unsure values a person reviews in a form of Airflow's",
    tags=["bda", "waits for a person"],
    doc_md=__doc__,
    # Neither a second job nor a second question: a retry continues with what is there.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    # Params that are lists or numbers reach the operators as such, not as their text.
    render_template_as_native_obj=True,
    params={
        "input_s3_uri": Param(
            "s3://bda-input/invoice.pdf",
            type="string",
            title="Document",
            description="The file to process, one object: s3://bucket/key",
        ),
        "output_s3_uri": Param(
            "s3://bda-output/reviewed",
            type="string",
            title="Results",
            description="The prefix of the job's folder and of the tables: s3://bucket/prefix",
        ),
        "blueprints": Param(
            [f"{MANAGED}invoice", f"{MANAGED}receipt"],
            type="array",
            title="Blueprints",
            description="The ARNs of the blueprints to try; the one that fits the document says what to extract",
        ),
    },
)
def bda_human_review() -> None:
    """Process, write the tables, review."""
    process = BdaInvokeOperator(
        task_id="process",
        input_s3_uri="{{ params.input_s3_uri }}",
        output_s3_uri="{{ params.output_s3_uri }}",
        blueprints="{{ params.blueprints }}",
        wait_for_completion=True,
        deferrable=True,
    )
    tables = BdaResultsOperator(
        task_id="tables",
        metadata_uris=process.output["output_metadata_uri"],
        output_s3_uri="{{ params.output_s3_uri }}/tables",
        report=True,
    )
    # The emulator is surer of the sample than the service would be of a scan.
    BdaReviewOperator(task_id="review", tables=tables.output, below=0.9)


if BdaReviewOperator.is_available:
    bda_human_review()
