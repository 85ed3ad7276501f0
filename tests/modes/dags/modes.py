"""Every outcome in every mode, one task after the other, so that what goes wrong goes wrong for one task alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from modes_table import OUTCOMES, SKIPPING, arrange, recording, start_job

from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.sensors import BdaStatusSensor

try:
    from airflow.sdk import DAG, chain
except ImportError:
    from airflow import DAG
    from airflow.models.baseoperator import chain

Sensor, Operator = recording(BdaStatusSensor), recording(BdaInvokeOperator)

SENSORS = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable_sensor": {"deferrable": True},
}
OPERATORS = {"blocking": {"deferrable": False}, "deferrable": {"deferrable": True}}
NEVER_REPEATED = {"retries": {"total_max_attempts": 1}}


def sensor(outcome, mode, **options):
    return Sensor(
        task_id="-".join([outcome.name, mode, *options]),
        # A user-defined macro, so that the job is started when the task runs.
        invocation_arn="{{ start_job(ti.task_id) }}",
        poke_interval=0.2,
        poll_interval=0.2,
        timeout=outcome.patience,
        pre_execute=arrange,
        aws_conn_id=outcome.aws_conn_id,
        botocore_config=NEVER_REPEATED,
        **SENSORS[mode],
        **options,
    )


def operator(outcome, mode):
    return Operator(
        task_id=f"{outcome.name}-{mode}",
        input_s3_uri="s3://modes/a document.pdf",
        output_s3_uri="s3://modes/results",
        wait_for_completion=True,
        poll_interval=0.2,
        max_wait=timedelta(seconds=outcome.patience),
        pre_execute=arrange,
        aws_conn_id=outcome.aws_conn_id,
        botocore_config=NEVER_REPEATED,
        **OPERATORS[mode],
    )


# A DAG for each mode: after each task Airflow looks at all tasks of the run.
for mode in (*SENSORS, *OPERATORS):
    with DAG(
        f"modes_{mode}",
        schedule=None,
        start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
        user_defined_macros={"start_job": start_job},
        default_args={"trigger_rule": "all_done", "retries": 0},
    ) as dag:
        if mode in OPERATORS:
            tasks = [operator(outcome, mode) for outcome in OUTCOMES]
        else:
            tasks = [sensor(outcome, mode) for outcome in OUTCOMES]
            tasks += [sensor(outcome, mode, **{option: True}) for outcome, option in SKIPPING]
        chain(*tasks)
    globals()[dag.dag_id] = dag
