"""A wheel of this package for the tests: with the real name and metadata, and two small files in it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

INFO = "airflow_provider_bda-1.2.3.dist-info"
FILES: dict[str, bytes] = {
    "airflow_bda/__init__.py": b'__version__ = "1.2.3"\n',
    "airflow_bda/service/data.json": b'{"a": 1}\n',
    f"{INFO}/METADATA": b"Metadata-Version: 2.4\nName: airflow-provider-bda\nVersion: 1.2.3\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": b"[console_scripts]\nairflow-bda = airflow_bda.cli:main\n",
    f"{INFO}/licenses/LICENSE": b"Apache\n",
}
# What an installer adds, with and without a digest in its record.
ADDED = {
    "../../../bin/airflow-bda": b"#!/bin/sh\n",
    "airflow_bda/__pycache__/__init__.cpython-312.pyc": b"\0",
    f"{INFO}/INSTALLER": b"pip\n",
    f"{INFO}/REQUESTED": b"",
    f"{INFO}/direct_url.json": b'{"url": "file:///home/somebody"}\n',
}


def record_line(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{path},sha256={digest},{len(content)}"


@pytest.fixture
def wheel_file(tmp_path) -> Path:
    """Make a wheel, the way a build does."""
    file = tmp_path / "airflow_provider_bda-1.2.3-py3-none-any.whl"
    lines = [record_line(path, content) for path, content in FILES.items()]
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in FILES.items():
            archive.writestr(path, content)
        archive.writestr(f"{INFO}/RECORD", "\n".join([*lines, f"{INFO}/RECORD,,\n"]))
    return file


@pytest.fixture
def site(tmp_path) -> Path:
    """Make a folder that the wheel is installed in."""
    folder = tmp_path / "lib" / "python3.12" / "site-packages"
    lines = []
    for path, content in {**FILES, **ADDED}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        lines.append(f"{path},," if path.endswith(".pyc") else record_line(path, content))
    (folder / INFO / "RECORD").write_text("\n".join([*lines, f"{INFO}/RECORD,,\n"]))
    return folder


@pytest.fixture
def installed(site) -> Distribution:
    """Find the wheel where it is installed."""
    return Distribution.at(site / INFO)
