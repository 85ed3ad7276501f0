"""
### A project and its blueprint, from a file

The file beside this one, `bda_project.json`, says what to extract. The first task makes the account follow it: the
first run creates a project and a blueprint, later ones change what differs, and nothing is deleted. The second task
runs a document through the project.
"""

from __future__ import annotations

from datetime import datetime

try:  # Airflow 3
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

from airflow_bda.operators import BdaApplyProjectOperator, BdaInvokeOperator

with DAG(
    "bda_project",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # two runs at once would change the same project
    description="A project and its blueprint from a file in git, then a document",
    tags=["bda"],
    doc_md=__doc__,
):
    apply = BdaApplyProjectOperator(task_id="apply", files=["bda_project.json"], retries=2)

    BdaInvokeOperator(
        task_id="extract",
        input_s3_uri="s3://bda-input/invoice.pdf",
        output_s3_uri="s3://bda-output/project",
        project_arn="{{ ti.xcom_pull(task_ids='apply')['project_arn'] }}",
        wait_for_completion=True,
        deferrable=True,
    ).set_upstream(apply)
