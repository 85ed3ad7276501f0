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
    pieces = []
    in_class = False
    for piece in _PIECE.finditer(pattern):
        text = piece.group()
        if piece["kind"]:
            members = _members(piece["category"], value, inverted=piece["kind"] == "P")
            text = members if in_class else f"[{members}]"
        elif text in {"[", "]"}:
            in_class = text == "["
        pieces.append(text)
    return "".join(pieces)


def _members(category: str, value: str, *, inverted: bool) -> str:
    """Give the body of a character class: the characters of *value* that are in *category*, or are not."""
    characters = {
        character for character in value if unicodedata.category(character).startswith(category) is not inverted
    }
    # An empty class is a syntax error to Python: a character that the value does not hold takes its place.
    return re.escape("".join(sorted(characters))) or _absent(value)


def _absent(value: str) -> str:
    return next(character for point in range(sys.maxunicode, 0, -1) if (character := chr(point)) not in value)
