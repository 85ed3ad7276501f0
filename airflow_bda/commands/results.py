"""The command ``airflow-bda results``: what a job found, segment by segment."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from airflow_bda.commands import connection
from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.media import AudioOutput, VideoOutput

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.service.results.job_result import JobResult, SegmentResult


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("metadata_uri", metavar="URI", help="the job's job_metadata.json, s3://...")
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each segment: fields and text")
    connection.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Read every segment, and print what was found.

    :raises BdaError: when a file cannot be read.
    """
    with connection.hook_of(args) as hook:
        result = hook.get_results(args.metadata_uri)
    rows = [_row(result, segment) for segment in result.segments]
    text = "".join(f"{json.dumps(row)}\n" for row in rows) if args.json else "".join(map(_paragraph, rows))
    sys.stdout.write(text)
    sys.stderr.write(
        f"segments: {result.segment_count}, matched: {result.matched}, unmatched: {result.unmatched}, "
        f"pages: {result.pages}\n"
    )
    return 0


def _row(result: JobResult, segment: SegmentResult) -> dict[str, Any]:
    custom = segment.custom
    blueprint = custom.matched_blueprint if custom else None
    modality = result.metadata.modality
    return {
        "asset_id": segment.asset_id,
        "segment": segment.index,
        "input_s3_uri": segment.input_s3_uri,
        "modality": modality.value if modality else None,
        "pages": segment.pages,
        "custom_output_status": segment.custom_status,
        "blueprint": blueprint.name if blueprint else None,
        "blueprint_confidence": blueprint.confidence if blueprint else None,
        "document_class": custom.document_class if custom else None,
        "fields": [
            {"path": field.path, "value": field.value, "confidence": field.confidence, "page": field.page}
            for field in (custom.fields() if custom else ())
        ],
        "text": _text(segment),
    }


def _text(segment: SegmentResult) -> str | None:
    """Give what was read or heard, where the standard output has it."""
    standard = segment.standard
    if isinstance(standard, DocumentOutput):
        return standard.representation.text
    if isinstance(standard, ImageOutput):
        return "\n".join(line.text for line in standard.text_lines) or None
    return standard.transcript if isinstance(standard, AudioOutput | VideoOutput) else None


def _paragraph(row: dict[str, Any]) -> str:
    """Write one segment for people: a headline, and its fields in columns, or its text where it has none."""
    facts = [row["modality"], f"pages: {row['pages']}" if row["pages"] else None, row["custom_output_status"]]
    facts.append(row["blueprint"])
    headline = ", ".join(str(fact) for fact in facts if fact)
    lines = [f"asset {row['asset_id']}, segment {row['segment']}: {headline}"]
    width = max((len(field["path"]) for field in row["fields"]), default=0)
    for field in row["fields"]:
        confidence = "" if field["confidence"] is None else f"{field['confidence']:.2f}"
        value = "" if field["value"] is None else field["value"]
        lines.append(f"  {field['path']:{width}}  {confidence:>4}  {value}".rstrip())
    if not row["fields"] and row["text"]:
        lines += [f"  {line}" for line in row["text"].splitlines()]
    return "\n".join(lines) + "\n"
