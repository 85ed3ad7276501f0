"""Import what the stack's processes import, so that Python keeps its bytecode in the image."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress

PROGRAMS = (
    "airflow.api_fastapi.main",
    "airflow.cli.commands.api_server_command",
    "airflow.cli.commands.db_command",
    "airflow.dag_processing.manager",
    "airflow.dag_processing.processor",
    "airflow.executors.local_executor",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.celery.cli.celery_command",
    "airflow.providers.celery.executors.celery_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "aiobotocore.session",
    "boto3",
    "moto.server",
    "pdfplumber",
    "rapidocr",
)


def main() -> None:
    """Import all of them; one that moved only costs time at the start."""
    sys.dont_write_bytecode = False
    for module in PROGRAMS:
        with suppress(ImportError):
            importlib.import_module(module)


if __name__ == "__main__":
    main()
