"""Every shape in which a task may start a job. What differs from run to run is in the run's configuration."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_processes.reports import report

from airflow_bda.operators import BdaInvokeOperator

try:
    from airflow.sdk import DAG, TaskGroup
except ImportError:
    from airflow import DAG
    from airflow.utils.task_group import TaskGroup

RETRIES = 3


def invoke(task_id="invoke", **arguments):
    return BdaInvokeOperator(
        task_id=task_id,
        **{
            "input_s3_uri": "s3://inputs/{{ dag_run.conf['key'] }}",
            "output_s3_uri": "s3://outputs/{{ dag_run.conf['key'] }}",
            **arguments,
        },
    )


def dag(dag_id, schedule=None, end_date=None):
    return DAG(
        dag_id,
        schedule=schedule,
        start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
        end_date=end_date,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_tasks=16,
        default_args={"retries": RETRIES, "retry_delay": timedelta(seconds=0.1), "pre_execute": report},
    )


with dag("submits"):
    invoke()

with dag("blocks"):
    invoke(wait_for_completion=True, deferrable=False)

with dag("defers"):
    invoke(wait_for_completion=True, deferrable=True)

with dag("gives_up_soon"):
    invoke(max_wait=timedelta(seconds=2))

with dag("starts_anew"):
    invoke(wait_for_completion=True, deferrable=False, reattach=False)

with dag("has_its_own_token"):
    invoke(wait_for_completion=True, deferrable=False, client_token="{{ dag_run.conf['token'] }}")

with dag("is_mapped"):
    BdaInvokeOperator.partial(task_id="invoke", output_s3_uri="s3://outputs/mapped").expand(
        input_s3_uri=["s3://inputs/first.pdf", "s3://inputs/second.pdf", "s3://inputs/first.pdf"]
    )

with dag("has_twins"):
    invoke("one")
    invoke("other")

with dag("is_grouped"), TaskGroup("documents"):
    invoke()

# Its end keeps the scheduler from starting a run of its own.
with dag("is_daily", schedule="@daily", end_date=datetime(2024, 12, 31, tzinfo=timezone.utc)):
    invoke(input_s3_uri="s3://inputs/{{ ds }}.pdf", output_s3_uri="s3://outputs/daily")
