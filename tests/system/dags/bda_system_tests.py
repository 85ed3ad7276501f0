"""What the tests on a real account run on Airflow: each way to start a job, and each way to wait for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_bda.operators import BdaInvokeOperator, BdaLambdaInvokeOperator
from airflow_bda.sensors import BdaStatusSensor

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

REQUEST = {
    name: f"{{{{ params.{name} }}}}" for name in ("input_s3_uri", "output_s3_uri", "project_arn", "function_name")
}
FUNCTION = {"function_name": REQUEST.pop("function_name")}
LONGEST = timedelta(minutes=30)
DEFAULTS = {
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "params": dict.fromkeys((*REQUEST, *FUNCTION), ""),
}

with DAG("system_sensors", schedule=None, **DEFAULTS):
    started = BdaInvokeOperator(task_id="invoke", **REQUEST)
    for name, mode in {"deferred": {"deferrable": True}, "poked": {"deferrable": False, "poke_interval": 5}}.items():
        BdaStatusSensor(task_id=name, invocation_arn=started.output, timeout=LONGEST.total_seconds(), **mode)

with DAG("system_one_task", schedule=None, **DEFAULTS):
    BdaInvokeOperator(task_id="invoke", wait_for_completion=True, deferrable=True, max_wait=LONGEST, **REQUEST)

with DAG("system_events", schedule=None, **DEFAULTS):
    BdaInvokeOperator(task_id="invoke", event_bridge_enabled=True, **REQUEST)

with DAG("system_lambda", schedule=None, **DEFAULTS):
    by_lambda = BdaLambdaInvokeOperator(task_id="invoke", **FUNCTION, **REQUEST)
    BdaStatusSensor(
        task_id="deferred", invocation_arn=by_lambda.output, deferrable=True, timeout=LONGEST.total_seconds()
    )
