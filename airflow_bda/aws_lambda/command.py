"""The command ``airflow-bda lambda``: make what is deployed to AWS Lambda."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.aws_lambda.package import HANDLER, JOB_EVENTS_HANDLER, build_package
from airflow_bda.aws_lambda.template import build_template
from airflow_bda.service.profiles import UnknownRegionError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.aws_lambda.package import Package

_KIB = 1024


def add_arguments(parser: ArgumentParser) -> None:
    """Add the sub-commands ``package`` and ``template``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    package = what.add_parser("package", help="write the zip with the functions", description="Write the zip.")
    package.add_argument(
        "-o", "--output", type=Path, default=Path("bda_lambda.zip"), metavar="FILE", help="(default: %(default)s)"
    )
    package.add_argument(
        "--with-boto3",
        action="store_true",
        help="put the installed boto3 in, for a runtime whose own is older than 1.37.4 or lacks what is used",
    )
    package.add_argument("--json", action="store_true", help="print what was written as JSON")
    package.set_defaults(make=_package)
    template = what.add_parser(
        "template", help="print the CloudFormation template", description="Print the CloudFormation template, as JSON."
    )
    template.add_argument(
        "--region",
        default=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        help="where it will be deployed, which decides the profile (default: AWS_REGION or AWS_DEFAULT_REGION)",
    )
    template.set_defaults(make=_template)


def run(args: Namespace) -> int:
    """
    Make what was asked for.

    :return: the exit status.
    """
    status: int = args.make(args)
    return status


def _package(args: Namespace) -> int:
    package = build_package(with_boto3=args.with_boto3)
    try:
        args.output.write_bytes(package.content)
    except OSError as error:
        _say(f"airflow-bda lambda package: {args.output} cannot be written: {error.strerror}")
        return 1
    _say(_summary(package))
    data = {
        "file": str(args.output),
        "sha256": package.sha_256,
        "bytes": len(package.content),
        "boto3": package.boto3_version,
        "handlers": [HANDLER, JOB_EVENTS_HANDLER],
    }
    sys.stdout.write(f"{json.dumps(data) if args.json else args.output}\n")
    return 0


def _summary(package: Package) -> str:
    sizes = (f"  {name:<12} {size / _KIB:>8.0f} KiB" for name, size in sorted(package.sizes.items()))
    boto3 = f"boto3 {package.boto3_version} is in it" if package.boto3_version else "boto3 is the runtime's own"
    return "\n".join(
        (
            *sizes,
            f"  {'the zip':<12} {len(package.content) / _KIB:>8.0f} KiB, sha256 {package.sha_256}",
            f"{boto3}. Handlers: {HANDLER} and {JOB_EVENTS_HANDLER}",
        )
    )


def _template(args: Namespace) -> int:
    if not args.region:
        _say("airflow-bda lambda template: pass --region, or set AWS_REGION; the region decides the profile")
        return 2
    try:
        template = build_template(args.region)
    except UnknownRegionError as error:
        _say(f"airflow-bda lambda template: {error}")
        return 2
    sys.stdout.write(f"{json.dumps(template, indent=2)}\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
