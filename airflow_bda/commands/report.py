"""The command ``airflow-bda report``: results as one HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.commands import connection

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.hooks import BdaHook
    from airflow_bda.report import ReportedJob

_MOST_BYTES = 500 * 1024 * 1024


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "metadata_uris",
        nargs="+",
        metavar="METADATA_URI",
        help="s3://.../job_metadata.json, as `invoke --wait` prints it",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--compare", metavar="METADATA_URI", help="an earlier run on the same document, to compare with; one job only"
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
    connection.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Write the report and print its path.

    :return: 0; 2 where ``--compare`` is given with several jobs.
    :raises BdaError: where a result cannot be read.
    """
    from airflow_bda.report import write_report

    if args.compare and len(args.metadata_uris) > 1:
        sys.stderr.write("airflow-bda report: --compare takes one job; give one METADATA_URI\n")
        return 2
    with connection.hook_of(args) as hook:
        jobs = (_job(hook, uri, number, args) for number, uri in enumerate(args.metadata_uris, start=1))
        write_report(args.output, jobs, title=args.title, sure=args.sure, low=args.low)
    sys.stdout.write(f"{args.output}\n")
    return 0


def _job(hook: BdaHook, uri: str, number: int, args: Namespace) -> ReportedJob:
    from airflow_bda.report import ReportedJob

    sys.stderr.write(f"Reading {number} of {len(args.metadata_uris)}: {uri}\n")
    return ReportedJob(
        hook.get_results(uri),
        read_input=None if args.no_pictures else lambda source: _read(hook, source),
        earlier=hook.get_results(args.compare) if args.compare else None,
        most_pages=args.most_pages,
    )


def _read(hook: BdaHook, uri: str) -> bytes:
    from airflow_bda.service.s3 import S3Uri

    location = S3Uri.parse(uri)
    answer = hook.s3.get_object(Bucket=location.bucket, Key=location.key)
    if answer["ContentLength"] > _MOST_BYTES:
        raise ValueError(f"{uri} has {answer['ContentLength']} bytes")
    content: bytes = answer["Body"].read()
    return content


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number
