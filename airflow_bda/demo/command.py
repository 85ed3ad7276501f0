"""The command ``airflow-bda demo``: documents through the example DAG, without an AWS account."""

from __future__ import annotations

import re
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Sequence

_USAGE_ERROR = 2
# Those that the extra "local" installs and Airflow does not.
_LIBRARIES = ("moto", "pdfplumber", "pypdfium2", "docx", "rapidfuzz", "PIL", "av")
_LIBRARIES_MISSING = "{error}. The demo needs more libraries: pip install 'airflow-provider-bda[local,ocr]'"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the demo's arguments to its parser."""
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="documents, images, audio or video to run (default: the samples that come with the package)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".demo"),
        metavar="DIR",
        help="folder for Airflow's database, the log and the results (default: %(default)s)",
    )


def run(args: Namespace) -> int:
    """
    Run the demo.

    :return: the exit status: 0, 1 when a document failed, 2 for files that cannot be read.
    """
    from airflow_bda.demo.airflow_process import AirflowProcess, Workplace, WorkplaceError

    try:
        files = demo_files(args.files)
    except InputProblemsError as error:
        for problem in error.problems:
            _say(problem)
        return _USAGE_ERROR
    workplace = Workplace(args.state.absolute())
    with ExitStack() as stack:
        try:
            _import_libraries()
            stack.enter_context(workplace.occupied())
            airflow = stack.enter_context(AirflowProcess(workplace))
            # Importing the emulator takes a second or two, in which Airflow's process loads.
            from airflow_bda.demo.demo_run import run_demo

            return run_demo(files, workplace, airflow)
        except WorkplaceError as error:
            _say(str(error))
        except ModuleNotFoundError as error:
            _say(_LIBRARIES_MISSING.format(error=error))
    return 1


def _import_libraries() -> None:
    """
    Check for the libraries of the extra ``local``, before anything is started.

    :raises ModuleNotFoundError: names one that is missing.
    """
    for name in _LIBRARIES:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}")


def _say(text: str) -> None:
    sys.stderr.write(f"airflow-bda demo: {text}\n")


SAMPLES = Path(__file__).parents[1] / "emulator" / "samples"
# What the pattern of BDA's S3 URIs excludes: control characters, { } ^ % \ ` " < > [ ] ~ # |, and the slash that would
# make folders.
_NOT_IN_KEYS = re.compile(r"[\x00-\x1f\x7f{}^%\\`\"<>\[\]~#|/]")


class InputProblemsError(Exception):
    """
    Files that cannot be run.

    :param problems: all of them, each a sentence.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class DemoFile:
    """
    One document.

    :param key: its key in S3 and the name of its results' folder; no other document of the run has the same.
    :param name: what to call it: its file name, or its path where another file has that name.
    """

    path: Path
    key: str
    name: str


def demo_files(paths: Sequence[Path]) -> tuple[DemoFile, ...]:
    """
    Check files and choose the key of each.

    :param paths: empty for the samples that come with the package.
    :raises InputProblemsError: with every problem found.
    """
    chosen = paths or sorted(path for path in SAMPLES.iterdir() if not path.name.startswith((".", "_")))
    if problems := [problem for path in chosen if (problem := _problem(path))]:
        raise InputProblemsError(problems)
    names = Counter(path.name for path in chosen)
    return tuple(
        DemoFile(path, key, _printable(path.name if names[path.name] == 1 else str(path)))
        for path, key in zip(chosen, _keys(chosen), strict=True)
    )


def _problem(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except IsADirectoryError:
        return f"{path} is a folder; name the files in it"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    return None


def _keys(paths: Iterable[Path]) -> list[str]:
    keys: list[str] = []
    # The folders of results may be on a file system that ignores case.
    taken: set[str] = set()
    for path in paths:
        plain = Path(_NOT_IN_KEYS.sub("_", _printable(path.name)))
        key, number = plain.name, 1
        while key.casefold() in taken:
            number += 1
            key = f"{plain.stem}-{number}{plain.suffix}"
        taken.add(key.casefold())
        keys.append(key)
    return keys


def _printable(name: str) -> str:
    """Replace bytes that are not text, which Python keeps in file names as surrogates."""
    return name.encode(errors="replace").decode()
