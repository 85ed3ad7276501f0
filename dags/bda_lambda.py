"""
### One document, by way of a Lambda function

For those whose workers may invoke a function, and not BDA itself. `invoke` has the function start one data automation
job, `wait` waits for it in the triggerer, and `show_fields` logs what was found and returns it.

Deploy the function first: `airflow-bda lambda package` makes its zip, `airflow-bda lambda template` the CloudFormation
template. Both work with the local emulator too (`airflow-bda emulator`), where the function runs on this machine.
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
from airflow_bda.operators import BdaLambdaInvokeOperator
from airflow_bda.sensors import BdaStatusSensor

# What is logged stands in the task's log as it happens; Airflow folds away what is printed.
log = logging.getLogger(__name__)
MANAGED = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="One document by way of a Lambda function. Needs the function: airflow-bda lambda template",
    tags=["bda", "needs a Lambda function"],
    doc_md=__doc__,
    # Neither a second invoke nor a second wait starts a second job.
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    # Params that are lists reach the operator as lists, not as their text.
    render_template_as_native_obj=True,
    params={
        "function_name": Param(
            "airflow-bda",
            type="string",
            title="Function",
            description="The Lambda function's name, as the stack's output FunctionName has it",
        ),
        "input_s3_uri": Param(
            "s3://bda-input/invoice.pdf",
            type="string",
            title="Document",
            description="The file to process, one object: s3://bucket/key; under the function's InputPrefix",
        ),
        "output_s3_uri": Param(
            "s3://bda-output/results",
            type="string",
            title="Results",
            description="Where the job's folder is written: s3://bucket/prefix; under the function's OutputPrefix",
        ),
        "blueprints": Param(
            [f"{MANAGED}invoice", f"{MANAGED}receipt"],
            type="array",
            title="Blueprints",
            description="The ARNs of the blueprints to try; the one that fits the document says what to extract",
        ),
    },
)
def bda_lambda() -> None:
    """Invoke the function, wait for the job, show."""
    invoke = BdaLambdaInvokeOperator(
        task_id="invoke",
        function_name="{{ params.function_name }}",
        input_s3_uri="{{ params.input_s3_uri }}",
        output_s3_uri="{{ params.output_s3_uri }}",
        blueprints="{{ params.blueprints }}",
    )
    wait = BdaStatusSensor(task_id="wait", invocation_arn=invoke.output, deferrable=True, timeout=3600)

    @task
    def show_fields(metadata_uri: str) -> list[dict]:
        log.info("Results: %s", metadata_uri)
        rows = []
        for segment in BdaHook().get_results(metadata_uri).segments:
            for field in segment.custom.fields() if segment.custom else ():
                log.info("%s = %r (confidence %s)", field.path, field.value, field.confidence)
                rows.append({"segment": segment.index, "field": field.path, "value": field.value})
        return rows

    show_fields(wait.output)


bda_lambda()
