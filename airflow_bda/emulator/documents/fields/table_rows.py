"""
Finds the rows of a list of objects: a table whose head names at least two of the columns.

Below the head, each word goes to the column whose heading it stands under. A line without any number continues the
text of the row above it. A line that begins with a label of a single field, such as a total, ends the table. A list
without a head is not found: which of its texts and numbers mean what would be a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.grid import Finding
from airflow_bda.emulator.documents.fields.kinds import Kind, kind_of, read_value
from airflow_bda.emulator.documents.fields.labels import LabelIndex, normalise
from airflow_bda.emulator.documents.fields.values import find_numbers
from airflow_bda.emulator.documents.reading.layout import Run, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprints import Field
    from airflow_bda.emulator.documents.fields.grid import Grid, Phrase, Place
    from airflow_bda.emulator.documents.reading.layout import Page

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
