"""The command ``airflow-bda mwaa``: the two files that put this package on Amazon MWAA."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.mwaa.files import SUPPORTED, WEB_SERVERS, UnsupportedAirflowError, build_files, check_release

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.mwaa.wheel import Wheel

_NEXT_STEPS = """\
Next, with your own names for the first two; the bucket is the environment's, with versions on:
  environment=my-environment
  bucket=my-airflow-bucket
  plugins=$(aws s3api put-object --bucket "$bucket" --key plugins.zip --body {plugins} \\
    --query VersionId --output text)
  requirements=$(aws s3api put-object --bucket "$bucket" --key requirements.txt --body {requirements} \\
    --query VersionId --output text)
  aws mwaa update-environment --name "$environment" \\
    --plugins-s3-path plugins.zip --plugins-s3-object-version "$plugins" \\
    --requirements-s3-path requirements.txt --requirements-s3-object-version "$requirements"
  aws mwaa get-environment --name "$environment" --query Environment.Status
The update restarts the environment. An environment has one plugins.zip and one requirements.txt: if yours has them
already, put these files' contents into them instead.
"""


class _OccupiedError(Exception):
    """Another file is where one would be written."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "--airflow",
        required=True,
        type=_release,
        metavar="VERSION",
        help=f"the environment's Airflow: {', '.join(SUPPORTED)}",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("mwaa"), metavar="FOLDER", help="where to (default: %(default)s)"
    )
    parser.add_argument(
        "--web-server",
        choices=WEB_SERVERS,
        default="private",
        help="private: install from plugins.zip alone, which works everywhere; "
        "public: let the package index serve what else you require (default: %(default)s)",
    )
    parser.add_argument(
        "--wheel", type=Path, metavar="FILE", help="the package's wheel (default: made from the installed package)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there and differ")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(args: Namespace) -> int:
    """
    Write the files, and say how they get to MWAA.

    :return: 0, or 1 where there is no wheel or no place to write to.
    """
    from airflow_bda.mwaa.wheel import WheelError

    try:
        wheel = _wheel(args.wheel)
        built = build_files(wheel, args.airflow, args.web_server)
        plugins, requirements = args.output / "plugins.zip", args.output / "requirements.txt"
        _write({plugins: built.plugins, requirements: built.requirements.encode()}, overwrite=args.overwrite)
    except (WheelError, _OccupiedError) as error:
        sys.stderr.write(f"airflow-bda mwaa: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"airflow-bda mwaa: {error.filename} cannot be written: {error.strerror}\n")
        return 1
    sys.stderr.write(f"{wheel.name} for MWAA with Airflow {args.airflow}, {args.web_server} web server.\n")
    sys.stderr.write(_NEXT_STEPS.format(plugins=shlex.quote(str(plugins)), requirements=shlex.quote(str(requirements))))
    data = {"plugins": str(plugins), "requirements": str(requirements), "airflow": args.airflow, "wheel": wheel.name}
    sys.stdout.write(f"{json.dumps(data)}\n" if args.json else f"{plugins}\n{requirements}\n")
    return 0


def _release(text: str) -> str:
    try:
        check_release(text)
    except UnsupportedAirflowError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _wheel(file: Path | None) -> Wheel:
    from importlib.metadata import distribution

    from airflow_bda.mwaa.wheel import DISTRIBUTION, read_wheel, rebuild_wheel

    return rebuild_wheel(distribution(DISTRIBUTION)) if file is None else read_wheel(file)


def _write(files: dict[Path, bytes], *, overwrite: bool) -> None:
    """
    Write all files, or none.

    :raises _OccupiedError: if one is there with another content, and may not be replaced.
    """
    for file, content in files.items():
        if not overwrite and file.exists() and file.read_bytes() != content:
            raise _OccupiedError(
                f"{file} is there already, with another content; nothing was written. "
                "Use --overwrite, or another folder with -o"
            )
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
