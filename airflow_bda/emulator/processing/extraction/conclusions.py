"""
Values that stand in a document without a label, for fields whose ``inferenceType`` is ``inferred``.

The service concludes such values with a language model. Here three simple rules stand in, each with a low confidence:
the name in the letterhead, the only date, and the currency that is printed most often.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_bda.emulator.processing.extraction.found import Finding
from airflow_bda.emulator.processing.extraction.kinds import Kind, kind_of, read_value
from airflow_bda.emulator.processing.extraction.labels import words_of_name
from airflow_bda.emulator.processing.extraction.values import CODE_OF_SYMBOL, CURRENCY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_bda.emulator.processing.extraction.blueprints import Field
    from airflow_bda.emulator.processing.extraction.grid import Grid, Phrase

_LETTERHEAD, _LONE_DATE, _CURRENCY = 0.6, 0.6, 0.8
_ISSUERS = frozenset({"vendor", "supplier", "seller", "merchant", "store", "shop", "employer", "company", "bank"})
_GENERAL_DATE_WORDS = frozenset(
    {"date", "transaction", "purchase", "receipt", "sale", "document", "invoice", "statement"}
)
_TOP_OF_PAGE = 0.3
_MAX_NAME_WORDS = 7


def conclude(field: Field, grids: Sequence[Grid], document_class: str) -> Finding | None:
    """Conclude a value that no label leads to; None where no rule fits."""
    if not field.inferred or not grids:
        return None
    words = set(words_of_name(field.name).split())
    if "currency" in words:
        return _currency(grids)
    if kind_of(field) is Kind.DATE and words <= _GENERAL_DATE_WORDS:
        return _lone_date(field, grids)
    if words & _ISSUERS and words - _ISSUERS <= {"name"}:
        return _letterhead(grids[0], document_class)
    return None


def _letterhead(grid: Grid, document_class: str) -> Finding | None:
    """Take the highest print at the top of the first page that is not the name of the document itself."""
    class_words = set(words_of_name(document_class).split())
    names = [phrase for phrase in grid.phrases if phrase.box.top < _TOP_OF_PAGE and _may_be_name(phrase, class_words)]
    if not names:
        return None
    tallest = max(names, key=lambda phrase: (round(phrase.run.height, 3), -phrase.line))
    return _finding(grid, tallest, tallest.text, _LETTERHEAD)


def _may_be_name(phrase: Phrase, class_words: set[str]) -> bool:
    words = phrase.text.lower().split()
    has_letters = any(letter.isalpha() for letter in phrase.text)
    return has_letters and len(words) <= _MAX_NAME_WORDS and ":" not in phrase.text and not set(words) & class_words


def _lone_date(field: Field, grids: Sequence[Grid]) -> Finding | None:
    for grid in grids:
        for phrase in grid.phrases:
            reading = read_value(field, phrase.text)
            if reading is not None:
                return _finding(grid, phrase, reading.value, _LONE_DATE)
    return None


def _currency(grids: Sequence[Grid]) -> Finding | None:
    marks = [
        (match[0], grid, phrase)
        for grid in grids
        for phrase in grid.phrases
        for match in CURRENCY.finditer(phrase.text)
    ]
    if not marks:
        return None
    usual, _ = Counter(CODE_OF_SYMBOL.get(mark, mark) for mark, _, _ in marks).most_common(1)[0]
    _, grid, phrase = next(each for each in marks if CODE_OF_SYMBOL.get(each[0], each[0]) == usual)
    return _finding(grid, phrase, usual, _CURRENCY)


def _finding(grid: Grid, phrase: Phrase, value: str | float | bool, confidence: float) -> Finding:  # noqa: FBT001 - any value
    return Finding(value, confidence * phrase.run.confidence, grid.page, phrase.box, by_label=False)
