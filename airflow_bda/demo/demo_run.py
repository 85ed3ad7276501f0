"""
One run of the demo, from the start of the emulator to the report, with its progress on standard error.

The emulator runs in the demo's own process: its S3 is filled and read without a client, so nothing of AWS is set up.
"""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.utilities.utils import get_partition
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from airflow_bda.demo.airflow_process import DAG_FILE, AirflowFailedError
from airflow_bda.demo.report import Outcome, conclude, console, last_line, report, shown_path
from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.core.objects import Storage
from airflow_bda.emulator.documents.fields.catalogue import managed_blueprint
from airflow_bda.emulator.server.server import (
    DEFAULT_REGION,
    EmulatorServer,
    SeedBucket,
    airflow_connection,
    client_environment,
)
from airflow_bda.emulator.server.views import JobView, call_counts, job_views
from airflow_bda.report import ReportedJob, write_report
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from airflow_bda.demo.airflow_process import AirflowProcess, Workplace
    from airflow_bda.demo.command import DemoFile

_INPUT, _OUTPUT = "bda-input", "bda-output"


class LocalBda:
    """An emulator with two buckets, on a free port of this machine; ``with`` starts and stops it."""

    def __init__(self) -> None:
        self._server = EmulatorServer(seed_buckets=(SeedBucket(_INPUT), SeedBucket(_OUTPUT)), region=DEFAULT_REGION)
        self.storage = Storage(DEFAULT_ACCOUNT_ID, get_partition(DEFAULT_REGION))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def endpoint_url(self) -> str:
        """What clients take as their ``endpoint_url``."""
        return self._server.endpoint_url

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that make Airflow and its tasks use this emulator."""
        connection = airflow_connection(self.endpoint_url, DEFAULT_REGION)
        return {**client_environment(self.endpoint_url, DEFAULT_REGION), "AIRFLOW_CONN_AWS_DEFAULT": connection}

    @property
    def jobs(self) -> list[JobView]:
        """The jobs as they stand now, oldest first."""
        return job_views()

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each operation of BDA was called."""
        return call_counts()

    def upload(self, file: DemoFile) -> dict[str, Any]:
        """Put a file into S3, and return the DAG's params for it."""
        content_type = mimetypes.guess_type(file.key)[0] or "application/octet-stream"
        uri = S3Uri(_INPUT, file.key)
        self.storage.write(uri, file.path.read_bytes(), content_type)
        # Of most blueprints that AWS manages, the emulator has only the name: documents cannot match them.
        managed = {arn: managed_blueprint(arn) for arn, _ in EMULATOR.processor.blueprints(region=DEFAULT_REGION)}
        return {
            "input_s3_uri": str(uri),
            "output_s3_uri": str(S3Uri(_OUTPUT, "results")),
            "blueprints": [arn for arn, found in managed.items() if found is None or found.schema is not None],
        }


# Of the DAG: invoke, wait, show_fields.
_TASKS = 3


def run_demo(files: Sequence[DemoFile], workplace: Workplace, airflow: AirflowProcess) -> int:
    """
    Run every file, and report.

    :param airflow: was started, and is ended by the caller.
    :return: the exit status.
    """
    log = shown_path(workplace.log)
    with DemoProgress(_TASKS * len(files)) as progress:
        progress.say(f"Airflow {workplace.airflow_version} runs {DAG_FILE}; its log goes to {log}")
        progress.now("Starting the BDA emulator")
        with LocalBda() as bda:
            progress.say(f"BDA emulator at {bda.endpoint_url}, its jobs at {bda.endpoint_url}/_bda/")
            outcomes = _Run(files, workplace, progress).run(airflow, bda)
            jobs, calls = bda.jobs, bda.calls
    out = console()
    out.print(report(outcomes, jobs, calls))
    out.print(f"Results: {shown_path(workplace.results)}/, Airflow's log: {log}", soft_wrap=True)
    if any(outcome.result for outcome in outcomes):
        out.print(f"Report, to open in a browser: {shown_path(_write_report(outcomes, workplace))}", soft_wrap=True)
    out.print(last_line(outcomes), soft_wrap=True)
    return 0 if all(outcome.succeeded for outcome in outcomes) else 1


def _write_report(outcomes: Sequence[Outcome], workplace: Workplace) -> Path:
    """Write the page that shows the documents with what was found in them, and return its path."""
    jobs = [
        ReportedJob(outcome.result, read_input=lambda _, file=outcome.file: file.path.read_bytes())  # type: ignore[misc]
        for outcome in outcomes
        if outcome.result
    ]
    write_report(workplace.report, jobs)
    return workplace.report


class _Run:
    """Runs the documents through Airflow and collects their outcomes."""

    def __init__(self, files: Sequence[DemoFile], workplace: Workplace, progress: DemoProgress) -> None:
        self._files = files
        self._workplace = workplace
        self._progress = progress
        self._outcomes: list[Outcome] = []

    def run(self, airflow: AirflowProcess, bda: LocalBda) -> list[Outcome]:
        """Run all documents; those that Airflow does not reach have failed."""
        try:
            confs = [bda.upload(file) for file in self._files]
            if not self._workplace.is_migrated:
                self._progress.now("Creating Airflow's database (about 15 seconds, once)")
                airflow.migrate()
            self._progress.now("Starting Airflow")
            for news in airflow.run(confs, environment=bda.environment):
                self._hear(news, bda)
        except AirflowFailedError as error:
            reason = f"{error}; see {shown_path(self._workplace.log)}"
            self._outcomes += [Outcome(file, "failed", error=reason) for file in self._files[len(self._outcomes) :]]
        return self._outcomes

    def _hear(self, news: dict[str, Any], bda: LocalBda) -> None:
        number = news["number"]
        file = self._files[number]
        if news["news"] == "started":
            self._progress.now(f"{file.name}: {news['task']}")
        elif news["news"] == "succeeded":
            self._progress.count()
        else:
            job = next((job for job in bda.jobs if job.invocation_arn == news.get("invocation_arn")), None)
            outcome = conclude(file, news, storage=bda.storage, results=self._workplace.results, job=job)
            self._outcomes.append(outcome)
            self._progress.count(_TASKS * len(self._outcomes))


class DemoProgress:
    """
    Show progress on standard error: a bar on a terminal, lines elsewhere; ``with`` shows it.

    :param total: the number of tasks of all documents.
    """

    def __init__(self, total: int) -> None:
        out = console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("tasks"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)
        self._step = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._bar.console.print(Text(line))

    def now(self, step: str) -> None:
        """Show the current step, once; on a terminal the next step replaces it."""
        if step == self._step:
            return
        self._step = step
        if self._bar.disable:
            self.say(step)
        else:
            self._bar.update(self._task, description=step)

    def count(self, done: int | None = None) -> None:
        """Set the number of finished tasks; None adds one."""
        if done is None:
            self._bar.advance(self._task)
        else:
            self._bar.update(self._task, completed=done)
