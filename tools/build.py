"""
Build the wheel and the sdist into dist/, and check that they are what users need. `make dist` runs this.

Beside them it writes a bill of materials, of what the package needs at run time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import sbom
from packaging.metadata import Metadata
from packaging.utils import parse_wheel_filename
from rows import CONSTRAINTS, ROOT

DIST = ROOT / "dist"
SCRIPTS = {"apache_airflow_provider", "console_scripts", "pytest11"}


class CheckError(Exception):
    """What was built is not fit for users."""


def main() -> int:
    """Build, check, and say what came out."""
    shutil.rmtree(DIST, ignore_errors=True)
    _build(DIST)
    (wheel,) = DIST.glob("*.whl")
    (sdist,) = DIST.glob("*.tar.gz")
    try:
        check_wheel(wheel)
        _check_reproducible(wheel, sdist)
    except CheckError as error:
        print(f"dist: {wheel.name}: {error}", file=sys.stderr)
        return 1
    bill = DIST / f"{wheel.name.partition('-py3')[0]}.cdx.json"
    listed = sbom.write(bill, _metadata(wheel))
    print(f"dist: {bill.relative_to(ROOT)}, a bill of materials of {listed} packages")
    for file in (wheel, sdist):
        print(f"dist: {file.relative_to(ROOT)} ({file.stat().st_size // 1024} KiB)")
    return 0


def check_wheel(wheel: Path) -> None:
    """
    Check a wheel's files and metadata.

    :raises CheckError: if something is missing, or there that should not be.
    """
    if {str(tag) for tag in parse_wheel_filename(wheel.name)[3]} != {"py3-none-any"}:
        raise CheckError("is not for every Python 3 and platform")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.partition("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(f"{info}/METADATA")
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    packaged = {name for name in names if not name.startswith(f"{info}/")}
    if missing := _expected() - packaged:
        raise CheckError(f"lacks {', '.join(sorted(missing))}")
    if extra := packaged - _expected():
        raise CheckError(f"holds {', '.join(sorted(extra))}, which is no part of the package")
    # Raises an ExceptionGroup that lists every wrong field.
    Metadata.from_email(metadata, validate=True)
    declared = ConfigParser(delimiters=("=",))
    declared.read_string(entry_points)
    if not set(declared.sections()) >= SCRIPTS:
        raise CheckError(f"lacks entry points: {', '.join(sorted(SCRIPTS - set(declared.sections())))}")


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


def _expected() -> set[str]:
    """List what a wheel must hold: the files of the package, and the example DAGs inside it."""
    package = ROOT / "airflow_bda"
    files = {f"airflow_bda/{name}" for name in _files(package)}
    files |= {f"airflow_bda/example_dags/{name}" for name in _files(ROOT / "dags")}
    return files | {"airflow_bda/py.typed"}


def _files(folder: Path) -> set[str]:
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def _build(folder: Path) -> None:
    """Build into a folder: the sdist, and the wheel from that sdist, so that the sdist is known to be whole."""
    subprocess.run(
        [
            *(str(ROOT / "tools" / "uv"), "build", "--quiet", f"--out-dir={folder}", f"--python={sys.executable}"),
            f"--build-constraints={CONSTRAINTS / 'build.txt'}",
        ],
        check=True,
        cwd=ROOT,
        env={"SOURCE_DATE_EPOCH": _last_change(), **os.environ},
    )


def _last_change() -> str:
    """Return when the last commit was made, in seconds, as the time of all files; a fixed time outside of git."""
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return shown.stdout.strip() or "1577836800"


def _check_reproducible(*built: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _build(Path(folder))
        for file in built:
            if _digest(file) != _digest(Path(folder) / file.name):
                raise CheckError(f"{file.name} comes out differently when it is built again")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
