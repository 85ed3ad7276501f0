"""
Which values of the table of fields are unsure, and what a person's answers make of them.

A value is named by a digest of its document, segment and path. So answers find their rows whatever was written to the
table between the question and the answer, and what was reviewed once is not asked again for the same job.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from typing import TYPE_CHECKING, Any

from airflow_bda.service.results.rows import COLUMNS, REVIEWS
from airflow_bda.service.safe_values import safe_number, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What a person can be asked to read in a form; longer values are rarely what a blueprint extracts.
MOST_CHARACTERS = 2_000
_NAMED_BY = ("metadata_uri", "asset_id", "segment", "path")
_OF_REVIEW = tuple(COLUMNS[REVIEWS])


def key_of(row: Mapping[str, Any]) -> str:
    """Return the name of a row's value: 16 hexadecimal digits."""
    parts = json.dumps([row.get(column) for column in _NAMED_BY])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def merged(row: Mapping[str, Any], reviews: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """
    Return a row of the table of fields with what a person said of its value.

    :param reviews: rows of the table of reviews, by the keys of their values.
    """
    review = reviews.get(key_of(row))
    if review is None:
        return dict(row)
    own = ("value", "value_number", "value_boolean", "found", "value_read", "reviewed_by", "reviewed_at")
    return {**row, **{column: review[column] for column in own}}


def is_unsure(row: Mapping[str, Any], below: float) -> bool:
    """Whether a value was found with a confidence below *below*, and nobody has reviewed it."""
    confidence = row.get("confidence")
    return confidence is not None and confidence < below and bool(row.get("found")) and not row.get("reviewed_at")


def unsure_rows(rows: Iterable[Mapping[str, Any]], *, below: float, most: int) -> tuple[list[dict[str, Any]], int]:
    """
    Return the unsure rows that a person is to look at, in the table's order, and how many there are in all.

    A value of more than 2,000 characters is counted, and never returned.

    :param most: how many rows to return at most: those with the lowest confidences.
    """
    in_all = 0
    # The lowest confidences are kept, so what goes first is the highest. The place breaks ties.
    kept: list[tuple[float, int, dict[str, Any]]] = []
    for place, row in enumerate(rows):
        if not is_unsure(row, below):
            continue
        in_all += 1
        if len(row.get("value") or "") <= MOST_CHARACTERS:
            heapq.heappush(kept, (-row["confidence"], -place, {column: row.get(column) for column in _OF_REVIEW}))
            if len(kept) > most:
                heapq.heappop(kept)
    return [row for _, _, row in sorted(kept, key=lambda each: -each[1])], in_all


def review_of(row: Mapping[str, Any], answer: Any, *, by: str, at: str) -> dict[str, Any]:
    """
    Return the row of the table of reviews for a person's answer.

    :param row: of the table of fields.
    :param answer: the value, as a form of Airflow's gives it: a text, a number, a boolean or None.
    :param by: who answered.
    :param at: when, as ISO 8601.
    """
    read = row.get("value")
    return {
        **{column: row.get(column) for column in _OF_REVIEW},
        **_typed(row, answer),
        # As the service read it, however often it is reviewed.
        "value_read": row.get("value_read") if row.get("reviewed_at") else read,
        "reviewed_by": safe_text(by),
        "reviewed_at": at,
    }


def _typed(row: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return the columns of a value; an answer that is what was read leaves them as they are."""
    if isinstance(answer, str) and row.get("value_number") is not None:
        answer = _number(answer)
    shown = shown_value(row)
    if answer == shown and isinstance(answer, bool) is isinstance(shown, bool):
        return {}
    number = safe_number(answer)
    if answer is None or isinstance(answer, str):
        text = safe_text(answer, MOST_CHARACTERS) if answer else answer
    else:
        text = safe_text(json.dumps(answer), MOST_CHARACTERS)
    return {
        "value": text,
        "value_number": None if number is None else float(number),
        "value_boolean": answer if isinstance(answer, bool) else None,
        "found": bool(text and text.strip()),
    }


def shown_value(row: Mapping[str, Any]) -> str | float | bool | None:
    """Return a row's value in its own type, as a form shows it."""
    if row.get("value_boolean") is not None:
        return bool(row["value_boolean"])
    if row.get("value_number") is not None:
        number = float(row["value_number"])
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    value: str | None = row.get("value")
    return value


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if safe_number(number) is not None else text
