"""
Which blueprint fits which pages, and which single fields are found there by their labels.

The score of a blueprint for some pages is

    0.4 x how clearly they name the blueprint's class + 0.6 x the share of its labelled fields that were found

where the class counts fully in a short line or high print, and half in running text. Below the threshold, and with
fewer than two fields found, a blueprint does not fit. The best-fitting one wins.

With several blueprints asked for, pages are split: a new segment starts at each page that by itself names the class of
a blueprint, fits it, and fits it best, when the pages before it belong to another one. Pages that fit nothing stay
with the pages before them. Two documents of one blueprint in a row are not told apart.

A single field is found by its label. Each text that comes near a label leads to the words behind it, to the phrase on
its right, or to the one below it. The first of these that reads as a value of the field's kind is a candidate with the

    confidence = similarity of the label x sureness of the place x certainty of the reading x confidence of the OCR

and candidates are taken from the surest down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.grid import Finding, Findings, Grid, find_rows
from airflow_bda.emulator.documents.fields.labels import LabelIndex, normalise, words_of_name
from airflow_bda.emulator.documents.fields.values import Kind, kind_of, read_value
from airflow_bda.emulator.documents.reading.input_limits import STEP_CLOCK
from airflow_bda.emulator.documents.reading.layout import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprint_schema import Blueprint, Field, Rows
    from airflow_bda.emulator.documents.fields.grid import Phrase, Place
    from airflow_bda.emulator.documents.fields.values import Value
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
_CLASS_SHARE, _FIELDS_SHARE = 0.4, 0.6
_NAMED_IN_TITLE, _NAMED_IN_TEXT = 1.0, 0.5
_TITLE_WORDS = 6
_LEAST_FIELDS = 2
# A document below this score fits no blueprint. The service's own measure is not known.
_MATCH_THRESHOLD = 0.4
_OTHER_CLASS_NAMES = {
    "invoice": ("invoice", "bill", "pro forma", "proforma"),
    "receipt": ("receipt", "sales slip", "till slip", "cash sale"),
    "payslip": ("payslip", "pay slip", "paystub", "pay stub", "earnings statement", "pay statement", "pay advice"),
    "bank statement": ("bank statement", "account statement", "statement of account", "checking statement"),
    "driver license": ("driver license", "drivers license", "driver s license", "driving licence"),
}
_GENERAL_CLASS_WORDS = frozenset({"us", "document", "form", "standard", "custom", "general", "the", "of"})


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


@dataclass(frozen=True)
class Match:
    """
    A blueprint that was tried, and what was found for it.

    :param fits: whether its score and the number of fields that were found suffice.
    """

    blueprint: Blueprint
    score: float
    findings: Findings
    fits: bool = True


@dataclass(frozen=True)
class Segment:
    """
    Pages that are one document, and the blueprint that was applied to them, if one was.

    :param fell_back: whether none fitted, and the blueprint is the project's fallback.
    """

    pages: tuple[Page, ...]
    match: Match | None
    fell_back: bool = False


@dataclass(frozen=True)
class Candidates:
    """
    The blueprints that documents may be matched with.

    :param blueprints: those of the request; nothing matches when there are none.
    :param fallback: what is applied where none fits.
    :param is_forced: whether the only blueprint is applied whether it fits or not.
    """

    blueprints: tuple[Blueprint, ...] = ()
    fallback: Blueprint | None = None
    is_forced: bool = False


def match_segments(pages: Sequence[Page], candidates: Candidates, *, split: bool) -> tuple[Segment, ...]:
    """
    Split pages into documents and find the blueprint of each.

    :param split: whether several documents are looked for.
    :return: at least one segment.
    """
    pages = tuple(pages)
    grids = [Grid(page) for page in pages] if candidates != Candidates() else []
    trials = [_Trial(blueprint, grids) for blueprint in candidates.blueprints]
    fallback = _Trial(candidates.fallback, grids) if candidates.fallback else None
    starts = _starts(trials, len(pages)) if split and len(trials) > 1 else [0]
    segments = []
    for start, end in zip(starts, [*starts[1:], len(pages)], strict=True):
        match, fell_back = _best(trials, start, end), False
        if match is None and candidates.is_forced and trials:
            match = trials[0].apply(start, end)
        if match is None and fallback is not None:
            match, fell_back = fallback.apply(start, end), True
        segments.append(Segment(pages[start:end], match, fell_back))
    return tuple(segments)


def _best(trials: Sequence[_Trial], start: int, end: int) -> Match | None:
    matches = [match for trial in trials if (match := trial.apply(start, end)).fits]
    return max(matches, key=lambda match: match.score, default=None)


def _starts(trials: Sequence[_Trial], pages: int) -> list[int]:
    starts, current = [0], None
    for page in range(pages):
        named = [trial for trial in trials if trial.class_evidence(page, page + 1) >= _NAMED_IN_TITLE]
        match = _best(named, page, page + 1)
        if match is None or match.blueprint == current:
            continue
        if page > 0:
            starts.append(page)
        current = match.blueprint
    return starts


class _Trial:
    """One blueprint tried on the pages of one input; what it finds on a page is found once."""

    def __init__(self, blueprint: Blueprint, grids: Sequence[Grid]) -> None:
        self._blueprint = blueprint
        self._grids = grids
        self._scalars = LabelIndex(blueprint.fields, blueprint.document_class)
        self._columns = {rows: LabelIndex(rows.columns, blueprint.document_class) for rows in blueprint.tables}

    def class_evidence(self, start: int, end: int) -> float:
        """Return how clearly some pages name the blueprint's class, 0 to 1."""
        return max(self._named[start:end], default=0.0)

    def apply(self, start: int, end: int) -> Match:
        """Return what was found on some pages, whether the blueprint fits them or not."""
        pages = self._found[start:end]
        fields = choose(candidate for candidates, _ in pages for candidate in candidates)
        tables = {name: tuple(row for _, rows in pages for row in rows[name]) for name in self._blueprint.tables}
        found = len(fields) + sum(1 for rows in tables.values() if rows)
        wanted = len(self._blueprint.fields) + len(self._blueprint.tables)
        score = _CLASS_SHARE * self.class_evidence(start, end) + _FIELDS_SHARE * found / wanted
        fits = score >= _MATCH_THRESHOLD and found >= min(_LEAST_FIELDS, wanted)
        return Match(self._blueprint, score, Findings(fields, tables), fits)

    @cached_property
    def _found(self) -> list[tuple[list[Candidate], dict[Rows, tuple[Mapping[Field, Finding], ...]]]]:
        found = []
        for grid in self._grids:
            STEP_CLOCK.restart()
            tables = {rows: find_rows(grid, self._scalars, index) for rows, index in self._columns.items()}
            taken = frozenset(place for table in tables.values() for place in table.places)
            rows = {each: table.rows for each, table in tables.items()}
            found.append((list(FieldSearch(grid, self._scalars, taken).candidates()), rows))
        return found

    @cached_property
    def _named(self) -> list[float]:
        names = _class_names(self._blueprint.document_class)
        return [_class_evidence(grid, names) for grid in self._grids]


def _class_names(document_class: str) -> tuple[str, ...]:
    name = " ".join(word for word in words_of_name(document_class).split() if word not in _GENERAL_CLASS_WORDS)
    names = {name, name.removesuffix("s")}
    for general, others in _OTHER_CLASS_NAMES.items():
        if f" {general} " in f" {name.removesuffix('s')} ":
            names.update(others)
    return tuple(f" {each} " for each in names if each)


def _class_evidence(grid: Grid, names: Sequence[str]) -> float:
    evidence = 0.0
    for line in grid.lines:
        for phrase in line:
            text = f" {normalise(phrase.text)} "
            if any(name in text for name in names):
                evidence = max(evidence, _NAMED_IN_TITLE if len(phrase) <= _TITLE_WORDS else _NAMED_IN_TEXT)
    return evidence
