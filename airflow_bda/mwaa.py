"""
The command ``airflow-bda mwaa``: the two files that put this package on Amazon MWAA.

MWAA unpacks plugins.zip and then runs ``pip install -r requirements.txt``. Its images have everything that this package
needs, so its wheel is all that is added. The wheel is one that is given, or the installed package put back into one: an
installed package has all that its wheel had, with the digest of each file, so nothing needs to be downloaded, and the
environment gets the very version that runs here.

https://docs.aws.amazon.com/mwaa/latest/userguide/best-practices-dependencies.html
https://docs.aws.amazon.com/mwaa/latest/userguide/connections-packages.html
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import shlex
import sys
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from importlib.metadata import Distribution

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
    Write the files, and print how to upload them to MWAA.

    :return: 0, or 1 where there is no wheel or no place to write to.
    """
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


# Where MWAA unpacks plugins.zip.
PLUGINS_FOLDER = "/usr/local/airflow/plugins"

CONSTRAINTS = "bda-constraints.txt"

# Nothing but what is in plugins.zip can be installed, so what the image has stays as it is. The constraint is there to
# refuse an environment of another Airflow. It names nothing else: MWAA renews its images, and where a pin no longer
# fits there would be no index to satisfy it from, and the package would be missing after a restart.
_PRIVATE = """\
# {distribution} {version} for Amazon MWAA with Airflow {airflow}. No package index is asked.
--constraint {folder}/{constraints}
--find-links {folder}
--no-index
{distribution}=={version}
"""

# MWAA looks for a constraints option in every line, comments included, and applies its own list, which fits its image,
# where there is none. So these lines must not have one. By its path, the wheel cannot be mistaken for anything that an
# index has.
_PUBLIC = """\
# {distribution} {version} for Amazon MWAA with Airflow {airflow}. Add what else your DAGs need below.
# MWAA applies its own list of versions to all of it.
apache-airflow=={airflow}
{folder}/{wheel}
"""

# By how the environment's web server is reached. The private form works behind a public one too.
_REQUIREMENTS = {"private": _PRIVATE, "public": _PUBLIC}
WEB_SERVERS = tuple(_REQUIREMENTS)


@dataclass(frozen=True)
class MwaaFiles:
    """
    What is uploaded.

    :param plugins: the bytes of plugins.zip.
    :param requirements: the text of requirements.txt.
    """

    plugins: bytes
    requirements: str


def build_files(wheel: Wheel, airflow: str, web_server: str) -> MwaaFiles:
    """
    Make the files of an environment.

    :param wheel: this package's.
    :param airflow: the environment's Airflow, one of :data:`SUPPORTED`.
    :param web_server: one of :data:`WEB_SERVERS`.
    :raises UnsupportedAirflowError: for another Airflow.
    """
    check_release(airflow)
    requirements = _REQUIREMENTS[web_server].format(
        airflow=airflow,
        constraints=CONSTRAINTS,
        distribution=DISTRIBUTION,
        folder=PLUGINS_FOLDER,
        version=wheel.version,
        wheel=wheel.name,
    )
    constraints = f"apache-airflow=={airflow}\n".encode()
    return MwaaFiles(build_zip({wheel.name: wheel.content, CONSTRAINTS: constraints}), requirements)


# Each with the versions that its image has: https://github.com/aws/amazon-mwaa-docker-images
SUPPORTED = ("2.11.2", "3.0.6", "3.2.1", "3.3.1")

_UNFIT = {
    "2.11.0": (
        "its boto3 1.37.3 has only the preview of BDA's API and this package needs 1.37.4; "
        "update the environment to 2.11.2"
    )
}


class UnsupportedAirflowError(ValueError):
    """An Airflow version of MWAA that this package has no files for."""


def check_release(airflow: str) -> None:
    """
    Check that there can be files for a version of Airflow.

    :param airflow: as MWAA writes it, such as 3.0.6.
    :raises UnsupportedAirflowError: if not; says why and what there is.
    """
    if airflow in _UNFIT:
        raise UnsupportedAirflowError(f"Airflow {airflow} on MWAA does not work: {_UNFIT[airflow]}")
    if airflow not in SUPPORTED:
        raise UnsupportedAirflowError(f"Airflow {airflow} on MWAA is not tested; known: {', '.join(SUPPORTED)}")


DISTRIBUTION = "airflow-provider-bda"

_FILE_NAME = "airflow_provider_bda-{version}-py3-none-any.whl"
_PACKAGE = "airflow_bda"
# Of the metadata, what comes from the wheel; installers add notes of their own.
_METADATA = frozenset({"METADATA", "WHEEL", "entry_points.txt"})
_LICENSES = "licenses"


class WheelError(Exception):
    """No wheel can be read or rebuilt; the text says why and what to do."""


@dataclass(frozen=True)
class Wheel:
    """
    A wheel of this package.

    :param name: the file's, which tells installers what it is.
    :param version: the package's.
    :param content: the file's bytes.
    """

    name: str
    version: str
    content: bytes


def read_wheel(file: Path) -> Wheel:
    """
    Read a wheel file.

    :raises WheelError: if it is not a wheel, or not of this package.
    """
    try:
        content = file.read_bytes()
        name, version = _identity(file)
    except OSError as error:
        raise WheelError(f"{file} cannot be read: {error.strerror}") from error
    except zipfile.BadZipFile:
        raise WheelError(f"{file} is not a wheel") from None
    if name != DISTRIBUTION:
        raise WheelError(f"{file} is not a wheel of {DISTRIBUTION}, but of {name}")
    wanted = _FILE_NAME.format(version=version)
    if file.name != wanted:
        raise WheelError(f"{file} must be named {wanted}: installers go by a wheel's name")
    return Wheel(wanted, version, content)


def _identity(file: Path) -> tuple[str, str]:
    """Return the distribution's name and version from a wheel's metadata."""
    with zipfile.ZipFile(file) as archive:
        for path in archive.namelist():
            if path.endswith(".dist-info/METADATA"):
                metadata = BytesParser().parsebytes(archive.read(path), headersonly=True)
                return str(metadata["Name"]), str(metadata["Version"])
    return "nothing that it names", ""


def rebuild_wheel(installed: Distribution) -> Wheel:
    """
    Put an installed package back into a wheel.

    :param installed: the package, as ``importlib.metadata`` finds it.
    :raises WheelError: if it is installed from a checkout, or is not what was installed.
    """
    # From the record itself: Distribution.files leaves out what is missing, from Python 3.12 on.
    rows = csv.reader((installed.read_text("RECORD") or "").splitlines())
    digests = {path: digest for path, digest, _ in rows if _is_of_the_wheel(path)}
    if f"{_PACKAGE}/__init__.py" not in digests:
        raise WheelError(
            f"{DISTRIBUTION} runs from a checkout here, so there is nothing to make its wheel from; "
            "use `make mwaa` in the checkout, or `make dist` and --wheel"
        )
    files = {path: _content(Path(str(installed.locate_file(path))), digest) for path, digest in digests.items()}
    info = next(path.rpartition("/")[0] for path in files if path.endswith(".dist-info/METADATA"))
    # https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    lines = [f"{path},{_digest(content)},{len(content)}\n" for path, content in sorted(files.items())]
    files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    return Wheel(_FILE_NAME.format(version=installed.version), installed.version, build_zip(files))


def _is_of_the_wheel(path: str) -> bool:
    """Whether a file came with the wheel, and was not compiled or added by the installer."""
    top, *inner = path.split("/")
    if top.endswith(".dist-info"):
        return inner[0] == _LICENSES or inner[-1] in _METADATA
    return top == _PACKAGE and "__pycache__" not in inner


def _content(file: Path, digest: str) -> bytes:
    """
    Read an installed file.

    :param digest: what it was when it was installed.
    :raises WheelError: if it is not that any more.
    """
    content = file.read_bytes() if file.is_file() else b""
    if _digest(content) != digest:
        raise WheelError(f"{file} is not what was installed: install {DISTRIBUTION} again, or use --wheel")
    return content


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
