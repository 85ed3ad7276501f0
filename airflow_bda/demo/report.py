"""The demo's report: what was found in each document, a table of all of them, and the last line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from airflow_bda.demo.findings import blueprints, findings, found_and_asked
from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, extension

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from airflow_bda.demo.outcome import Outcome
    from airflow_bda.emulator.server.views import JobView

_WIDTH_OF_A_FILE = 1000
_MOST_LINES = 25
_CONFIDENT, _DOUBTFUL = 0.8, 0.5


def console(*, stderr: bool = False) -> Console:
    """Give a console; where it is no terminal, lines are long enough for programs to find things in."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = _WIDTH_OF_A_FILE
    return made


def report(outcomes: Sequence[Outcome], jobs: Sequence[JobView], calls: Mapping[str, int]) -> RenderableType:
    """
    Lay the report out.

    :param jobs: the emulator's, in any order.
    :param calls: how often each operation of BDA was called.
    """
    modalities = {job.invocation_arn: job.modality for job in jobs}
    return Group(
        *(part for outcome in outcomes if outcome.result for part in (_heading(outcome), _details(outcome))),
        _table(outcomes, modalities),
        _jobs(jobs, calls),
    )


def last_line(outcomes: Sequence[Outcome]) -> str:
    """Sum up: ``demo: 3 documents, 3 succeeded, 0 failed``."""
    succeeded = sum(outcome.succeeded for outcome in outcomes)
    documents = "1 document" if len(outcomes) == 1 else f"{len(outcomes)} documents"
    return f"demo: {documents}, {succeeded} succeeded, {len(outcomes) - succeeded} failed"


def shown_path(path: Path) -> str:
    """Give a path as it is shortest to type from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _heading(outcome: Outcome) -> Text:
    where = f"{shown_path(outcome.folder)}/" if outcome.folder else ""
    return Text.assemble((outcome.file.name, "bold"), "  ", (where, "dim"))


def _details(outcome: Outcome) -> Table:
    """Show what was found in one document."""
    lines = findings(outcome.result) if outcome.result else []
    table = Table("Field", "Value", box=box.SIMPLE_HEAD)
    table.add_column("Confidence", justify="right")
    for line in lines[:_MOST_LINES]:
        table.add_row(Text(line.name), Text(line.value), _confidence(line.confidence))
    if len(lines) > _MOST_LINES:
        table.add_row(Text(f"and {len(lines) - _MOST_LINES} more", "dim"), Text("in the files named above", "dim"))
    return table


def _confidence(confidence: float | None) -> Text:
    if confidence is None:
        return Text("")
    style = "green" if confidence >= _CONFIDENT else "yellow" if confidence >= _DOUBTFUL else "red"
    return Text(f"{confidence:.2f}", style)


def _table(outcomes: Sequence[Outcome], modalities: Mapping[str, str]) -> Table:
    table = Table("File", "Modality", box=box.SIMPLE_HEAD)
    table.add_column("Pages", justify="right")
    table.add_column("Status")
    table.add_column("Seconds", justify="right")
    table.add_column("Found", overflow="fold")
    for outcome in outcomes:
        table.add_row(
            Text(outcome.file.name),
            modalities.get(outcome.invocation_arn or "") or _by_name(outcome),
            str(outcome.result.pages or "") if outcome.result else "",
            Text(outcome.state, "green" if outcome.succeeded else "red"),
            "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
            _found(outcome) if outcome.succeeded else Text(outcome.error or "see Airflow's log", "red"),
        )
    return table


def _by_name(outcome: Outcome) -> str:
    """Guess the modality where no job was started."""
    known = MODALITIES_OF_EXTENSION.get(extension(outcome.file.key))
    return str(known[0]) if known else ""


def _found(outcome: Outcome) -> Text:
    if outcome.result is None:
        return Text("")
    names = blueprints(outcome.result)
    if not names:
        return Text("no blueprint fits", "dim")
    found, asked = found_and_asked(outcome.result)
    return Text(f"{found} of {asked} fields, {', '.join(names)}")


def _jobs(jobs: Sequence[JobView], calls: Mapping[str, int]) -> Text:
    statuses = ", ".join(f"{count} {status}" for status, count in Counter(job.status for job in jobs).items())
    asked = ", ".join(f"{operation} {count}" for operation, count in calls.items())
    return Text(f"Jobs in the emulator: {len(jobs)} ({statuses}); calls: {asked}" if jobs else "No job was started.")
