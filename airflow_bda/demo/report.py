"""What came of each document of the demo, and the report on them: fields, a table, and the last line."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.media import AudioOutput, VideoOutput
from airflow_bda.service.results.metadata import JobMetadata
from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, S3Uri, extension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from airflow_bda.demo.command import DemoFile
    from airflow_bda.emulator.core.objects import Storage
    from airflow_bda.emulator.server.views import JobView
    from airflow_bda.service.results.custom import ExtractedField
    from airflow_bda.service.results.job_result import JobResult, SegmentResult
    from airflow_bda.service.results.parts import StandardOutput

_WIDTH_OF_A_FILE = 1000
_MOST_LINES = 25
_CONFIDENT, _DOUBTFUL = 0.8, 0.5
SUCCEEDED = "success"


@dataclass(frozen=True)
class Outcome:
    """
    One document's end.

    :param state: of the DAG run, as Airflow writes it.
    :param seconds: from the start of its first task to the end of its last one.
    :param invocation_arn: the job; None where none was started.
    :param result: what the job found; None where it failed.
    :param folder: the local copy of the job's folder.
    :param error: what went wrong, in one line.
    """

    file: DemoFile
    state: str
    seconds: float | None = None
    invocation_arn: str | None = None
    result: JobResult | None = None
    folder: Path | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the DAG run did."""
        return self.state == SUCCEEDED


def conclude(
    file: DemoFile, news: Mapping[str, Any], *, storage: Storage, results: Path, job: JobView | None
) -> Outcome:
    """
    Read what a finished DAG run left.

    :param news: what the run said of itself; its URI of ``job_metadata.json`` is the XCom of the task that waited.
    :param storage: the S3 that the job wrote to.
    :param results: the folder for local copies.
    :param job: the emulator's view of the job; None where none was started.
    """
    facts = {name: news.get(name) for name in ("seconds", "invocation_arn", "error")}
    if facts["error"] is None and job is not None and job.error_message:
        facts["error"] = f"{job.status}: {job.error_message}"
    uri = news.get("metadata_uri")
    if not uri:
        return Outcome(file, news["state"], **facts)
    metadata = JobMetadata.parse(storage.read(S3Uri.parse(uri)), uri)
    documents = {each: storage.read(S3Uri.parse(each)) for each in metadata.own_output_uris()}
    folder = results / file.key
    _copy_job(S3Uri.parse(uri), folder, storage)
    return Outcome(file, news["state"], result=assemble_result(metadata, documents), folder=folder, **facts)


def _copy_job(metadata: S3Uri, folder: Path, storage: Storage) -> None:
    """Copy the folder that ``job_metadata.json`` is in, in place of an earlier run's copy."""
    shutil.rmtree(folder, ignore_errors=True)
    prefix = metadata.key.rpartition("/")[0] + "/"
    for key in storage.keys(S3Uri(metadata.bucket, prefix)):
        target = folder / key.removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(storage.read(S3Uri(metadata.bucket, key)))


def console(*, stderr: bool = False) -> Console:
    """Return a console; where it is not a terminal, its lines are long, so that programs can search them."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = _WIDTH_OF_A_FILE
    return made


def report(outcomes: Sequence[Outcome], jobs: Sequence[JobView], calls: Mapping[str, int]) -> RenderableType:
    """
    Build the report.

    :param jobs: the emulator's, in any order.
    :param calls: how often each operation of BDA was called.
    """
    modalities = {job.invocation_arn: job.modality for job in jobs}
    notes = {job.invocation_arn: job.notes for job in jobs}
    parts: list[RenderableType] = []
    for outcome in outcomes:
        if outcome.result:
            where = f"{shown_path(outcome.folder)}/" if outcome.folder else ""
            parts.append(Text.assemble((outcome.file.name, "bold"), "  ", (where, "dim")))
            parts.append(_details(outcome, notes.get(outcome.invocation_arn or "", ())))
    statuses = ", ".join(f"{count} {status}" for status, count in Counter(job.status for job in jobs).items())
    asked = ", ".join(f"{operation} {count}" for operation, count in calls.items())
    last = f"Jobs in the emulator: {len(jobs)} ({statuses}); calls: {asked}" if jobs else "No job was started."
    return Group(*parts, _table(outcomes, modalities), Text(last))


def last_line(outcomes: Sequence[Outcome]) -> str:
    """Return the last line: ``demo: 3 documents, 3 succeeded, 0 failed``."""
    succeeded = sum(outcome.succeeded for outcome in outcomes)
    documents = "1 document" if len(outcomes) == 1 else f"{len(outcomes)} documents"
    return f"demo: {documents}, {succeeded} succeeded, {len(outcomes) - succeeded} failed"


def shown_path(path: Path) -> str:
    """Return a path relative to the working directory, where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _details(outcome: Outcome, notes: Sequence[str]) -> Table:
    """Show what was found in one document, and what the emulator left out."""
    lines = findings(outcome.result) if outcome.result else []
    lines += [Finding("note", note) for note in notes]
    table = Table("Field", "Value", box=box.SIMPLE_HEAD)
    table.add_column("Confidence", justify="right")
    for line in lines[:_MOST_LINES]:
        sure = line.confidence
        style = "green" if (sure or 0) >= _CONFIDENT else "yellow" if (sure or 0) >= _DOUBTFUL else "red"
        confidence = Text("") if sure is None else Text(f"{sure:.2f}", style)
        table.add_row(Text(line.name), Text(line.value), confidence)
    if len(lines) > _MOST_LINES:
        table.add_row(Text(f"and {len(lines) - _MOST_LINES} more", "dim"), Text("in the files named above", "dim"))
    return table


def _table(outcomes: Sequence[Outcome], modalities: Mapping[str, str]) -> Table:
    table = Table("File", "Modality", box=box.SIMPLE_HEAD)
    table.add_column("Pages", justify="right")
    table.add_column("Status")
    table.add_column("Seconds", justify="right")
    table.add_column("Found", overflow="fold")
    for outcome in outcomes:
        # Where no job was started, the file's name decides.
        by_name = MODALITIES_OF_EXTENSION.get(extension(outcome.file.key), ("",))[0]
        table.add_row(
            Text(outcome.file.name),
            modalities.get(outcome.invocation_arn or "") or str(by_name),
            str(outcome.result.pages or "") if outcome.result else "",
            Text(outcome.state, "green" if outcome.succeeded else "red"),
            "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
            _found(outcome) if outcome.succeeded else Text(outcome.error or "see Airflow's log", "red"),
        )
    return table


def _found(outcome: Outcome) -> Text:
    if outcome.result is None:
        return Text("")
    names = blueprints(outcome.result)
    if not names:
        return Text("no blueprint matches", "dim")
    found, asked = found_and_asked(outcome.result)
    return Text(f"{found} of {asked} fields, {', '.join(names)}")


_ITEM = re.compile(r"(?P<item>[^.]+\[\d+\])\.")
_EXCERPT = 100


@dataclass(frozen=True)
class Finding:
    """
    One line.

    :param name: a field's path, a list's item, or the name of a standard output.
    :param value: as text, in one line.
    :param confidence: 0 to 1, the lowest of an item's parts; None for what is not a field.
    """

    name: str
    value: str
    confidence: float | None = None


def findings(result: JobResult) -> list[Finding]:
    """Return the fields found in each segment, or its standard output where no blueprint matches."""
    many = result.segment_count > 1
    return [
        Finding(f"{segment.index + 1}/{finding.name}" if many else finding.name, finding.value, finding.confidence)
        for segment in result.segments
        for finding in (_fields(segment) if segment.custom else _standard(segment.standard))
    ]


def found_and_asked(result: JobResult) -> tuple[int, int]:
    """Count the fields with a value, and all fields."""
    fields = [field for segment in result.segments if segment.custom for field in segment.custom.fields()]
    return sum(field.found for field in fields), len(fields)


def blueprints(result: JobResult) -> list[str]:
    """Return the names of the blueprints that matched, with their confidence."""
    names = []
    for segment in result.segments:
        matched = segment.custom.matched_blueprint if segment.custom else None
        if matched and matched.name:
            names.append(matched.name if matched.confidence is None else f"{matched.name} {matched.confidence:.2f}")
    return names


def _fields(segment: SegmentResult) -> Iterator[Finding]:
    items: dict[str, list[ExtractedField]] = {}
    for field in segment.custom.fields() if segment.custom else ():
        if field.found:
            part_of = _ITEM.match(field.path)
            items.setdefault(part_of["item"] if part_of else field.path, []).append(field)
    for name, parts in items.items():
        confidences = [part.confidence for part in parts if part.confidence is not None]
        values = [
            " ".join(part.value.split()) if isinstance(part.value, str) else json.dumps(part.value, ensure_ascii=False)
            for part in parts
        ]
        yield Finding(name, ", ".join(values), min(confidences, default=None))


def _standard(output: StandardOutput | None) -> Iterator[Finding]:
    if isinstance(output, DocumentOutput):
        yield Finding("text", _excerpt(output.text))
    elif isinstance(output, ImageOutput):
        yield Finding("size", f"{output.width_pixels} x {output.height_pixels} pixels")
        if output.text:
            yield Finding("text", _excerpt(output.text.replace("\n", " / ")))
    elif isinstance(output, AudioOutput | VideoOutput):
        yield Finding("duration", f"{(output.duration_millis or 0) / 1000:.1f} s, {output.format} ({output.codec})")
        if output.text:
            yield Finding("transcript", _excerpt(output.text))


def _excerpt(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}..."
