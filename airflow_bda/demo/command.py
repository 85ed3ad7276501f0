"""The command ``airflow-bda demo``: documents through the example DAG, without an AWS account."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_USAGE_ERROR = 2
# Those that the extra "local" brings and Airflow does not.
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
    from airflow_bda.demo.inputs import InputProblemsError, demo_files
    from airflow_bda.demo.workplace import Workplace, WorkplaceError

    try:
        files = demo_files(args.files)
    except InputProblemsError as error:
        for problem in error.problems:
            _say(problem)
        return _USAGE_ERROR
    workplace = Workplace(args.state.absolute())
    with ExitStack() as stack:
        try:
            # The emulator itself is imported later, while Airflow loads.
            _import_libraries()
            from airflow_bda.demo.session import run_demo

            stack.enter_context(workplace.occupied())
            return run_demo(files, workplace)
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
