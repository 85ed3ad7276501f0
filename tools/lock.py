"""
Write the pins in constraints/ again. For maintainers; `make` only reads them.

    .venv/bin/python tools/lock.py                    after a change of the dependencies in pyproject.toml
    .venv/bin/python tools/lock.py --upgrade newest   for newer versions
    .venv/bin/python tools/lock.py --mwaa FOLDER      when MWAA's constraint files have changed

FOLDER holds MWAA's files as `<airflow version>.constraints.txt`. They are not ours to keep here; without them a row
keeps the pins that it has and only adds what is missing. Pins are held unless `--upgrade` is given. Every pin has the
hashes of all its files, and whatever installs from these lists requires them.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from rows import CONSTRAINTS, NEXT, PRE_RELEASES, PYTHON, ROOT, ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# moto is a test tool here and no part of what runs on MWAA: the emulator needs a newer one than MWAA pins.
OURS = frozenset({"moto", "py-partiql-parser"})
# What fits into no environment of ours, or is no part of one: it looks at the pins, at Airflow's UI, at the Lambda
# template, and lists what the package needs.
TOOLS = {
    "audit": "pip-audit>=2.9",
    "browser": "selenium>=4.30",
    "checkov": "checkov>=3.2",
    "sbom": "cyclonedx-bom>=7.0",
}


def main() -> None:
    """Resolve the rows that were asked for."""
    arguments = _arguments()
    if "build" in arguments.rows:
        _lock_build(upgrade=arguments.upgrade)
    for tool in sorted(TOOLS.keys() & set(arguments.rows)):
        _lock_tool(tool, upgrade=arguments.upgrade)
    if NEXT.name in arguments.rows:
        _lock_pinned(NEXT, PRE_RELEASES, upgrade=arguments.upgrade)
    for row in ROWS:
        if row.name not in arguments.rows:
            continue
        if row.name == "newest":
            _lock_newest(row, upgrade=arguments.upgrade)
        else:
            _lock_mwaa(row, arguments.mwaa, upgrade=arguments.upgrade)


def _arguments() -> argparse.Namespace:
    names = ["build", *TOOLS, *(row.name for row in (*ROWS, NEXT))]
    parser = argparse.ArgumentParser(description="Write the pins in constraints/ again.")
    parser.add_argument("rows", nargs="*", default=names, metavar="ROW", help=f"which: {', '.join(names)} (all)")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    parser.add_argument("--mwaa", type=Path, metavar="FOLDER", help="MWAA's constraint files")
    return parser.parse_args()


def _lock_build(*, upgrade: bool) -> None:
    """Pin what builds the package: the build backend and uv."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("hatchling>=1.27\nuv\n")
        wanted.flush()
        _compile(CONSTRAINTS / "build.txt", wanted.name, "--universal", "--python-version=3.10", upgrade=upgrade)


def _lock_tool(name: str, *, upgrade: bool) -> None:
    """Pin a tool that has a virtual environment of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write(f"{TOOLS[name]}\n")
        wanted.flush()
        _compile(CONSTRAINTS / f"{name}.txt", wanted.name, "--universal", "--python-version=3.10", upgrade=upgrade)


def _lock_newest(row: Row, *, upgrade: bool) -> None:
    """Pin what `make setup` installs, for every Python and platform that the package supports."""
    _compile(
        row.file,
        *("pyproject.toml", "--extra=local", "--extra=ocr", "--group=dev", "--universal", "--python-version=3.10"),
        upgrade=upgrade,
    )


def _lock_mwaa(row: Row, folder: Path | None, *, upgrade: bool) -> None:
    """Pin what a test on MWAA's versions installs."""
    others = _mwaa_lines(folder / f"{row.name}.constraints.txt", besides=row.wanted) if folder else []
    _lock_pinned(row, row.wanted, others, upgrade=upgrade)


def _lock_pinned(row: Row, versions: Mapping[str, str], others: Iterable[str] = (), *, upgrade: bool) -> None:
    """Pin what a test of a row installs, where the versions of some distributions are given."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as given:
        given.writelines(f"{name}=={version}\n" for name, version in versions.items())
        given.writelines(others)
        given.flush()
        _compile(
            row.file,
            *("pyproject.toml", "--extra=local", "--extra=ocr", "--group=test", f"--python-version={PYTHON}"),
            f"--constraints={given.name}",
            upgrade=upgrade,
        )


def _mwaa_lines(file: Path, *, besides: dict[str, str]) -> list[str]:
    """Read MWAA's pins, without the row's own and without what is a tool of ours."""
    kept = []
    for line in file.read_text().splitlines():
        try:
            name = Requirement(line.partition("#")[0].strip()).name
        except InvalidRequirement:  # comments and options
            continue
        if name not in OURS and name not in besides:
            kept.append(f"{line}\n")
    return kept


def _compile(output: Path, *arguments: str, upgrade: bool) -> None:
    print(f"lock: {output.relative_to(ROOT)}")
    subprocess.run(
        [
            *(str(ROOT / "tools" / "uv"), "pip", "compile", "--quiet"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--generate-hashes"),
            *(f"--output-file={output}", *arguments),
            *(["--upgrade"] if upgrade else []),
        ],
        check=True,
        cwd=ROOT,
    )


if __name__ == "__main__":
    main()
