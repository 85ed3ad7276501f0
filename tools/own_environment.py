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
    Make ``.venvs/<name>`` at the pins of ``constraints/<name>.txt``, unless it is there, made from the same pins.

    :return: its folder of programs.
    """
    environment, pins = ROOT / ".venvs" / name, CONSTRAINTS / f"{name}.txt"
    made_from = environment / "made-from.txt"
    if not made_from.exists() or made_from.read_text() != pins.read_text():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
        _uv("pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), "--requirements", str(pins))
        # Written last, so that what was interrupted is made anew.
        made_from.write_text(pins.read_text())
    return environment / "bin"


def _uv(*arguments: str) -> None:
    subprocess.run([str(ROOT / "tools" / "uv"), *arguments], check=True)
