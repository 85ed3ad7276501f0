"""
Finds single fields by their labels.

Each text that comes near a label leads to the words behind it, to the phrase on its right, or to the one below it. The
first of these that reads as a value of the field's kind is a candidate with the

    confidence = similarity of the label x sureness of the place x certainty of the reading x confidence of the OCR

and candidates are taken from the surest down. A printed label and a printed value are used once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.emulator.processing.extraction.found import Finding
from airflow_bda.emulator.processing.extraction.kinds import Kind, kind_of, read_value
from airflow_bda.emulator.processing.extraction.labels import normalise
from airflow_bda.emulator.processing.reading.layout import Box, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_bda.emulator.processing.extraction.blueprints import Field
    from airflow_bda.emulator.processing.extraction.found import Value
    from airflow_bda.emulator.processing.extraction.grid import Grid, Phrase, Place
    from airflow_bda.emulator.processing.extraction.labels import LabelIndex

_MAX_LABEL_WORDS = 6
# How sure it is that a value belongs to a label, by where it stands.
_AFTER_MARK, _AFTER_BLANK, _RIGHT, _BELOW = 1.0, 0.95, 0.97, 0.9
_LABEL_MARKS = (":", "#", "=")
_MAX_ADDRESS_LINES = 5
_ADDRESS_GAP = 1.2


@dataclass(frozen=True)
class Candidate:
    """A value that a field may have."""

    field: Field
    value: Value
    confidence: float
    grid: Grid
    label: frozenset[Place]
    words: frozenset[Place]
    box: Box

    @property
    def finding(self) -> Finding:
        """The value with its place."""
        return Finding(self.value, self.confidence, self.grid.page, self.box)


def candidates(grid: Grid, index: LabelIndex, taken: frozenset[Place]) -> Iterator[Candidate]:
    """
    Find all values on a page that a label leads to.

    :param taken: words that belong to tables, where no single field stands.
    """
    for phrase in grid.phrases:
        for start in _label_starts(phrase):
            for end in range(start + 1, min(start + _MAX_LABEL_WORDS, len(phrase)) + 1):
                label = phrase.part(start, end)
                if label.places & taken:
                    break
                if _is_cut_off(phrase, end):
                    continue
                for hit in index.hits(normalise(label.text)):
                    found = _value_of(grid, index, hit.field, phrase, label, taken)
                    if found is not None:
                        yield _weighted(found, hit.similarity)


def choose(found: Iterable[Candidate]) -> dict[Field, Finding]:
    """Give each field its surest candidate, using every printed label and value once."""
    chosen: dict[Field, Finding] = {}
    used_labels: set[tuple[int, Kind, Place]] = set()
    used_values: set[tuple[int, Place]] = set()
    for each in sorted(found, key=_preference):
        page, kind = each.grid.page.index, kind_of(each.field)
        labels = {(page, kind, place) for place in each.label}
        values = {(page, place) for place in each.words}
        if each.field in chosen or labels & used_labels or values & used_values:
            continue
        chosen[each.field] = each.finding
        used_labels |= labels
        used_values |= values | {(page, place) for place in each.label}
        # A label may lead to two values of different kinds: a name and the address below it.
        used_values -= {(page, place) for place in each.label}
    return chosen


def _preference(candidate: Candidate) -> tuple[float, int, int]:
    """Sort the surest first; of equals the longer label, then the last amount (a total ends its page) or the first text."""
    page = candidate.grid.page.index
    line = page * 10_000 + min(place[0] for place in candidate.label)
    is_amount = kind_of(candidate.field) in (Kind.NUMBER, Kind.AMOUNT_TEXT)
    return (-round(candidate.confidence, 3), -len(candidate.label), -line if is_amount else line)


def _weighted(candidate: Candidate, similarity: float) -> Candidate:
    return Candidate(
        candidate.field,
        candidate.value,
        candidate.confidence * similarity,
        candidate.grid,
        candidate.label,
        candidate.words,
        candidate.box,
    )


def _label_starts(phrase: Phrase) -> Iterator[int]:
    """A label begins a phrase, or follows a value in it: "No. A-17 Date: 5 May"."""
    yield 0
    words = phrase.run.words
    for position in range(1, len(words)):
        if any(letter.isdigit() for letter in words[position - 1].text) or words[position - 1].text in {"|", "/", "-"}:
            yield position


def _is_cut_off(phrase: Phrase, end: int) -> bool:
    """Whether the label goes on: "Total" in "Total discount: 5.00" is half of one."""
    words = [word.text for word in phrase.run.words]
    if words[end - 1].endswith(_LABEL_MARKS):
        return False
    for word in words[end : end + 3]:
        if any(letter.isdigit() for letter in word):
            return False
        if word.endswith(":") and word != ":":
            return True
    return False


def _value_of(
    grid: Grid, index: LabelIndex, field: Field, phrase: Phrase, label: Phrase, taken: frozenset[Place]
) -> Candidate | None:
    for block, sureness in _value_places(grid, index, phrase, label):
        if any(each.places & taken for each in block):
            continue
        if kind_of(field) is Kind.ADDRESS:
            found = _address(grid, index, field, label, block[0], sureness)
        else:
            found = _read(grid, field, label, block[0], sureness)
        if found is not None:
            return found
    return None


def _value_places(
    grid: Grid, index: LabelIndex, phrase: Phrase, label: Phrase
) -> Iterator[tuple[Sequence[Phrase], float]]:
    has_mark = label.text.endswith(_LABEL_MARKS)
    end = label.start + len(label) - phrase.start
    if end < len(phrase) and phrase.run.words[end].text in _LABEL_MARKS:
        has_mark, end = True, end + 1
    rest = _until_next_label(index, phrase.part(end, len(phrase))) if end < len(phrase) else None
    if rest is not None:
        yield (rest,), _AFTER_MARK if has_mark else _AFTER_BLANK
    whole = label.start == phrase.start
    right = grid.right_of(phrase)
    if rest is None or len(rest) == 0 or not has_mark:
        if right is not None and not grid.is_header(phrase.line) and not _begins_with_label(index, right):
            yield (right,), _AFTER_MARK if has_mark else _RIGHT
        below = grid.below(label if whole and rest is None else phrase) if rest is None or not has_mark else None
        if below is not None and not _begins_with_label(index, below):
            yield (below,), _BELOW


def _until_next_label(index: LabelIndex, rest: Phrase) -> Phrase | None:
    """Cut off what belongs to another label in the same phrase."""
    words = [word.text for word in rest.run.words]
    for stop, word in enumerate(words):
        if stop == 0 or not word.endswith(":"):
            continue
        start = next(
            (at for at in range(max(1, stop - 3), stop) if index.is_label(" ".join(words[at : stop + 1]))), stop
        )
        return rest.part(0, start)
    return rest


def _begins_with_label(index: LabelIndex, phrase: Phrase) -> bool:
    words = [word.text for word in phrase.run.words[:_MAX_LABEL_WORDS]]
    if any(word.endswith(":") for word in words[:4]):
        return True
    return index.is_label(phrase.text)


def _read(grid: Grid, field: Field, label: Phrase, value: Phrase, sureness: float) -> Candidate | None:
    reading = read_value(field, value.text)
    if reading is None:
        return None
    used = _words_between(value, reading.start, reading.end)
    if used is None:
        return None
    confidence = sureness * reading.certainty * used.run.confidence * label.run.confidence
    return Candidate(field, reading.value, confidence, grid, label.places, used.places, used.box)


def _words_between(phrase: Phrase, start: int, end: int) -> Phrase | None:
    position, first, last = 0, None, None
    for number, word in enumerate(phrase.run.words):
        if position < end and position + len(word.text) > start:
            first, last = number if first is None else first, number
        position += len(word.text) + 1
    return None if first is None or last is None else phrase.part(first, last + 1)


def _address(
    grid: Grid, index: LabelIndex, field: Field, label: Phrase, first: Phrase, sureness: float
) -> Candidate | None:
    block = []
    for phrase in grid.column_below(first, most=_MAX_ADDRESS_LINES + 1, max_drop=_ADDRESS_GAP):
        if block and _begins_with_label(index, phrase):
            break
        block.append(phrase)
    # The first line of an address block is the name, unless it already has a house number in it.
    if (
        len(block) > 1
        and not any(letter.isdigit() for letter in block[0].text)
        and "address" not in normalise(label.text)
    ):
        block = block[1:]
    block = block[:_MAX_ADDRESS_LINES]
    text = ", ".join(phrase.text.strip(" ,:") for phrase in block)
    if not any(letter.isdigit() for letter in text):
        return None
    words = Run(tuple(word for phrase in block for word in phrase.run.words))
    places = frozenset(place for phrase in block for place in phrase.places)
    confidence = sureness * words.confidence * label.run.confidence
    return Candidate(field, text, confidence, grid, label.places, places, words.box)
