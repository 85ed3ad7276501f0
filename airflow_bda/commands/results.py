"""The command ``airflow-bda results``: what a job found, segment by segment."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from airflow_bda.commands import connection
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.invocations import check_invocation_arn, region_of
from airflow_bda.service.results.rows import FIELDS, SEGMENTS
from airflow_bda.tables.writers import CSV, JSONL, PARQUET, open_table

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.hooks import BdaHook
    from airflow_bda.service.results.job_result import JobResult

# What the last line counts, by the attribute of a result.
_TOTALS = {
    "segment_count": "segments",
    "matched": "matched",
    "fallback": "fallback",
    "unmatched": "unmatched",
    "pages": "pages",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "metadata_uris", metavar="URI", nargs="+", help="a job: its job_metadata.json, s3://..., or its invocation ARN"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON, a line for each segment: fields and text")
    for form, what in ((JSONL, "JSON Lines"), (CSV, "CSV"), (PARQUET, "Parquet")):
        rows = f"print a table as {what}, a row for each value of a field"
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=rows)
    parser.add_argument(
        "--table", choices=(FIELDS, SEGMENTS), default=FIELDS, help="which table: fields (default) or segments"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the table to a file instead of standard output")
    connection.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Read every segment of every job, and print what was found.

    :raises BdaError: when a file cannot be read.
    """
    totals: Counter[str] = Counter()
    # A job can be asked for in its own region only.
    arns = [job for job in args.metadata_uris if job.startswith("arn:")]
    args.region = args.region or (region_of(check_invocation_arn(arns[0])) if arns else None)
    # The hook's context sends what is printed to standard error; rows go where it went before.
    out = sys.stdout
    with ExitStack() as stack:
        table = open_table(args.table, args.form, _file(args, stack, out)) if args.form else None
        hook = stack.enter_context(connection.hook_of(args))
        for uri in args.metadata_uris:
            result = hook.get_results(_metadata_uri(hook, uri))
            if table:
                for row in result.rows(args.table):
                    table.write(row)
            else:
                _print(result, out, as_json=args.json)
            totals.update({name: getattr(result, name) for name in _TOTALS})
        if table:
            table.close()
    sys.stderr.write(", ".join(f"{name}: {totals[count]}" for count, name in _TOTALS.items()) + "\n")
    return 0


def _metadata_uri(hook: BdaHook, job: str) -> str:
    """
    Return where a job's results are.

    :param job: that, or the job's ARN.
    :raises BdaRequestError: for an ARN that is no invocation's, or a job that has no results.
    """
    if not job.startswith("arn:"):
        return job
    state = hook.get_status(check_invocation_arn(job))
    if state.output_metadata_uri is None:
        why = f": {state.error_message}" if state.error_message else ""
        raise BdaRequestError(f"The job has no results: its status is {state.status_text}{why}. {job}")
    return state.output_metadata_uri


def _file(args: Namespace, stack: ExitStack, out: TextIO) -> IO[bytes]:
    return stack.enter_context(Path(args.output).open("wb")) if args.output else out.buffer


def _print(result: JobResult, out: TextIO, *, as_json: bool) -> None:
    for segment in result.segments:
        row = segment.to_dict()
        out.write(f"{json.dumps(row)}\n" if as_json else _paragraph(row))


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
