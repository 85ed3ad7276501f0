"""
One batch beside a mapped operator: the same documents and quota, on the same running Airflow.

Scheduler, triggerer and tasks are real processes; the emulator stands in for AWS. Both runs are timed from their
trigger to their end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_processes.fixtures import Service
    from airflow_processes.running import RunningAirflow

AT_ONCE = 25
JOB_SECONDS = 2.0
LONGEST_SECONDS = 3600.0
# As Airflow has it unless it is told otherwise.
USUAL_SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "16",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "300",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
}
DAGS = """
from datetime import datetime, timedelta, timezone

from airflow_bda.operators import BdaBatchOperator, BdaInvokeOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

settings = {{
    "schedule": None,
    "start_date": datetime(2024, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "is_paused_upon_creation": False,
    "default_args": {{"retries": 5, "retry_delay": timedelta(seconds=1)}},
}}
with DAG("mapped", **settings):
    BdaInvokeOperator.partial(
        task_id="process", output_s3_uri="s3://outputs/mapped", wait_for_completion=True, deferrable=True
    ).expand(input_s3_uri=[f"s3://inputs/inbox/{{number:04d}}.pdf" for number in range({documents})])
with DAG("batch", **settings):
    BdaBatchOperator(
        task_id="process",
        input_s3_prefix="s3://inputs/inbox/",
        output_s3_uri="s3://outputs/batch",
        deferrable=True,
    )
"""


@contextmanager
def running_airflow(documents: int) -> Iterator[tuple[RunningAirflow, Service]]:
    """Start an Airflow with both DAGs, and the emulator."""
    from airflow_processes.fixtures import Service
    from airflow_processes.running import RunningAirflow

    from airflow_bda.emulator.server.server import EmulatorServer, SeedBucket

    buckets = (SeedBucket("inputs"), SeedBucket("outputs"))
    with (
        tempfile.TemporaryDirectory(prefix="bench-mapped-") as folder,
        EmulatorServer(port=0, seed_buckets=buckets) as server,
    ):
        home = Path(folder)
        (home / "dags").mkdir()
        (home / "dags" / "both.py").write_text(DAGS.format(documents=documents))
        service = Service(server)
        service.reset()
        airflow = RunningAirflow(
            home / "airflow",
            database=_migrated(home / "migrated.db"),
            environment={**service.environment, **USUAL_SETTINGS},
            dags=home / "dags",
            dag_ids=("mapped", "batch"),
        )
        try:
            airflow.start()
            yield airflow, service
        finally:
            airflow.end()


def _migrated(file: Path) -> Path:
    environment = {**os.environ, "AIRFLOW_HOME": str(file.parent / "migration")}
    environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{file}"
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603  Airflow's own
    return file


def seconds_of(airflow: RunningAirflow, service: Service, dag_id: str, documents: int) -> float:
    """Run a DAG to its end, and return how long it took, in seconds."""
    before, began = len(service.jobs), time.monotonic()
    states = airflow.trigger(dag_id).end(LONGEST_SECONDS)
    took = time.monotonic() - began
    assert set(states) == {"success"}, states  # noqa: S101
    assert len(service.jobs) - before == documents, len(service.jobs)  # noqa: S101
    return took


def main() -> None:
    """Time both, and print how many times as long the mapped operator takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    documents = parser.parse_args().documents
    from airflow_bda.service.s3 import Modality

    with running_airflow(documents) as (airflow, service):
        service.configure(concurrency={Modality.DOCUMENT: AT_ONCE}, in_progress_seconds=JOB_SECONDS)
        service.upload(*(f"inbox/{number:04d}.pdf" for number in range(documents)))
        batch = seconds_of(airflow, service, "batch", documents)
        mapped = seconds_of(airflow, service, "mapped", documents)
    print(f"batch.on_airflow_seconds {batch:.1f}")
    print(f"batch.mapped_seconds {mapped:.1f}")
    print(f"batch.vs_mapped {mapped / batch:.1f}")


if __name__ == "__main__":
    main()
