r"""
The service model's regular expressions, matched with Python's own ``re``.

The model's patterns are Smithy's (https://smithy.io/2.0/spec/constraint-traits.html#pattern-trait) and differ from
Python's in one thing that BDA uses: Unicode categories, ``\p{L}``. A library that reads them would have to be compiled
into the Lambda zip, so they are spelled out here. Which of a category's hundred thousand characters matter depends on
the value alone, so a category becomes those characters of the value that belong to it.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cache

# An escaped character is read as one piece, so that "\\p{L}" (a backslash, then "p{L}") is left alone.
_PIECE = re.compile(r"\\(?P<kind>[pP])\{(?P<category>[A-Za-z]+)\}|\\.|\[|\]|.", re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """
    Tell whether the whole of *value* matches *pattern*.

    A pattern that Python cannot read hides nothing from the service, which checks again: it matches everything.

    :param pattern: as the service model has it; the service anchors it at both ends.
    """
    try:
        # ASCII, because \w, \d and \s mean no more than that to the service.
        compiled = re.compile(_spell_out(pattern, value), re.ASCII)
    except re.error:
        return True
    return compiled.fullmatch(value) is not None


def _spell_out(pattern: str, value: str) -> str:
    """Replace each Unicode category in *pattern* by those characters of *value* that belong to it."""
    return "".join(piece if isinstance(piece, str) else piece.characters_of(value) for piece in _take_apart(pattern))


@dataclass(frozen=True)
class _Category:
    """
    A Unicode category in a pattern.

    :param name: as ``unicodedata`` has it, or its first letter.
    :param inverted: whether what is *not* in it is meant.
    :param in_class: whether it stands between square brackets.
    """

    name: str
    inverted: bool
    in_class: bool

    def characters_of(self, value: str) -> str:
        """Give a class of the characters of *value* that match, or what stands in one."""
        characters = {
            character
            for character in value
            if unicodedata.category(character).startswith(self.name) is not self.inverted
        }
        # An empty class is a syntax error to Python: a character that the value does not hold takes its place.
        body = re.escape("".join(sorted(characters))) or _absent(value)
        return body if self.in_class else f"[{body}]"


@cache
def _take_apart(pattern: str) -> tuple[str | _Category, ...]:
    """Split a pattern at its Unicode categories; there are few patterns, and many values."""
    pieces: list[str | _Category] = [""]
    in_class = False
    for match in _PIECE.finditer(pattern):
        text = match.group()
        if match["kind"]:
            pieces += [_Category(match["category"], inverted=match["kind"] == "P", in_class=in_class), ""]
            continue
        if text in {"[", "]"}:
            in_class = text == "["
        pieces[-1] = f"{pieces[-1]}{text}"
    return tuple(pieces)


def _absent(value: str) -> str:
    return next(character for point in range(sys.maxunicode, 0, -1) if (character := chr(point)) not in value)
