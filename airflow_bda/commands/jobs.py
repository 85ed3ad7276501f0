"""The commands ``invoke``, ``status``, ``results`` and ``report``: start a job, show its status and what it found."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from airflow_bda.commands import options
from airflow_bda.service.arns import region_of
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.results.rows import FIELDS, SEGMENTS
from airflow_bda.tables import CSV, JSONL, PARQUET, open_table

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _ArgumentGroup
    from collections.abc import Iterable, Sequence

    from airflow_bda.hooks import BdaHook
    from airflow_bda.report import ReportedJob
    from airflow_bda.service.results.job_result import JobResult

# What the last line counts, by the attribute of a result.
_COUNTS = {
    "segment_count": "segments",
    "matched": "matched",
    "fallback": "fallback",
    "unmatched": "unmatched",
    "pages": "pages",
}

# What the commands for one document and for many hand on to the request as it is.
JOB_ARGUMENTS = (
    "output_s3_uri",
    "project_arn",
    "project_stage",
    "blueprints",
    "profile_arn",
    "event_bridge_enabled",
    "kms_key_id",
    "tags",
)


def add_invoke_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    request = parser.add_argument_group("the request")
    request.add_argument(
        "--input",
        dest="input_s3_uri",
        type=options.s3_uri_like("s3://bucket/folder/document.pdf"),
        required=True,
        metavar="URI",
        help="the document, s3://bucket/key",
    )
    options.add_output(request)
    add_request_arguments(request)
    request.add_argument("--client-token", metavar="TOKEN", help="calls with the same token start one job between them")
    waiting = parser.add_argument_group("waiting")
    waiting.add_argument("--wait", action="store_true", help="wait for the end, and print the results' URI as well")
    options.add_max_wait(waiting, timedelta(days=1), "how long at most (a day)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options.add_arguments(parser)


def add_request_arguments(request: _ArgumentGroup) -> None:
    """Add what the commands for one document and for many ask of a job alike."""
    request.add_argument("--project", dest="project_arn", metavar="ARN", help="the data automation project")
    request.add_argument("--stage", dest="project_stage", metavar="STAGE", help="the project's: LIVE or DEVELOPMENT")
    request.add_argument(
        "--blueprint", dest="blueprints", action="append", metavar="ARN", help="a blueprint; may be repeated"
    )
    request.add_argument("--profile-arn", metavar="ARN", help="the data automation profile (default: the region's)")
    request.add_argument(
        "--event-bridge",
        dest="event_bridge_enabled",
        action="store_true",
        default=None,
        help="let the service send the job's events to EventBridge",
    )
    request.add_argument("--kms-key-id", metavar="KEY", help="the key to encrypt results with")
    request.add_argument(
        "--tag",
        dest="tags",
        type=options.pair,
        action="append",
        metavar="KEY=VALUE",
        help="a tag; may be repeated",
    )


def request_members(args: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a request by their names, as the hook takes them."""
    return {name: getattr(args, name) for name in names} | {"tags": dict(args.tags) if args.tags else None}


def run_invoke(args: Namespace) -> int:
    """
    Start the job and print its ARN; with ``--wait``, the URI of ``job_metadata.json`` below it.

    :raises BdaError: where that fails, or the job does.
    """
    with options.hook_of(args) as hook:
        arn = hook.invoke(hook.build_request(**request_members(args, ("input_s3_uri", *JOB_ARGUMENTS, "client_token"))))
    if not args.wait:
        _print_facts({"invocation_arn": arn}, as_json=args.json)
        return 0
    sys.stderr.write(f"Started {arn}; waiting for its end.\n")
    with options.hook_of(args) as hook:
        metadata_uri = hook.wait(arn, max_wait=args.max_wait)
    _print_facts({"invocation_arn": arn, "output_metadata_uri": metadata_uri}, as_json=args.json)
    return 0


def _print_facts(facts: dict[str, str | None], *, as_json: bool) -> None:
    text = json.dumps(facts) if as_json else "\n".join(filter(None, facts.values()))
    sys.stdout.write(f"{text}\n")


def add_status_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "invocation_arn",
        type=options.invocation_arn,
        metavar="ARN",
        help="the invocation, as `airflow-bda invoke` prints it",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options.add_arguments(parser)


def run_status(args: Namespace) -> int:
    """
    Ask once, and print the answer.

    :return: 0, also for a job that failed: the question was answered.
    """
    take_region_of([args.invocation_arn], args)
    with options.hook_of(args) as hook:
        state = hook.get_status(args.invocation_arn)
    # What is known of the job, with the status as the service writes it.
    known = {**asdict(state), "status": state.status_text}
    del known["status_text"]
    facts = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in known.items()
        if value is not None
    }
    text = json.dumps(facts) if args.json else "\n".join(f"{name}: {value}" for name, value in facts.items())
    sys.stdout.write(f"{text}\n")
    return 0


def add_results_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    options.add_jobs(parser)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON, a line for each segment: fields and text")
    for form, what in ((JSONL, "JSON Lines"), (CSV, "CSV"), (PARQUET, "Parquet")):
        rows = f"print a table as {what}, a row for each value of a field"
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=rows)
    parser.add_argument(
        "--table", choices=(FIELDS, SEGMENTS), default=FIELDS, help="which table: fields (default) or segments"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the table to a file instead of standard output")
    options.add_arguments(parser)


def run_results(args: Namespace) -> int:
    """
    Read every segment of every job, and print what was found.

    :raises BdaError: when a file cannot be read.
    """
    totals: Counter[str] = Counter()
    take_region_of(args.jobs, args)
    # The hook's context sends what is printed to standard error; rows go where it went before.
    out = sys.stdout
    with ExitStack() as stack:
        table = None
        if args.form:
            file = stack.enter_context(Path(args.output).open("wb")) if args.output else out.buffer
            table = open_table(args.table, args.form, file)
        hook = stack.enter_context(options.hook_of(args))
        for number, job in enumerate(args.jobs, start=1):
            if len(args.jobs) > 1:
                _tell_progress(number, job, args)
            result = hook.get_results(find_metadata_uri(hook, job))
            if table:
                for row in result.rows(args.table, invocation_arn=job if job.startswith("arn:") else None):
                    table.write(row)
            else:
                _print_result(result, out, as_json=args.json)
            totals.update({name: getattr(result, name) for name in _COUNTS})
        if table:
            table.close()
    sys.stderr.write(", ".join(f"{name}: {totals[count]}" for count, name in _COUNTS.items()) + "\n")
    return 0


def take_region_of(jobs: Iterable[str], args: Namespace) -> None:
    """
    Have the hook call the region of the jobs that are named by ARNs: they can be asked for nowhere else.

    :raises BdaRequestError: where that is not one region, or ``--region`` is another.
    """
    regions = {str(region_of(job)) for job in jobs if job.startswith("arn:")}
    if len(regions) > 1:
        raise BdaRequestError(f"The jobs are of several regions, {', '.join(sorted(regions))}: ask for one at a time.")
    for region in regions:
        if args.region not in {None, region}:
            raise BdaRequestError(
                f"The job is of the region {region}, and --region is {args.region}: a job can be asked for in its own "
                "region only.",
                remedy="Leave --region out.",
            )
        args.region = region


def find_metadata_uri(hook: BdaHook, job: str) -> str:
    """
    Return where a job's results are.

    :param job: that, or the job's ARN.
    :raises BdaRequestError: for a job that has no results.
    """
    if not job.startswith("arn:"):
        return job
    state = hook.get_status(job)
    if state.output_metadata_uri is None:
        why = f": {state.error_message}" if state.error_message else ""
        raise BdaRequestError(f"The job has no results: its status is {state.status_text}{why}.", invocation_arn=job)
    return state.output_metadata_uri


def _print_result(result: JobResult, out: TextIO, *, as_json: bool) -> None:
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


def add_report_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    options.add_jobs(parser)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--compare",
        type=options.job,
        metavar="JOB",
        help="an earlier run on the same document, to compare with; one job only",
    )
    parser.add_argument("--title", metavar="TEXT", help="the heading (default: the document's name)")
    parser.add_argument(
        "--sure", type=_share, default=0.8, metavar="0..1", help="confidence taken as sure (%(default)s)"
    )
    parser.add_argument("--low", type=_share, default=0.5, metavar="0..1", help="confidence taken as low (%(default)s)")
    parser.add_argument("--no-pictures", action="store_true", help="do not read the documents: texts and fields only")
    parser.add_argument(
        "--most-pages", type=int, default=200, metavar="N", help="pictures of a document, at most (%(default)s)"
    )
    options.add_arguments(parser)


def run_report(args: Namespace) -> int:
    """
    Write the report and print its path.

    :return: 0; 2 for ``--compare`` with several jobs.
    :raises BdaError: where a result cannot be read.
    """
    from airflow_bda.report import write_report

    if args.compare and len(args.jobs) > 1:
        sys.stderr.write("airflow-bda report: --compare takes one job; pass one JOB\n")
        return 2
    take_region_of([*args.jobs, *filter(None, [args.compare])], args)
    with options.hook_of(args) as hook:
        jobs = (_reported(hook, job, number, args) for number, job in enumerate(args.jobs, start=1))
        write_report(args.output, jobs, title=args.title, sure=args.sure, low=args.low)
    sys.stdout.write(f"{args.output}\n")
    return 0


def _reported(hook: BdaHook, job: str, number: int, args: Namespace) -> ReportedJob:
    from airflow_bda.hooks.results import read_object
    from airflow_bda.report import ReportedJob

    _tell_progress(number, job, args)
    return ReportedJob(
        hook.get_results(find_metadata_uri(hook, job)),
        read_input=None if args.no_pictures else partial(read_object, hook.s3),
        earlier=hook.get_results(find_metadata_uri(hook, args.compare)) if args.compare else None,
        most_pages=args.most_pages,
    )


def _tell_progress(number: int, job: str, args: Namespace) -> None:
    sys.stderr.write(f"Reading {number} of {len(args.jobs)}: {job}\n")


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number
