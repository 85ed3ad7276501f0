"""What kind of value a field holds, beyond its type, and how to read one from printed words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.blueprints import BOOLEAN, NUMBER
from airflow_bda.emulator.documents.fields.labels import words_of_name
from airflow_bda.emulator.documents.fields.values import (
    as_json_number,
    date_format,
    find_date,
    find_numbers,
    names_date_format,
    parse_truth,
)

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.fields.blueprints import Field
    from airflow_bda.emulator.documents.fields.grid import Value


class Kind(Enum):
    """How a value is read."""

    NUMBER = "number"
    TRUTH = "truth"
    DATE = "date"
    AMOUNT_TEXT = "amount as text"
    IDENTIFIER = "identifier"
    ADDRESS = "address"
    TEXT = "text"


@dataclass(frozen=True)
class Reading:
    """
    A value read from a text.

    :param start: where the value begins in the text.
    :param certainty: 1 when the text is the value and nothing else, less for what had to be passed over.
    """

    value: Value
    start: int
    end: int
    certainty: float = 1.0


# Each word that stands between a label and its value makes it less sure that they belong together.
_PASSED_OVER = 0.85
_MAX_PASSED_OVER = 3
# A text after a label is less telling than a number or a date, which had to fit.
_PLAIN_TEXT = 0.95
_LONG_TEXT = 0.7
_MANY_WORDS = 8

# What a text holds is told by the words of its field's name. The first row that has one of them decides.
_KINDS_BY_NAME = (
    (frozenset({"name", "method", "terms", "type", "status", "description", "title", "email"}), Kind.TEXT),
    (frozenset({"address"}), Kind.ADDRESS),
    (frozenset({"date", "dated", "birth", "expiration", "deadline"}), Kind.DATE),
    (frozenset({"number", "id", "code", "identifier", "sku", "iban", "zip", "phone", "fax", "po"}), Kind.IDENTIFIER),
    (frozenset({"amount", "total", "subtotal", "price", "tax", "fee", "cost", "balance", "pay"}), Kind.AMOUNT_TEXT),
)
_RATE_WORDS = frozenset({"rate", "percent", "percentage"})
_PLACES_OF_IDENTIFIER = 4
_MARKS = " :#-=\t"


@cache
def kind_of(field: Field) -> Kind:
    """Derive the kind of a field from its type, its name and its instruction."""
    if field.type == NUMBER:
        return Kind.NUMBER
    if field.type == BOOLEAN:
        return Kind.TRUTH
    if names_date_format(field.instruction):
        return Kind.DATE
    words = set(words_of_name(field.name).split())
    return next((kind for names, kind in _KINDS_BY_NAME if words & names), Kind.TEXT)


def read_value(field: Field, text: str) -> Reading | None:
    """Read a field's value from the text where it should stand; None when there is none of its kind."""
    return _READERS[kind_of(field)](field, text)


def _read_number(field: Field, text: str) -> Reading | None:
    wants_rate = bool(set(words_of_name(field.name).split()) & _RATE_WORDS)
    numbers = []
    for each in find_numbers(text):
        before, after = text[: each.start].rstrip(), text[each.end :].lstrip()
        # A remark in brackets, as in "Tax (20)", is not the amount itself.
        is_aside = before.endswith("(") and before != "(" and after.startswith((")", "%"))
        if wants_rate or not (is_aside or each.is_percent):
            numbers.append(each)
    if not numbers:
        return None
    number = next((each for each in numbers if each.is_money), numbers[0])
    certainty = _certainty(text[: number.start])
    if certainty is None:
        return None
    return Reading(as_json_number(number.value), number.start, number.end, certainty)


def _read_amount_text(field: Field, text: str) -> Reading | None:
    reading = _read_number(field, text)
    if reading is None:
        return None
    return Reading(text[reading.start : reading.end].strip(), reading.start, reading.end, reading.certainty)


def _read_date(field: Field, text: str) -> Reading | None:
    wanted = date_format(field.instruction)
    found = find_date(text, day_first=wanted.startswith("%d"))
    if found is None:
        return None
    certainty = _certainty(text[: found.start])
    return None if certainty is None else Reading(found.value.strftime(wanted), found.start, found.end, certainty)


def _read_truth(_field: Field, text: str) -> Reading | None:
    stripped = text.strip(_MARKS)
    truth = parse_truth(stripped)
    if truth is None and stripped:
        truth = parse_truth(stripped.split()[0])
    return None if truth is None else Reading(truth, 0, len(text))


def _read_identifier(_field: Field, text: str) -> Reading | None:
    stripped = text.strip(_MARKS)
    if not any(letter.isdigit() for letter in stripped):
        return None
    whole, date = (0, len(stripped)), find_date(stripped)
    is_date = date is not None and (date.start, date.end) == whole
    if is_date or any(each.is_money and (each.start, each.end) == whole for each in find_numbers(stripped)):
        return None
    start = text.index(stripped)
    if len(stripped.split()) <= _PLACES_OF_IDENTIFIER:
        return Reading(stripped, start, start + len(stripped), _PLAIN_TEXT if " " in stripped else 1.0)
    match = re.search(r"\S*\d\S*", text)
    if match is None:  # pragma: no cover - a digit was seen above
        return None
    certainty = _certainty(text[: match.start()])
    return None if certainty is None else Reading(match[0].strip(".,;"), match.start(), match.end(), certainty)


def _read_text(_field: Field, text: str) -> Reading | None:
    stripped = text.strip(_MARKS)
    if not any(letter.isalnum() for letter in stripped):
        return None
    start = text.index(stripped)
    certainty = _PLAIN_TEXT if len(stripped.split()) <= _MANY_WORDS else _LONG_TEXT
    return Reading(stripped, start, start + len(stripped), certainty)


def _certainty(passed_over: str) -> float | None:
    """Return the certainty left after the words before a value; None when they are too many."""
    words = [word for word in re.findall(r"[^\W\d_]{2,}", re.sub(r"\([^)]*\)", "", passed_over)) if not word.isupper()]
    return None if len(words) > _MAX_PASSED_OVER else _PASSED_OVER ** len(words)


_READERS = {
    Kind.NUMBER: _read_number,
    Kind.TRUTH: _read_truth,
    Kind.DATE: _read_date,
    Kind.AMOUNT_TEXT: _read_amount_text,
    Kind.IDENTIFIER: _read_identifier,
    Kind.ADDRESS: _read_text,
    Kind.TEXT: _read_text,
}
