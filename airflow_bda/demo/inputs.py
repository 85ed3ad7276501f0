"""The files that the demo runs, and the keys that they get in S3."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    Check files and give each its key.

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
    # Folders of results may lie on a file system that does not tell A from a.
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
    """Replace the bytes that are no text, which Python keeps in file names as halves of characters."""
    return name.encode(errors="replace").decode()
