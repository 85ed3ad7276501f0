"""
Finds single fields by their labels.

Each text that comes near a label leads to the words behind it, to the phrase on its right, or to the one below it. The
first of these that reads as a value of the field's kind is a candidate with the

    confidence = similarity of the label x sureness of the place x certainty of the reading x confidence of the OCR

and candidates are taken from the surest down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.grid import Finding
from airflow_bda.emulator.documents.fields.kinds import Kind, kind_of, read_value
from airflow_bda.emulator.documents.fields.labels import normalise
from airflow_bda.emulator.documents.reading.layout import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_bda.emulator.documents.fields.blueprints import Field
    from airflow_bda.emulator.documents.fields.grid import Grid, Phrase, Place, Value
    from airflow_bda.emulator.documents.fields.labels import LabelIndex
    from airflow_bda.emulator.documents.reading.layout import Box, Page

_MAX_LABEL_WORDS = 6
# How sure it is that a value belongs to a label, by where it stands.
_AFTER_MARK, _AFTER_BLANK, _RIGHT, _BELOW = 1.0, 0.95, 0.97, 0.9
_LABEL_MARKS = (":", "#", "=")
_SEPARATORS = ("|", "/", "-")
_MAX_ADDRESS_LINES = 5
_ADDRESS_GAP = 1.2
# More than any page has.
_MANY_LINES = 10_000


@dataclass(frozen=True)
class Candidate:
    """A value that a field may have."""

    field: Field
    value: Value
    confidence: float
    page: Page
    label: frozenset[Place]
    words: frozenset[Place]
    boxes: tuple[Box, ...]


def choose(found: Iterable[Candidate]) -> dict[Field, Finding]:
    """
    Return the surest candidate of each field, using every printed value once.

    A printed label is used once for each kind: "Bill to" may lead to a name and to the address below it.
    """
    chosen: dict[Field, Finding] = {}
    used: set[tuple[int, Kind | None, Place]] = set()
    for each in sorted(found, key=_preference):
        page = each.page.index
        needs: set[tuple[int, Kind | None, Place]] = {(page, kind_of(each.field), place) for place in each.label}
        needs.update((page, None, place) for place in each.words)
        if each.field not in chosen and not needs & used:
            chosen[each.field] = Finding(each.value, each.confidence, each.page, each.boxes)
            used |= needs
    return chosen


def _preference(candidate: Candidate) -> tuple[float, int, int]:
    """Sort the surest first; of equals the longer label, then the last amount (totals end a page) or the first text."""
    line = candidate.page.index * _MANY_LINES + min(place[0] for place in candidate.label)
    is_amount = kind_of(candidate.field) in {Kind.NUMBER, Kind.AMOUNT_TEXT}
    return (-round(candidate.confidence, 3), -len(candidate.label), -line if is_amount else line)


@dataclass(frozen=True)
class FieldSearch:
    """
    The search for single fields on one page.

    :param taken: words that belong to tables, where no single field stands.
    """

    grid: Grid
    index: LabelIndex
    taken: frozenset[Place]

    def candidates(self) -> Iterator[Candidate]:
        """Find all values that a label leads to."""
        for phrase in self.grid.phrases:
            for label in _possible_labels(phrase):
                if label.places & self.taken:
                    continue
                for hit in self.index.hits(normalise(label.text)):
                    found = self._value_of(hit.field, phrase, label)
                    if found is not None:
                        yield replace(found, confidence=found.confidence * hit.similarity)

    def _value_of(self, field: Field, phrase: Phrase, label: Phrase) -> Candidate | None:
        read = self._address if kind_of(field) is Kind.ADDRESS else self._value
        for place, sureness in self._value_places(phrase, label):
            if not place.places & self.taken and (found := read(field, label, place)) is not None:
                return replace(found, confidence=found.confidence * sureness)
        return None

    def _value_places(self, phrase: Phrase, label: Phrase) -> Iterator[tuple[Phrase, float]]:
        """Return where the value of a label may stand, the likeliest first, and how sure each place is."""
        has_mark = label.text.endswith(_LABEL_MARKS)
        end = label.start + len(label) - phrase.start
        if end < len(phrase) and phrase.run.words[end].text in _LABEL_MARKS:
            has_mark, end = True, end + 1
        if end < len(phrase):
            yield self._until_next_label(phrase.part(end, len(phrase))), _AFTER_MARK if has_mark else _AFTER_BLANK
            if has_mark:
                return
        right = self.grid.right_of(phrase)
        if right is not None and not self.grid.is_header(phrase.line) and not self._begins_with_label(right):
            yield right, _AFTER_MARK if has_mark else _RIGHT
        below = self.grid.below(label if end == len(phrase) else phrase)
        if below is not None and not self._begins_with_label(below):
            yield below, _BELOW

    def _until_next_label(self, rest: Phrase) -> Phrase:
        """Cut off what belongs to another label in the same phrase."""
        words = [word.text for word in rest.run.words]
        stop = next((at for at, word in enumerate(words) if at > 0 and word.endswith(":")), None)
        if stop is None:
            return rest
        starts = (at for at in range(max(1, stop - 3), stop) if self.index.is_label(" ".join(words[at : stop + 1])))
        return rest.part(0, next(starts, stop))

    def _begins_with_label(self, phrase: Phrase) -> bool:
        first_words = phrase.run.words[:_MAX_LABEL_WORDS]
        return any(word.text.endswith(":") for word in first_words) or self.index.is_label(phrase.text)

    def _value(self, field: Field, label: Phrase, place: Phrase) -> Candidate | None:
        reading = read_value(field, place.text)
        if reading is None:
            return None
        used = place.between(reading.start, reading.end)
        confidence = reading.certainty * used.run.confidence * label.run.confidence
        return Candidate(field, reading.value, confidence, self.grid.page, label.places, used.places, (used.box,))

    def _address(self, field: Field, label: Phrase, place: Phrase) -> Candidate | None:
        block = self.grid.column_below(place, most=_MAX_ADDRESS_LINES + 1, max_drop=_ADDRESS_GAP)
        end = next((at for at, phrase in enumerate(block) if at > 0 and self._begins_with_label(phrase)), len(block))
        block = block[:end]
        # An address block begins with a name, unless its first line has a house number in it.
        if len(block) > 1 and not _has_digit(block[0].text) and "address" not in normalise(label.text):
            block = block[1:]
        block = block[:_MAX_ADDRESS_LINES]
        text = ", ".join(phrase.text.strip(" ,:") for phrase in block)
        if not _has_digit(text):
            return None
        words = Run(tuple(word for phrase in block for word in phrase.run.words))
        places = frozenset(place for phrase in block for place in phrase.places)
        boxes = tuple(phrase.box for phrase in block)
        confidence = words.confidence * label.run.confidence
        return Candidate(field, text, confidence, self.grid.page, label.places, places, boxes)


def _possible_labels(phrase: Phrase) -> Iterator[Phrase]:
    for start in _label_starts(phrase):
        for end in range(start + 1, min(start + _MAX_LABEL_WORDS, len(phrase)) + 1):
            if not _goes_on(phrase, end):
                yield phrase.part(start, end)


def _label_starts(phrase: Phrase) -> Iterator[int]:
    """Return the first word, and each one after a value: "No. A-17 Date: 5 May"."""
    yield 0
    words = phrase.run.words
    for before, _ in enumerate(words[1:]):
        if _has_digit(words[before].text) or words[before].text in _SEPARATORS:
            yield before + 1


def _goes_on(phrase: Phrase, end: int) -> bool:
    """Whether a label is only half of one: "Total" in "Total discount: 5.00"."""
    words = [word.text for word in phrase.run.words]
    if words[end - 1].endswith(_LABEL_MARKS):
        return False
    for word in words[end : end + 3]:
        if _has_digit(word):
            return False
        if word.endswith(":") and word != ":":
            return True
    return False


def _has_digit(text: str) -> bool:
    return any(letter.isdigit() for letter in text)
