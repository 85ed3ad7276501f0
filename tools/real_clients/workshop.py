"""The workshop's notebooks on documents: their code cells in order, without those that fetch or delete documents."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from types import ModuleType

from checks import INPUT_KEY, check

# What draws, and what reads files for drawing; none of it says anything about BDA.
_STAND_INS = ("IPython", "IPython.display", "PIL", "PyPDF2", "ipywidgets", "itables", "markdown", "pandas", "pdf2image")
# A document of the emulator's own takes the place of the one from the net; nothing is deleted.
_LEFT_OUT = ("document_url", "upload_file", "os.remove(")


class Anything:
    """Takes every call, member and index, and is empty."""

    def __getattr__(self, name):
        """Have it, but for what Python itself asks an object for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *_arguments, **_more):
        """Do nothing."""
        return Anything()

    def __getitem__(self, _key):
        return Anything()

    def __setitem__(self, _key, _value):
        """Keep nothing."""

    def __iter__(self):
        return iter(())

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        """Let errors pass."""


class StandIn(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name):
        """Have it, but for what Python itself asks a module for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Session:
    """SageMaker's, as far as the notebooks ask for it."""

    def default_bucket(self):
        """Name a bucket that is there."""
        return "bda-output"


def main(root):
    """Run the notebooks, in a copy of their folder."""
    shutil.copytree(root / "data-automation-bda" / "workshops" / "01-document", "notebooks")
    os.chdir("notebooks")
    sys.path.insert(0, str(Path.cwd()))
    for name in _STAND_INS:
        sys.modules[name] = StandIn(name)
    sagemaker = StandIn("sagemaker")
    sagemaker.Session = Session
    sys.modules["sagemaker"] = sagemaker
    pause = time.sleep
    # They wait for half a minute between two polls.
    time.sleep = lambda seconds: pause(min(seconds, 2))
    for notebook in sorted(Path().glob("*.ipynb")):
        run(notebook)


def run(notebook):
    """Run the cells of a notebook; one that fails ends it, since the others need what it made."""
    names = {
        "document_s3_uri": "s3://bda-input/pages.pdf",
        "local_file_name": INPUT_KEY,
        "local_download_path": ".",
        "local_file_path": INPUT_KEY,
        "get_ipython": Anything(),
    }
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells):
        # Lines that only a notebook understands install packages or change its looks.
        lines = [line for line in "".join(cell["source"]).splitlines() if not line.lstrip().startswith(("%", "!"))]
        source = "\n".join(lines)
        if cell["cell_type"] != "code" or not source.strip() or any(word in source for word in _LEFT_OUT):
            continue
        if not check(f"{notebook.stem[:40]}: cell {number}", execute, source, names):
            return


def execute(source, names):
    """Run one cell."""
    exec(source, names)  # noqa: S102  running the client's own code is what this is for
    return True


main(Path(sys.argv[1]))
