"""
The wheel of this package: one that is given, or the installed package put back into one.

An installed package has all that its wheel had, with the digest of each file; so whoever installed it needs no download
to pass it on, and gets the very version that runs here.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from email.parser import BytesParser
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import Distribution, PackagePath
    from pathlib import Path

DISTRIBUTION = "airflow-provider-bda"

_FILE_NAME = "airflow_provider_bda-{version}-py3-none-any.whl"
_PACKAGE = "airflow_bda"
# Of the metadata, what comes from the wheel; installers add notes of their own.
_METADATA = frozenset({"METADATA", "WHEEL", "entry_points.txt"})
_LICENSES = "licenses"


class WheelError(Exception):
    """There is no wheel to be had; says why and what to do."""


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
    """Give what a wheel says of itself: the distribution's name and version."""
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
    paths = {str(path): path for path in installed.files or () if _is_of_the_wheel(path)}
    if f"{_PACKAGE}/__init__.py" not in paths:
        raise WheelError(
            f"{DISTRIBUTION} runs from a checkout here, so there is nothing to make its wheel from; "
            "use `make mwaa` in the checkout, or `make dist` and --wheel"
        )
    files = {name: _content(path) for name, path in paths.items()}
    info = next(name.rpartition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    return Wheel(_FILE_NAME.format(version=installed.version), installed.version, build_zip(files))


def _is_of_the_wheel(path: PackagePath) -> bool:
    """Tell what came with the wheel from what was compiled, and from scripts and notes of the installer."""
    top, *inner = path.parts
    if top.endswith(".dist-info"):
        return inner[0] == _LICENSES or path.name in _METADATA
    return top == _PACKAGE and "__pycache__" not in inner


def _content(path: PackagePath) -> bytes:
    """
    Read an installed file.

    :raises WheelError: if it is not what was installed.
    """
    try:
        content = path.read_binary()
    except OSError:
        content = b""
    if path.hash is None or path.hash.value != _digest(content):
        raise WheelError(f"{path.locate()} is not what was installed: install {DISTRIBUTION} again, or use --wheel")
    return content


def _record(files: Mapping[str, bytes], own_path: str) -> bytes:
    """https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file."""
    lines = [f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in sorted(files.items())]
    return "".join([*lines, f"{own_path},,\n"]).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
