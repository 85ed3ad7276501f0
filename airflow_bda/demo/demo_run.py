"""One run of the demo, from the start of the emulator to the report, with its progress on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from airflow_bda.demo.airflow_process import DAG_FILE, AirflowFailedError, AirflowProcess
from airflow_bda.demo.report import Outcome, conclude, console, last_line, report, shown_path
from airflow_bda.report import ReportedJob, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typing_extensions import Self

    from airflow_bda.demo.airflow_process import Workplace
    from airflow_bda.demo.command import DemoFile
    from airflow_bda.demo.local_bda import LocalBda


# Of the DAG: invoke, wait, show_fields.
_TASKS = 3


def run_demo(files: Sequence[DemoFile], workplace: Workplace) -> int:
    """
    Run every file, and report.

    :return: the exit status.
    """
    log = shown_path(workplace.log)
    with DemoProgress(_TASKS * len(files)) as progress, AirflowProcess(workplace) as airflow:
        progress.say(f"Airflow {workplace.airflow_version} runs {DAG_FILE}; its log goes to {log}")
        progress.now("Starting the BDA emulator")
        # Takes a second or two, in which Airflow's process loads.
        from airflow_bda.demo.local_bda import LocalBda

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
