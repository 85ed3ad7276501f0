"""
Test the built wheel on each supported Airflow. `make test-matrix` runs this, after `make dist`.

    .venv/bin/python tools/matrix.py [ROW ...]

Each row gets a virtual environment of its own with exactly the row's pins and the wheel, never the source tree; then
the database, the provider, the example DAGs, the files for MWAA where the row is one of its versions, and the tests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mwaa
from packaging.utils import canonicalize_name
from packaging.version import Version
from rows import NEXT, PYTHON, ROOT, ROWS, Row, pins

ENVIRONMENTS = ROOT / ".venvs"
PACKAGE = "airflow-provider-bda"
DAGS = ROOT / "dags"
# Examples that have no DAG before this version of Airflow, as their first lines say.
NEEDS_AIRFLOW = {"bda_human_review.py": Version("3.1")}
# As `make test` has them.
PYTEST_OPTIONS = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder", "--quiet")

# On the newest row's versions alone, from the source tree: the storms of tests/chaos take minutes, and in the others
# there is neither Airflow nor botocore, whose versions are what a row is about.
LEFT_OUT = tuple(f"--ignore=tests/{folder}" for folder in ("chaos", "emulator/documents", "report", "simulation"))

# `make test` and `make test-airflow` run all tests on the newest row's versions, from the source tree. In its row they
# are those that a wheel can fail: entry points, files beside the modules, the commands, the examples, the zips that are
# made of it.
OF_THE_WHEEL = (
    "tests/test_package.py",
    "tests/test_cli.py",
    "tests/aws_lambda",
    "tests/dags",
    "tests/demo",
    "tests/emulator/documents/test_processing_samples.py",
    "tests/mwaa",
    "tests/report",
)

INSTALLED = """
import importlib.metadata as metadata, json
print(json.dumps({found.name: found.version for found in metadata.distributions()}))
"""


class RowError(Exception):
    """A row does not hold."""


@dataclass(frozen=True)
class Environment:
    """A row's virtual environment, and the variables that its commands run with."""

    row: Row
    home: Path

    @property
    def folder(self) -> Path:
        """Where the virtual environment is."""
        return ENVIRONMENTS / self.row.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables: an Airflow of its own, and no way to import the source tree."""
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            # The tests refuse to start when the package that they import is not the installed one.
            "AIRFLOW_BDA_TEST_INSTALLED": "1",
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONSAFEPATH": "1",
            "VIRTUAL_ENV": str(self.folder),
        }

    def output(self, *command: str) -> str:
        """
        Run one of the environment's programs and return what it prints.

        :raises RowError: if it fails, with what it said.
        """
        program, *arguments = command
        ended = subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            env=self.variables,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            said = f"{ended.stdout}\n{ended.stderr}".strip()
            raise RowError(f"`{' '.join(command)}` ended with status {ended.returncode}:\n{said}")
        return ended.stdout

    def airflow(self, *arguments: str) -> Any:
        """Run an Airflow command that lists something, and return the list; its log lines come before it."""
        output = self.output("airflow", *arguments, "--output", "json")
        return json.loads(output.strip().splitlines()[-1])


def main() -> int:
    """Run the rows and count."""
    rows = _select()
    (wheel,) = (ROOT / "dist").glob("*.whl")
    results = {row.name: _passes(row, wheel) for row in rows}
    passed = sum(results.values())
    print()
    for name, good in results.items():
        print(f"matrix: {name:8} {'passed' if good else 'FAILED'}")
    print(f"matrix: {len(rows)} rows, {passed} passed, {len(rows) - passed} failed")
    return 0 if passed == len(rows) else 1


def _select() -> list[Row]:
    known = {row.name: row for row in (*ROWS, NEXT)}
    parser = argparse.ArgumentParser(description="Test the built wheel on each supported Airflow.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which: {', '.join(known)} (all but {NEXT.name})")
    names = parser.parse_args().rows
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such row: {', '.join(unknown)}. There are: {', '.join(known)}")
    return [known[name] for name in names] or list(ROWS)


def _passes(row: Row, wheel: Path) -> bool:
    """Run one row to its end, whatever happens, and tell how it went."""
    print(f"\nmatrix: row {row.name}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"airflow-bda-{row.name}-") as home:
        try:
            _run(Environment(row, Path(home)), wheel)
        except (RowError, mwaa.InstallError, subprocess.CalledProcessError) as error:
            print(f"matrix: row {row.name}: {error}", flush=True)
            return False
    print(f"matrix: row {row.name} took {time.monotonic() - started:.0f} s", flush=True)
    return True


def _run(environment: Environment, wheel: Path) -> None:
    _install(environment, wheel)
    _check_versions(environment)
    environment.output("airflow", "db", "migrate")
    _check_provider(environment)
    _check_dags(environment)
    _check_mwaa_files(environment)
    _test(environment)


def _install(environment: Environment, wheel: Path) -> None:
    """Make the environment, or only put the wheel in where everything else is there already."""
    stamp = environment.folder / ".made-from"
    made_from = _fingerprint(environment.row)
    if stamp.exists() and stamp.read_text() == made_from and _runs(environment.python):
        _uv("pip", "install", f"--python={environment.python}", "--no-deps", "--reinstall", str(wheel))
        return
    python = subprocess.run(
        [str(ROOT / "tools" / "find_python"), PYTHON], stdout=subprocess.PIPE, text=True, check=True
    )
    shutil.rmtree(environment.folder, ignore_errors=True)
    _uv("venv", f"--python={python.stdout.strip()}", str(environment.folder))
    _uv(
        *("pip", "install", f"--python={environment.python}"),
        *("--require-hashes", f"--requirements={environment.row.file}"),
    )
    _uv("pip", "install", f"--python={environment.python}", "--no-deps", str(wheel))
    # The wheel's own word about what it needs, which the list of pins must not stand in for.
    _uv("pip", "check", f"--python={environment.python}")
    stamp.write_text(made_from)


def _fingerprint(row: Row) -> str:
    made_from = (ROOT / "pyproject.toml").read_bytes() + row.file.read_bytes()
    return hashlib.sha256(made_from).hexdigest()


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", ""], check=False).returncode == 0
    except OSError:
        return False


def _uv(*arguments: str) -> None:
    command, *rest = arguments
    subprocess.run([str(ROOT / "tools" / "uv"), command, *rest, "--quiet"], check=True, cwd=ROOT)


def _check_versions(environment: Environment) -> None:
    """Compare what is installed with the row: the versions that make it, and the pins of all the rest."""
    found = json.loads(environment.output("python", "-I", "-c", INSTALLED))
    installed = {canonicalize_name(name): version for name, version in found.items()}
    pinned = {**pins(environment.row.file), **environment.row.versions()}
    wrong = [
        f"{name} is {installed.get(name, 'missing')}, not {version}"
        for name, version in pinned.items()
        if installed.get(name) != version and (name in installed or name in environment.row.versions())
    ]
    wrong += [
        f"{name} {installed[name]} is not pinned" for name in sorted(installed.keys() - pinned.keys() - {PACKAGE})
    ]
    if wrong:
        raise RowError(f"{environment.row.file.name} and the environment differ: {'; '.join(wrong)}")
    print(f"matrix: {', '.join(f'{name} {installed[name]}' for name in environment.row.versions())}", flush=True)


def _check_provider(environment: Environment) -> None:
    listed = {provider["package_name"] for provider in environment.airflow("providers", "list")}
    if PACKAGE not in listed:
        raise RowError(f"`airflow providers list` does not name {PACKAGE}")


def _check_dags(environment: Environment) -> None:
    """Let Airflow read the example DAGs. From version 3 on it reads its database unless it is told to parse."""
    version = Version(environment.row.versions()["apache-airflow"])
    parse = ["--local"] if version >= Version("3") else []
    if errors := environment.airflow("dags", "list-import-errors", *parse):
        raise RowError(f"the example DAGs cannot be imported: {errors}")
    read = {Path(dag["fileloc"]).name for dag in environment.airflow("dags", "list", *parse)}
    expected = {file.name for file in DAGS.glob("*.py") if version >= NEEDS_AIRFLOW.get(file.name, version)}
    if missed := expected - read:
        raise RowError(f"Airflow finds no DAG in {', '.join(sorted(missed))}")


def _check_mwaa_files(environment: Environment) -> None:
    """Let the installed package make its own files for MWAA, as a user without a checkout does, and install them."""
    if environment.row.wanted:
        mwaa.check(environment.row, (str(environment.folder / "bin" / "airflow-bda"), "mwaa"))


def _test(environment: Environment) -> None:
    ended = subprocess.run(
        [
            str(environment.python),
            "-m",
            "pytest",
            *PYTEST_OPTIONS,
            *(OF_THE_WHEEL if environment.row.name == "newest" else LEFT_OUT),
        ],
        env=environment.variables,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        raise RowError(f"the tests ended with status {ended.returncode}")


if __name__ == "__main__":
    sys.exit(main())
