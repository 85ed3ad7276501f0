"""
The words of a page as phrases with their neighbours, what was found among them, and the rows of tables.

A list of objects is a table whose head names at least two of the columns. Below the head, each word goes to the column
whose heading it stands under. A line without any number continues the text of the row above it. A line that begins with
a label of a single field, such as a total, ends the table. A list without a head is not found: which of its texts and
numbers mean what would be a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.labels import LabelIndex, normalise
from airflow_bda.emulator.documents.fields.values import Kind, find_numbers, kind_of, read_value
from airflow_bda.emulator.documents.reading.layout import Box, Page, Run, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprint_schema import Field, Rows
    from airflow_bda.emulator.documents.fields.values import Value

# Where a word stands: its line on the page, and its place in the line.
Place = tuple[int, int]

# What is printed, or read by OCR, without a blank between label and value: "Date:2026-01-05".
_GLUED = re.compile(r"(?P<label>[^\W\d_][^:/]*:)(?P<value>[^\s:/].*)")
# The value below a label is no further away than this many line heights.
_MAX_DROP = 2.5
# Left edges this near, in line heights, are one edge.
_ALIGNED = 0.7


@dataclass(frozen=True)
class Phrase:
    """
    Words of one line without a wide gap between them.

    :param line: the number of its line on the page.
    :param start: the place of its first word in that line.
    """

    line: int
    start: int
    run: Run

    def __len__(self) -> int:
        return len(self.run.words)

    @property
    def text(self) -> str:
        """The words with single blanks between them."""
        return self.run.text

    @property
    def box(self) -> Box:
        """The box around all words."""
        return self.run.box

    @cached_property
    def places(self) -> frozenset[Place]:
        """Where the words stand."""
        return frozenset((self.line, self.start + offset) for offset in range(len(self)))

    def part(self, start: int, end: int) -> Phrase:
        """Return some of the words."""
        return Phrase(self.line, self.start + start, Run(self.run.words[start:end]))

    def between(self, start: int, end: int) -> Phrase:
        """Return the words that hold these characters of the text."""
        position, covered = 0, []
        for number, word in enumerate(self.run.words):
            if position < end and position + len(word.text) > start:
                covered.append(number)
            position += len(word.text) + 1
        return self.part(covered[0], covered[-1] + 1)


class Grid:
    """
    A page's lines, each split into phrases.

    :param page: where the words come from.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.lines: list[list[Phrase]] = []
        for number, line in enumerate(page.lines):
            whole = Run(tuple(part for word in line.words for part in _unglued(word)))
            phrases, start = [], 0
            for run in page.phrases(whole):
                phrases.append(Phrase(number, start, run))
                start += len(run.words)
            self.lines.append(phrases)

    @cached_property
    def phrases(self) -> list[Phrase]:
        """All phrases in reading order."""
        return [phrase for line in self.lines for phrase in line]

    def right_of(self, phrase: Phrase) -> Phrase | None:
        """Return the next phrase in the line."""
        return next((each for each in self.lines[phrase.line] if each.start >= phrase.start + len(phrase)), None)

    def below(self, phrase: Phrase, *, max_drop: float = _MAX_DROP) -> Phrase | None:
        """Return the nearest phrase below that stands in the same column."""
        for line in self.lines[phrase.line + 1 :]:
            drop = (line[0].box.top - phrase.box.bottom) / phrase.run.height
            if drop > max_drop:
                return None
            under = [
                each
                for each in line
                if drop > -1 and (phrase.box.overlap(each.box) > 0 or self._left_aligned(phrase, each))
            ]
            if under:
                return max(under, key=lambda each: phrase.box.overlap(each.box))
        return None

    def is_header(self, line: int) -> bool:
        """Whether each phrase of a line has its own phrase in the line below it: a row of labels over values."""
        phrases = self.lines[line]
        if len(phrases) < 2 or any(":" in each.text or re.search(r"\d", each.text) for each in phrases):  # noqa: PLR2004 - one phrase is no row
            return False
        under = [self.below(each) for each in phrases]
        distinct = {each.start for each in under if each is not None}
        return None not in under and len(distinct) == len(phrases) and any(re.search(r"\d", u.text) for u in under if u)

    def column_below(self, first: Phrase, *, most: int, max_drop: float) -> list[Phrase]:
        """Return a phrase and those that follow closely below it with the same left edge."""
        block = [first]
        while len(block) < most:
            following = self.below(block[-1], max_drop=max_drop)
            if following is None or not self._left_aligned(block[0], following):
                break
            block.append(following)
        return block

    def _left_aligned(self, one: Phrase, other: Phrase) -> bool:
        near = _ALIGNED * one.run.height * self.page.height / self.page.width
        return abs(one.box.left - other.box.left) <= near


def _unglued(word: Word) -> Sequence[Word]:
    match = _GLUED.fullmatch(word.text)
    if match is None:
        return (word,)
    share = len(match["label"]) / len(word.text)
    box = word.box
    return (
        replace(word, text=match["label"], box=replace(box, width=box.width * share)),
        replace(
            word,
            text=match["value"],
            box=Box(box.left + box.width * share, box.top, box.width * (1 - share), box.height),
        ),
    )


@dataclass(frozen=True)
class Finding:
    """
    A value, and where it stands.

    :param confidence: 0 to 1, see :mod:`~airflow_bda.emulator.documents.fields.matching`.
    :param boxes: where it stands, one for each line of print.
    """

    value: Value
    confidence: float
    page: Page
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Findings:
    """
    All values found for one blueprint.

    :param fields: the single fields that were found; others are missing.
    :param tables: the rows of each list of objects, by column; a cell that is empty is missing.
    """

    fields: Mapping[Field, Finding] = dataclass_field(default_factory=dict)
    tables: Mapping[Rows, tuple[Mapping[Field, Finding], ...]] = dataclass_field(default_factory=dict)


_MAX_HEADING_WORDS = 4
_LEAST_COLUMNS = 2
# In line heights: how far the first row may stand from the head, and a row from the one above it.
_FIRST_ROW_GAP, _ROW_GAP = 5.0, 3.5
_CONTINUATION_GAP = 1.2
_TEXT_CERTAINTY = 0.95
_ENDS = re.compile(
    r"(sub ?total|total|grand total|balance|amount due|tax|net|gross|cash|change|card|visa|mastercard|discount|"
    r"notes?|terms|payment|thank|page|rounding|tip)\b"
)

Row = dict["Field", Finding]


@dataclass(frozen=True)
class TableRows:
    """The rows of one table on one page, and the words that belong to it."""

    rows: tuple[Mapping[Field, Finding], ...]
    places: frozenset[Place]


@dataclass(frozen=True)
class _Column:
    """A heading; without a field when the blueprint does not ask for its column."""

    heading: Phrase
    field: Field | None
    similarity: float = 0.0


def find_rows(grid: Grid, scalars: LabelIndex, columns: LabelIndex) -> TableRows:
    """
    Find the rows of one list on one page.

    :param scalars: the labels of single fields, which end a table.
    :param columns: the labels of the list's own fields.
    """
    heads = [(number, head) for number in range(len(grid.lines)) if (head := _head(grid, number, columns))]
    best = max(heads, key=lambda each: sum(column.similarity for column in each[1]), default=None)
    if best is None:
        return TableRows((), frozenset())
    number, head = best
    rows, last = _rows_below(grid, number, head, scalars)
    if not rows:
        return TableRows((), frozenset())
    places = frozenset(place for line in grid.lines[number : last + 1] for phrase in line for place in phrase.places)
    return TableRows(tuple(rows), places)


def _head(grid: Grid, number: int, columns: LabelIndex) -> list[_Column] | None:
    found: list[_Column] = []
    used: set[Field] = set()
    for phrase in grid.lines[number]:
        position = 0
        while position < len(phrase):
            column = _heading_at(phrase, position, columns, used)
            found.append(column)
            position += len(column.heading)
            if column.field is not None:
                used.add(column.field)
    values = any(re.search(r"\d", column.heading.text) for column in found if column.field is None)
    return found if len(used) >= _LEAST_COLUMNS and not values else None


def _heading_at(phrase: Phrase, start: int, columns: LabelIndex, used: set[Field]) -> _Column:
    for end in range(min(start + _MAX_HEADING_WORDS, len(phrase)), start, -1):
        heading = phrase.part(start, end)
        hit = next((hit for hit in columns.hits(normalise(heading.text)) if hit.field not in used), None)
        if hit is not None:
            return _Column(heading, hit.field, hit.similarity)
    return _Column(phrase.part(start, start + 1), None)


def _rows_below(grid: Grid, head_line: int, head: Sequence[_Column], scalars: LabelIndex) -> tuple[list[Row], int]:
    rows: list[Row] = []
    fields = [column.field for column in head if column.field is not None]
    figures = {field for field in fields if kind_of(field) in (Kind.NUMBER, Kind.AMOUNT_TEXT)}
    last, bottom = head_line, grid.lines[head_line][0].box.bottom
    for number in range(head_line + 1, len(grid.lines)):
        line = grid.lines[number]
        height = line[0].run.height
        gap = (min(phrase.box.top for phrase in line) - bottom) / height
        if gap > (_ROW_GAP if rows else _FIRST_ROW_GAP) or _ends_table(line, scalars):
            break
        cells = _cells(line, head)
        row = _row(grid.page, cells, head)
        has_figure = not figures.isdisjoint(row)
        # A line is a row of its own when it has a figure, where the table has columns of figures at all.
        if has_figure if figures else len(row) > 1:
            rows.append(row)
        elif rows and row and gap <= _CONTINUATION_GAP and not has_figure:
            _continue(rows[-1], row)
        elif rows:
            break
        last, bottom = number, max(phrase.box.bottom for phrase in line)
    return rows, last


def _ends_table(line: Sequence[Phrase], scalars: LabelIndex) -> bool:
    first = line[0]
    words = [word.text for word in first.run.words]
    while len(words) > 1 and (re.search(r"\d", words[-1]) or not re.search(r"\w", words[-1])):
        words.pop()
    text = normalise(" ".join(words))
    return bool(scalars.hits(text)) or _ENDS.fullmatch(text) is not None or text.startswith(("subtotal", "sub total"))


def _cells(line: Sequence[Phrase], head: Sequence[_Column]) -> dict[int, list[Word]]:
    cells: dict[int, list[Word]] = {}
    for phrase in line:
        over = [number for number, column in enumerate(head) if column.heading.box.overlap(phrase.box) > 0]
        if len(over) == 1:
            cells.setdefault(over[0], []).extend(phrase.run.words)
            continue
        column: int | None = None
        for word in phrase.run.words:
            column = _column_of(word, head, column)
            cells.setdefault(column, []).append(word)
    return cells


def _column_of(word: Word, head: Sequence[_Column], before: int | None) -> int:
    overlaps = [column.heading.box.overlap(word.box) for column in head]
    if max(overlaps) > 0:
        return overlaps.index(max(overlaps))
    if before is not None and not find_numbers(word.text):
        return before
    # The distance between two boxes is their overlap below zero.
    return overlaps.index(max(overlaps))


def _row(page: Page, cells: Mapping[int, list[Word]], head: Sequence[_Column]) -> Row:
    row: Row = {}
    for number, words in cells.items():
        column = head[number]
        if column.field is None:
            continue
        cell = Run(tuple(sorted(words, key=lambda word: word.box.left)))
        reading = read_value(column.field, cell.text)
        value = reading.value if reading else cell.text if column.field.type == "string" else None
        if value is not None:
            certainty = reading.certainty if reading else _TEXT_CERTAINTY
            confidence = column.similarity * certainty * cell.confidence
            row[column.field] = Finding(value, confidence, page, (cell.box,))
    return row


def _continue(row: Row, more: Row) -> None:
    for field, finding in more.items():
        before = row.get(field)
        if before is None:
            row[field] = finding
        else:
            confidence = min(before.confidence, finding.confidence)
            boxes = (*before.boxes, *finding.boxes)
            row[field] = Finding(f"{before.value} {finding.value}", confidence, before.page, boxes)
