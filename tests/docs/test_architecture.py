"""The architecture page names files and rooms that are there, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import airflow_bda

PACKAGE = Path(airflow_bda.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "about" / "architecture.md"


def named() -> set[str]:
    return set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py))`", PAGE.read_text()))


def test_what_the_page_names_exists():
    """A bare file name, such as `rules.py`, is one of the folder that the sentence names before it."""
    paths = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*")}
    names = {path.rpartition("/")[2] for path in paths}

    missing = [name for name in named() if name.rstrip("/") not in paths and name.rstrip("/") not in names]

    assert [name for name in missing if not (PAGE.parents[2] / name).exists()] == []


def test_every_room_is_named():
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}

    assert {f"{room}/" for room in rooms} - named() - {"emulator/", "example_dags/"} == set()
