"""Many documents at once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_processes.reports import report

from airflow_bda.operators import BdaBatchOperator, BdaInvokeOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

if TYPE_CHECKING:
    from airflow.sdk import Context

for how, arguments in {
    "waits": {"wait_for_completion": True, "deferrable": True},
    "submits": {},
}.items():
    for count in (4, 10, 200):
        with DAG(
            f"{how}_{count}",
            schedule=None,
            start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
            catchup=False,
            is_paused_upon_creation=False,
            max_active_tasks=16,
            default_args={"retries": 3, "retry_delay": timedelta(seconds=0.1), "pre_execute": report},
        ):
            BdaInvokeOperator.partial(task_id="invoke", output_s3_uri="s3://outputs/chaos", **arguments).expand(
                input_s3_uri=[f"s3://inputs/{number}.pdf" for number in range(count)]
            )


def report_and_change_sides(context: Context) -> None:
    """Run the batch in the triggerer in every odd try, and in the worker in every even one."""
    context["task"].deferrable = context["ti"].try_number % 2 == 1
    report(context)


with DAG(
    "batch",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 100, "retry_delay": timedelta(seconds=0.1), "pre_execute": report_and_change_sides},
):
    BdaBatchOperator(task_id="batch", input_s3_prefix="s3://inputs/inbox/", output_s3_uri="s3://outputs/batch")
