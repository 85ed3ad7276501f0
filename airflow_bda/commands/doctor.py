"""The command ``airflow-bda doctor``: what stands between a setup and its first job."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from airflow_bda.commands import connection
from airflow_bda.commands.policy import add_workload_arguments, check_uris

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.access.preflight.findings import Subject


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    job = parser.add_argument_group("what jobs touch")
    add_workload_arguments(job, profile_options=("--profile-arn",), required=False)
    parser.add_argument(
        "--write-probe", action="store_true", help="write an empty object below the output, and delete it again"
    )
    job.add_argument(
        "--jobs-at-once",
        type=int,
        metavar="N",
        help="how many jobs may be open at once, such as the slots of their pool, to compare with the quotas",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    connection.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Look, and print what was found.

    :return: 0, or 1 where jobs would fail, or 2 for URIs that are none.
    """
    with connection.hook_of(args) as hook:
        try:
            check_uris(args)
            subject = _subject(args)
        except ValueError as error:
            sys.stderr.write(f"airflow-bda doctor: {error}\n")
            return 2
        report = hook.preflight(subject)
    lines = [json.dumps(report.to_json(), indent=2)] if args.json else [str(check) for check in report.checks]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    counts = [(len(report.faults), "fault"), (len(report.hints), "hint")]
    found = ", ".join(f"{number} {noun}" if number == 1 else f"{number} {noun}s" for number, noun in counts)
    sys.stderr.write(f"{len(report.checks)} checks: {found}\n")
    return 1 if report.faults else 0


def _subject(args: Namespace) -> Subject:
    from airflow_bda.access.preflight.findings import Subject

    return Subject(
        input_uri=args.input,
        output_uri=args.output,
        project_arn=args.project,
        stage=args.stage,
        blueprint_arns=tuple(args.blueprint),
        profile_arn=args.profile_arn,
        kms_key=args.kms_key,
        input_key=args.input_kms_key,
        output_key=args.output_kms_key,
        write_probe=args.write_probe,
        jobs_at_once=args.jobs_at_once,
    )
