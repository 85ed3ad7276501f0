"""Virtual environments of single tools, for what fits into no environment of ours."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from rows import CONSTRAINTS, ROOT

if TYPE_CHECKING:
    from pathlib import Path


def make(name: str) -> Path:
    """
    Make ``.venvs/<name>`` of what ``constraints/<name>.txt`` lists, unless it is there, made from the same list.

    :return: its folder of programs.
    """
    environment, pins = ROOT / ".venvs" / name, CONSTRAINTS / f"{name}.txt"
    made_from = environment / "made-from.txt"
    if not made_from.exists() or made_from.read_text() != pins.read_text():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
        python = str(environment / "bin" / "python")
        _uv("pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirements", str(pins))
        # Written last, so that what was interrupted is made again.
        made_from.write_text(pins.read_text())
    return environment / "bin"


def _uv(*arguments: str) -> None:
    subprocess.run([str(ROOT / "tools" / "uv"), *arguments], check=True)
