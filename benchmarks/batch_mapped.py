"""
One batch beside a mapped operator: the same documents and quota, on the same running Airflow.

Scheduler, triggerer and tasks are real processes; the emulator stands in for AWS. Both runs are timed from their
trigger to their end, and the processor time of all of Airflow's processes is counted.

Times of jobs are scaled down: half a second stands for a job of half a minute. What Airflow spends on each task cannot
be scaled. So the ratio of times holds where that is what limits a run: it falls as jobs get longer, as the second
length shows, and with jobs of half a minute and this quota both runs would wait for the service nearly all the time.
The ratio of processor times does not depend on the jobs' length.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_processes.fixtures import Service
    from airflow_processes.running import RunningAirflow

AT_ONCE = 25
# The first is the one that the figures without a length in their names are of.
JOB_SECONDS = (0.5, 2.0)
LONGEST_SECONDS = 3600.0
# As Airflow has it unless it is told otherwise.
USUAL_SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "16",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "300",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
}
# As in batch.py: the limits of both are scaled like the times of the jobs.
SCALED_SETTINGS = {
    "AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND": "100",
    "AIRFLOW__BDA__MIN_POLL_INTERVAL": "0.1",
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
        task_id="process", output_s3_uri="s3://outputs/mapped", wait_for_completion=True, deferrable={deferrable}
    ).expand(input_s3_uri=[f"s3://inputs/inbox/{{number:04d}}.pdf" for number in range({documents})])
with DAG("batch", **settings):
    BdaBatchOperator(
        task_id="process",
        input_s3_prefix="s3://inputs/inbox/",
        output_s3_uri="s3://outputs/batch",
        deferrable={deferrable},
        only_changed=False,
    )
"""


@contextmanager
def running_airflow(documents: int, *, deferrable: bool) -> Iterator[tuple[RunningAirflow, Service]]:
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
        (home / "dags" / "both.py").write_text(DAGS.format(documents=documents, deferrable=deferrable))
        service = Service(server)
        service.reset()
        airflow = RunningAirflow(
            home / "airflow",
            database=_migrated(home / "migrated.db"),
            environment={**service.environment, **USUAL_SETTINGS, **SCALED_SETTINGS},
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


@dataclass(frozen=True)
class Cost:
    """
    What a run took.

    :param seconds: from its trigger to its end.
    :param processor_seconds: of all processes of Airflow.
    """

    seconds: float
    processor_seconds: float


def cost_of(airflow: RunningAirflow, service: Service, dag_id: str, documents: int) -> Cost:
    """Run a DAG to its end, and return what it took."""
    jobs, processor, began = len(service.jobs), airflow.processor_seconds(), time.monotonic()
    states = airflow.trigger(dag_id).end(LONGEST_SECONDS)
    cost = Cost(time.monotonic() - began, airflow.processor_seconds() - processor)
    assert set(states) == {"success"}, states  # noqa: S101
    assert len(service.jobs) - jobs == documents, len(service.jobs)  # noqa: S101
    return cost


def main() -> None:
    """Measure both for each length of jobs, and print how many times as much the mapped operator takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--deferrable", action="store_true", help="run both in the triggerer")
    args = parser.parse_args()
    from airflow_bda.service.s3 import Modality

    with running_airflow(args.documents, deferrable=args.deferrable) as (airflow, service):
        service.upload(*(f"inbox/{number:04d}.pdf" for number in range(args.documents)))
        for seconds in JOB_SECONDS:
            service.configure(concurrency={Modality.DOCUMENT: AT_ONCE}, in_progress_seconds=seconds)
            batch = cost_of(airflow, service, "batch", args.documents)
            mapped = cost_of(airflow, service, "mapped", args.documents)
            end = "" if seconds == JOB_SECONDS[0] else f"_at_{seconds:g}_s"
            print(f"batch.on_airflow_seconds{end} {batch.seconds:.1f}")
            print(f"batch.mapped_seconds{end} {mapped.seconds:.1f}")
            print(f"batch.vs_mapped{end} {mapped.seconds / batch.seconds:.1f}")
            print(
                f"batch.vs_mapped_processor{end} {mapped.processor_seconds / batch.processor_seconds:.1f}", flush=True
            )


if __name__ == "__main__":
    main()
