"""Values out of the service's JSON documents, in which members come and go: what is missing or odd is None or empty."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_bda.service.errors import BdaError


def document(content: str | bytes | Mapping[str, Any], uri: str) -> Mapping[str, Any]:
    """
    Read a JSON document whose top is an object.

    :param content: its text, or what was read from it already.
    :param uri: where it is from, for the error's text.
    :raises BdaError: when it is not JSON, or its top is not an object.
    """
    if isinstance(content, Mapping):
        return content
    try:
        read = json.loads(content)
    except ValueError as error:
        raise malformed(uri, f"it is not JSON ({error})") from None
    if not isinstance(read, dict):
        raise malformed(uri, f"its top is a JSON {type(read).__name__}, not an object")
    return read


def malformed(uri: str, why: str) -> BdaError:
    """Give the error for a document that the service cannot have written."""
    return BdaError(
        f"{uri} cannot be read as an output of BDA: {why}.",
        remedy="Check that the URI is the one that the job reported, and that nothing else writes under its prefix.",
    )


def text(source: Mapping[str, Any], name: str) -> str | None:
    """Give a text; a number is its digits (ids are both), an empty text is None."""
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value) or None


def integer(source: Mapping[str, Any], name: str) -> int | None:
    """Give a whole number, written as a number or as its digits."""
    return _whole(source.get(name))


def number(source: Mapping[str, Any], name: str) -> float | None:
    """Give a number."""
    value = source.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def mapping(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give an object; empty where there is none."""
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def mappings(source: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """Give a list of objects, what is no object in it left out; empty where there is none."""
    value = source.get(name)
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def integers(source: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Give a list of whole numbers; empty where there is none."""
    value = source.get(name)
    wholes = map(_whole, value) if isinstance(value, list) else ()
    return tuple(whole for whole in wholes if whole is not None)


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
