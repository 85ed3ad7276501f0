"""What the decision table is walked on. Each parse reads the settings, so a test edits these DAGs by writing there."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow_processes.reports import report

from airflow_bda.operators import BdaInvokeOperator

try:
    from airflow.sdk import DAG, TaskGroup
except ImportError:
    from airflow import DAG
    from airflow.utils.task_group import TaskGroup

SETTINGS = Path(os.environ["DECISIONS_SETTINGS"])


def setting(name, default):
    file = SETTINGS / name
    return int(file.read_text()) if file.exists() else default


# A worker reads the file before it reads this setting of ours.
os.environ["AIRFLOW__BDA__REATTACH_AFTER_CLEAR"] = str(bool(setting("reattach_after_clear", 0)))


def dag(dag_id, **arguments):
    return DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
        is_paused_upon_creation=False,
        max_active_tasks=16,
        default_args={
            "retries": setting("retries", 3),
            "retry_delay": timedelta(seconds=setting("retry_delay", 1)),
            "pre_execute": before_it_runs,
            "post_execute": after_it_ran,
        },
        **arguments,
    )


def before_it_runs(context):
    report(context)
    if context["ti"].try_number <= setting("fails_before_try", 0):
        raise RuntimeError("The worker's disk is full.")


def after_it_ran(context, result=None):
    if context["ti"].try_number <= setting("fails_after_try", 0):
        raise RuntimeError("The worker's disk is full.")


def invoke(task_id="invoke", **arguments):
    return BdaInvokeOperator(
        task_id=task_id,
        **{
            "input_s3_uri": "s3://inputs/a.pdf",
            "output_s3_uri": "s3://outputs/decisions",
            "wait_for_completion": True,
            "deferrable": False,
            **arguments,
        },
    )


with dag("blocks"):
    invoke()

with dag("defers"):
    invoke(deferrable=True)

with dag("says_its_try"):
    invoke(tags={"try": "{{ ti.try_number }}", "team": "x"})

with dag("has_company"):
    invoke("other", input_s3_uri="s3://inputs/b.pdf")
    invoke()

with dag("goes_on"):
    invoke() >> invoke("other", input_s3_uri="s3://inputs/b.pdf")

with dag("is_mapped"):
    BdaInvokeOperator.partial(
        task_id="invoke", output_s3_uri="s3://outputs/decisions", wait_for_completion=True, deferrable=False
    ).expand(input_s3_uri=["s3://inputs/a.pdf"])

with dag("is_grouped"), TaskGroup("documents"):
    invoke()
