"""A task of each kind that has links, one after another and mapped."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.sensors import BdaStatusSensor

try:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
    from airflow.operators.empty import EmptyOperator

PLACES = {"output_s3_uri": "s3://links/results/"}
SENSORS = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable_sensor": {"deferrable": True},
}

with DAG("links", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)):
    start = BdaInvokeOperator(task_id="start", input_s3_uri="s3://links/a + ä.pdf", **PLACES)
    for name, mode in SENSORS.items():
        BdaStatusSensor(task_id=name, invocation_arn=start.output, poke_interval=0.2, **mode)
    for name, deferrable in (("blocking", False), ("deferrable", True)):
        BdaInvokeOperator(
            task_id=name,
            input_s3_uri="s3://links/a + ä.pdf",
            wait_for_completion=True,
            deferrable=deferrable,
            **PLACES,
        )
    alone = BdaStatusSensor(task_id="alone", invocation_arn="{{ ti.xcom_pull('start') }}", deferrable=True)
    start >> EmptyOperator(task_id="between") >> alone
    many = BdaInvokeOperator.partial(task_id="many", **PLACES).expand(
        input_s3_uri=["s3://links/1.pdf", "s3://links/2.pdf"]
    )
    BdaStatusSensor.partial(task_id="many_sensors", deferrable=True).expand(invocation_arn=many.output)
