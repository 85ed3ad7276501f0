"""
Read values from the service's JSON documents, whose members vary: what is missing or not valid is None or empty.

A document comes from outside, so it is read strictly: what is not JSON, is nested too deeply, names a member twice or
holds a number that no database takes is an error that names the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_bda.service.errors import BdaError
from airflow_bda.service.safe_values import encodable

# The deepest shape that the service is known to write has about 15 levels. Python's own limit is near 1,000.
MAX_DEPTH = 100
# What fits into 64 bits passes through msgpack, with which Airflow 3 sends XComs.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_INFINITE = (math.inf, -math.inf)
_LARGEST_COLUMN, _DIGITS = 2**63, 20
# An escape sequence of JSON: a surrogate pair, a surrogate without its other half, or any other.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class UnsoundJsonError(ValueError):
    """JSON that is valid by its grammar, but not safe to pass on."""


def document(content: str | bytes | Mapping[str, Any], uri: str) -> Mapping[str, Any]:
    """
    Read a JSON document whose top is an object.

    :param content: its text, or what was read from it already.
    :param uri: where it is from, for the error's text.
    :raises BdaError: when it is not JSON, its top is not an object, or it is nested more than 100 levels deep.
    """
    if isinstance(content, Mapping) and not isinstance(content, dict):
        return content
    if not isinstance(content, (dict, str, bytes)):  # callers pass on what others sent, of whatever type
        raise malformed(uri, f"it is a {type(content).__name__}, not an object")
    try:
        if isinstance(content, dict):
            check_depth(content)
            return content
        read = decode(content.decode("utf-8-sig") if isinstance(content, bytes) else content)
    except ValueError as error:
        raise malformed(uri, f"it is not JSON ({error})") from None
    if not isinstance(read, dict):
        raise malformed(uri, f"its top is a JSON {type(read).__name__}, not an object")
    return read


def decode(content: str) -> Any:
    """
    Read a JSON text strictly.

    :raises ValueError: for what is not JSON, or is :class:`UnsoundJsonError`.
    """
    try:
        value = DECODER.decode(whole_characters(content))
    except RecursionError:
        raise UnsoundJsonError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    check_depth(value)
    return value


def whole_characters(content: str) -> str:
    r"""Replace escaped halves of surrogate pairs (``\ud83d`` alone), which cannot be encoded, in a JSON text."""
    if "\\ud" not in content and "\\uD" not in content:
        return content
    return _ESCAPE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], content)


def check_depth(value: Any) -> None:
    """
    Check that a value is not nested more than 100 levels deep, without recursion.

    :raises UnsoundJsonError: when it is.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH + 1:
            raise UnsoundJsonError(f"it is nested more than {MAX_DEPTH} levels deep")
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one file must not see two values: which of the two was meant cannot be known.
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UnsoundJsonError(f"the member {twice!r:.80} is there twice")
    return members


def _finite(digits: str) -> float:
    value = float(digits)
    if value in _INFINITE:
        raise UnsoundJsonError(f"the number {digits:.40} is too large")
    return value


def _refuse_constant(word: str) -> None:
    raise UnsoundJsonError(f"{word} is not a JSON number")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)


def malformed(uri: str, why: str) -> BdaError:
    """Return the error for a document that the service cannot have written."""
    return BdaError(
        f"{uri} cannot be read as an output of BDA: {why}.",
        remedy="Check that the URI is the one that the job reported, and that nothing else writes under its prefix.",
    )


def text(source: Mapping[str, Any], name: str) -> str | None:
    """Return a text; a number as its digits (ids are both), an empty text as None."""
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        return str(value) or None
    except ValueError:  # more digits than Python converts
        return None


def integer(source: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number, written as a number or as its digits."""
    return _whole(source.get(name))


def page_index(source: Mapping[str, Any], name: str) -> int | None:
    """Return a page, from 0; the service writes a negative one where it has no page to name."""
    index = integer(source, name)
    return None if index is None or index < 0 else index


def page_indices(source: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Return a list of pages, from 0; empty where there is none."""
    return tuple(index for index in integers(source, name) if index >= 0)


def number(source: Mapping[str, Any], name: str) -> float | None:
    """Return a finite number."""
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def mapping(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object; empty where there is none."""
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def mappings(source: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """Return a list of objects, without other values; a single object as a list of one."""
    value = source.get(name)
    if isinstance(value, Mapping):
        return (value,) if value else ()
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def integers(source: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Return a list of whole numbers; empty where there is none."""
    value = source.get(name)
    wholes = map(_whole, value) if isinstance(value, list) else ()
    return tuple(whole for whole in wholes if whole is not None)


def texts(source: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts, or a single one as a list of one; empty where there is none."""
    value = source.get(name)
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, str) and item)


def joined(parts: Iterable[str | None], separator: str) -> str | None:
    """Join the texts that are there and not empty; None where there is none."""
    return separator.join(part for part in parts if part) or None


def plain(value: Any, depth: int = 0) -> Any:
    """
    Return a value as plain JSON that XComs and databases take.

    Numbers are finite and fit into 64 bits (a larger whole number becomes its digits), texts can be encoded in UTF-8
    and hold no NUL character, and every name is a text.

    :raises UnsoundJsonError: when it is nested more than 100 levels deep.
    """
    if depth > MAX_DEPTH:
        raise UnsoundJsonError(f"the value is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and not _SMALLEST <= value <= _LARGEST:
        return _digits(value)
    if isinstance(value, Mapping):
        return {clean_text(str(name)): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, depth + 1) for item in value]
    return plain(value.to_dict(), depth) if isinstance(value, PlainData) else value


class PlainData:
    """What has a ``to_dict``, and passes through Airflow's XComs as what it returns."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which XComs and JSON take: every member by its name."""
        members: dict[str, Any] = plain(vars(self))
        return members

    def serialize(self) -> dict[str, Any]:
        """Return what Airflow stores as the XCom."""
        return self.to_dict()

    @staticmethod
    def deserialize(data: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG004  Airflow passes both
        """Return what the next task gets: the dictionary, since the files are not read again."""
        return data


def clean_text(value: str) -> str:
    """Return a text that UTF-8 can encode and that holds no NUL, which PostgreSQL refuses."""
    return encodable(value.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more than the 4,300 digits that Python converts
        return hex(value)


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _DIGITS:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    # A count, an index or a time that does not fit into a database column is not valid.
    return value if abs(value) < _LARGEST_COLUMN else None
