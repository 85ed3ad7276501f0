"""
What kind of value a field holds, beyond its type, and how numbers, dates and truth values are read from printed words.

Each is found with its place in the text, which leads to the words of a value, and so to its box. That is why no library
does this: babel, dateparser and price-parser return a value of a text that is one, or search a text without telling
where they found it.

English month names and Latin digits only. ``03/04/2026`` is the fourth of March, as in the United States, unless the
caller says that the day comes first; with dots, as in ``03.04.2026``, the day always comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.blueprint_schema import BOOLEAN, NUMBER
from airflow_bda.emulator.documents.fields.labels import words_of_name

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.fields.blueprint_schema import Field

_CODES = "USD|EUR|GBP|CHF|JPY|CAD|AUD|NZD|INR|SEK|NOK|DKK|PLN|CZK|BRL|MXN"
_CURRENCY = rf"(?:(?:US|CA|A)?[$€£¥₹]|(?<![A-Za-z])(?:{_CODES})(?![A-Za-z]))"

_MINUS = "-\u2212\u2013"
# Blanks group digits only where a decimal comma follows: "2 500.00" is more often a quantity beside a price.
_BODY = r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+,\d{2}(?!\d)|\d[\d.,'\u2019]*\d|\d"
_NUMBER = re.compile(
    rf"(?<![\w.,/'-])(?<!\d:)(?P<open>\(\s?)?(?P<sign>[{_MINUS}+]\s?)?(?P<before>{_CURRENCY}\s?)?(?P<inner>[{_MINUS}]\s?)?"
    rf"(?P<body>{_BODY})(?P<behind>\s?{_CURRENCY})?(?P<close>\s?\))?(?P<after>[{_MINUS}](?!\w))?(?P<percent>\s?%)?"
    rf"(?![\w/]|:\d|[{_MINUS}]\w)"
)
_GROUPS_OF_THREE = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
# A time may follow without a blank: OCR often loses it.
_DATES = tuple(
    re.compile(rf"(?<![\w.,/-]){pattern}(?:(?=\d\d:\d\d)|(?![\w/-]|\.\d))", re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})(?P<separator>[-/.])(?P<month>\d{1,2})(?P=separator)(?P<day>\d{1,2})(?:T[\d:.]+Z?)?",
        r"(?P<first>\d{1,2})(?P<separator>[-/.])(?P<second>\d{1,2})(?P=separator)(?P<year>\d{4}|\d{2})",
        rf"{_DAY}[\s.-]*(?:of\s)?{_MONTH},?[\s-]*(?P<year>\d{{4}})",
        rf"{_MONTH}\s*{_DAY},?\s+(?P<year>\d{{4}})",
    )
)
# Two digits from here on are a year of the last century.
_CENTURY_TURN = 70
_DECEMBER = 12

_FORMAT_PART = r"(?:Y{4}|Y{2}|M{1,2}|D{1,2})"
_FORMAT = re.compile(
    rf"\b{_FORMAT_PART}(?P<separator>[-/. ]){_FORMAT_PART}(?P=separator){_FORMAT_PART}\b", re.IGNORECASE
)
_FORMAT_PARTS = (("YYYY", "%Y"), ("YY", "%y"), ("MM", "%m"), ("M", "%m"), ("DD", "%d"), ("D", "%d"))
_TRUTH = {
    **dict.fromkeys(("yes", "y", "true", "x", "[x]", "☒", "☑", "✓", "✔", "checked"), True),
    **dict.fromkeys(("no", "n", "false", "[]", "[ ]", "☐", "unchecked", "none"), False),
}


@dataclass(frozen=True)
class FoundNumber:
    """
    A number in a text.

    :param start: where it begins in the text, its sign and currency included.
    :param is_money: whether it has a currency beside it or exactly two decimals.
    :param is_percent: whether a percent sign follows.
    """

    value: float
    start: int
    end: int
    is_money: bool
    is_percent: bool


@dataclass(frozen=True)
class FoundDate:
    """A date in a text, and where it stands."""

    value: date
    start: int
    end: int


def parse_digits(body: str) -> float | None:
    """
    Read digits with their separators: ``1,234.56``, ``1.234,56``, ``1'234.5``, ``1 234,56``.

    The last kind of separator marks the decimals, unless it groups three digits: ``1.234`` is a thousand and more.
    """
    body = re.sub(r"[ '\u2019\u00a0\u202f]", "", body)
    marks = [mark for mark in body if mark in ".,"]
    if not marks:
        return float(body) if body.isdecimal() else None
    if len(set(marks)) == 1:
        whole, decimals = _split_one_mark(body, marks)
    else:
        whole, _, decimals = body.rpartition(marks[-1])
    whole = whole.replace(".", ",")
    if not decimals.isdecimal() and decimals:
        return None
    if not (whole.isdecimal() or _GROUPS_OF_THREE.fullmatch(whole)):
        return None
    return float(f"{whole.replace(',', '')}.{decimals or '0'}")


def _split_one_mark(body: str, marks: list[str]) -> tuple[str, str]:
    if len(marks) > 1:
        return body, ""
    whole, _, decimals = body.partition(marks[0])
    groups = len(decimals) == 3 and not whole.startswith("0") and len(whole) <= 3  # noqa: PLR2004 - digits in a group
    return (f"{whole},{decimals}", "") if groups else (whole, decimals)


def find_numbers(text: str) -> list[FoundNumber]:
    """Find all numbers in a text; parts of dates, times and codes such as ``A-17`` are none."""
    found = []
    for match in _NUMBER.finditer(text):
        value = parse_digits(match["body"])
        if value is None:
            continue
        negative = match["inner"] or match["after"] or (match["open"] and match["close"])
        if match["sign"] and match["sign"].strip() != "+":
            negative = True
        decimals = re.search(r"[.,]\d{2}$", match["body"])
        found.append(
            FoundNumber(
                value=-value if negative and value else value,
                start=match.start(),
                end=match.end(),
                is_money=bool(match["before"] or match["behind"] or decimals) and not match["percent"],
                is_percent=bool(match["percent"]),
            )
        )
    return found


def as_json_number(value: float) -> float | int:
    """Return whole numbers without a decimal point."""
    return int(value) if value.is_integer() else value


def find_date(text: str, *, day_first: bool = False) -> FoundDate | None:
    """
    Find the first date in a text.

    :param day_first: whether ``03/04/2026`` is the third of April.
    """
    found = [
        FoundDate(value, match.start(), match.end())
        for pattern in _DATES
        for match in pattern.finditer(text)
        if (value := _date(match.groupdict(), day_first=day_first)) is not None
    ]
    return min(found, key=lambda each: each.start, default=None)


def _date(parts: dict[str, str], *, day_first: bool) -> date | None:
    year = int(parts["year"])
    if len(parts["year"]) < len("2026"):
        year += 1900 if year >= _CENTURY_TURN else 2000
    if "first" in parts:
        first, second = int(parts["first"]), int(parts["second"])
        day_leads = day_first or parts["separator"] == "." or first > _DECEMBER
        if second > _DECEMBER:
            day_leads = False
        day, month = (first, second) if day_leads else (second, first)
    else:
        word = parts["month"].lower()
        month, day = int(word) if word.isdecimal() else _MONTHS.index(word) + 1, int(parts["day"])
    try:
        return date(year, month, day)
    except ValueError:
        return None


def names_date_format(instruction: str) -> bool:
    """Whether an instruction says by a word such as MM/DD/YYYY how to write a date."""
    return _FORMAT.search(instruction) is not None


def date_format(instruction: str) -> str:
    """Return the ``strftime`` format that an instruction asks for by a word such as MM/DD/YYYY; else ISO 8601."""
    match = _FORMAT.search(instruction)
    if match is None:
        return "%Y-%m-%d"
    parts = dict(_FORMAT_PARTS)
    return match["separator"].join(parts[part.upper()] for part in match[0].split(match["separator"]))


def parse_truth(text: str) -> bool | None:
    """Read yes, no, a tick or an empty box; None for anything else."""
    return _TRUTH.get(text.strip().strip(".").lower())


Value = str | float | int | bool


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

# The kind of a text follows from the words of its field's name. The first row that has one of them decides.
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
