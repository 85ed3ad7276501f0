"""The command ``airflow-bda results``: what a job found, segment by segment."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from airflow_bda.commands import connection

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


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
    for segment in result.segments:
        row = segment.to_dict()
        sys.stdout.write(f"{json.dumps(row)}\n" if args.json else _paragraph(row))
    sys.stderr.write(
        f"segments: {result.segment_count}, matched: {result.matched}, fallback: {result.fallback}, "
        f"unmatched: {result.unmatched}, pages: {result.pages}\n"
    )
    return 0


def _paragraph(row: dict[str, Any]) -> str:
    """Return one segment for people: a headline, its fields in columns, and its text where it has no fields."""
    facts = [row["modality"], f"pages: {row['pages']}" if row["pages"] else None, row["custom_output_status"]]
    headline = ", ".join(str(fact) for fact in (*facts, row["blueprint"]) if fact)
    lines = [f"asset {row['asset_id']}, segment {row['segment']}: {headline}"]
    width = max((len(field["path"]) for field in row["fields"]), default=0)
    for field in row["fields"]:
        confidence = "" if field["confidence"] is None else f"{field['confidence']:.2f}"
        value = "" if field["value"] is None else field["value"]
        lines.append(f"  {field['path']:{width}}  {confidence:>4}  {value}".rstrip())
    if not row["fields"] and row["text"]:
        lines += [f"  {line}" for line in row["text"].splitlines()]
    return "\n".join(lines) + "\n"
