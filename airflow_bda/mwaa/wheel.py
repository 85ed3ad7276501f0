"""
The wheel of this package: one that is given, or the installed package put back into one.

An installed package has all that its wheel had, with the digest of each file; so whoever installed it needs no download
to pass it on, and gets the very version that runs here.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip

if TYPE_CHECKING:
    from importlib.metadata import Distribution

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

    :raises WheelError: if it is none, or not of this package.
    """
    try:
        content = file.read_bytes()
        name, version = _identity(file)
    except OSError as error:
        raise WheelError(f"{file} cannot be read: {error.strerror}") from error
    except zipfile.BadZipFile:
        raise WheelError(f"{file} is no wheel") from None
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
