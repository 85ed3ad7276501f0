"""
Values that stand in a document without a label, for fields whose ``inferenceType`` is ``inferred``.

The service concludes such values with a language model. Here simple rules stand in, each with a low confidence:
the name and the address in the letterhead, the first date, and the currency that is printed most often.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.found import Finding
from airflow_bda.emulator.documents.fields.kinds import Kind, kind_of, read_value
from airflow_bda.emulator.documents.fields.labels import words_of_name
from airflow_bda.emulator.documents.fields.values import CODE_OF_SYMBOL, CURRENCY
from airflow_bda.emulator.documents.reading.layout import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_bda.emulator.documents.fields.blueprints import Field
    from airflow_bda.emulator.documents.fields.found import Value
    from airflow_bda.emulator.documents.fields.grid import Grid, Phrase

_LETTERHEAD, _LONE_DATE, _CURRENCY = 0.6, 0.6, 0.8
_ISSUERS = frozenset({"vendor", "supplier", "seller", "merchant", "store", "shop", "employer", "company", "bank"})
_GENERAL_DATE_WORDS = frozenset(
    {"date", "transaction", "purchase", "receipt", "sale", "document", "invoice", "statement"}
)
_TOP_OF_PAGE = 0.3
_MAX_NAME_WORDS = 7
_ADDRESS_LINES, _ADDRESS_GAP = 4, 1.5


@dataclass(frozen=True)
class Conclusions:
    """
    What can be concluded about some pages.

    :param found: what labels led to; it is not taken for another field.
    """

    grids: Sequence[Grid]
    document_class: str
    found: Sequence[Finding]

    def conclude(self, field: Field) -> Finding | None:
        """Conclude a value that no label leads to; None where no rule fits."""
        if not field.inferred or not self.grids:
            return None
        words = set(words_of_name(field.name).split())
        if "currency" in words:
            return self._currency()
        if kind_of(field) is Kind.DATE and words <= _GENERAL_DATE_WORDS:
            return self._lone_date(field)
        if words & _ISSUERS and words - _ISSUERS <= {"name"}:
            return self._letterhead()
        if words & _ISSUERS and words - _ISSUERS == {"address"}:
            return self._letterhead_address()
        return None

    def _letterhead(self) -> Finding | None:
        name = self._letterhead_phrase()
        return _finding(self.grids[0], (name,), name.text, _LETTERHEAD) if name else None

    def _letterhead_address(self) -> Finding | None:
        """Take the lines closely below the name, when there is a number in them."""
        name, grid = self._letterhead_phrase(), self.grids[0]
        if name is None:
            return None
        lines = grid.column_below(name, most=_ADDRESS_LINES, max_drop=_ADDRESS_GAP)[1:]
        end = next((at for at, line in enumerate(lines) if ":" in line.text or self._is_used(grid, line)), len(lines))
        text = ", ".join(line.text.strip(" ,") for line in lines[:end])
        if not any(letter.isdigit() for letter in text):
            return None
        return _finding(grid, lines[:end], text, _LETTERHEAD)

    def _letterhead_phrase(self) -> Phrase | None:
        """Find the highest print at the top of the first page that is not the name of the document itself."""
        grid = self.grids[0]
        names = [
            phrase
            for phrase in grid.phrases
            if phrase.box.top < _TOP_OF_PAGE and self._may_be_name(phrase) and not self._is_used(grid, phrase)
        ]
        return max(names, key=lambda phrase: (round(phrase.run.height, 3), -phrase.line), default=None)

    def _may_be_name(self, phrase: Phrase) -> bool:
        words = phrase.text.lower().split()
        is_class = set(words) & set(words_of_name(self.document_class).split())
        has_letters = any(letter.isalpha() for letter in phrase.text)
        return has_letters and len(words) <= _MAX_NAME_WORDS and ":" not in phrase.text and not is_class

    def _is_used(self, grid: Grid, phrase: Phrase) -> bool:
        return any(each.page is grid.page and box.contains(phrase.box) for each in self.found for box in each.boxes)

    def _lone_date(self, field: Field) -> Finding | None:
        for grid in self.grids:
            for phrase in grid.phrases:
                reading = read_value(field, phrase.text)
                if reading is not None and not self._is_used(grid, phrase):
                    return _finding(grid, (phrase,), reading.value, _LONE_DATE)
        return None

    def _currency(self) -> Finding | None:
        marks = [
            (CODE_OF_SYMBOL.get(match[0], match[0]), grid, phrase)
            for grid in self.grids
            for phrase in grid.phrases
            for match in CURRENCY.finditer(phrase.text)
        ]
        if not marks:
            return None
        usual, _ = Counter(code for code, _, _ in marks).most_common(1)[0]
        _, grid, phrase = next(mark for mark in marks if mark[0] == usual)
        return _finding(grid, (phrase,), usual, _CURRENCY)


def _finding(grid: Grid, phrases: Sequence[Phrase], value: Value, sureness: float) -> Finding:
    words = Run(tuple(word for phrase in phrases for word in phrase.run.words))
    return Finding(
        value, sureness * words.confidence, grid.page, tuple(phrase.box for phrase in phrases), by_label=False
    )
