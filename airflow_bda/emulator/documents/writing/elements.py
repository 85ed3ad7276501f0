"""
The elements of a document: titles, paragraphs, page numbers and tables, by simple rules.

- A table is what the file draws as one. Text inside it belongs to it.
- The first line that is clearly higher than the usual line is the TITLE; further ones are SECTION_HEADER.
- A last line such as "Page 2 of 3" is a PAGE_NUMBER.
- Lines that follow each other closely are one PARAGRAPH.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.reading.layout import Box, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_bda.emulator.documents.reading.layout import Page, Table

TITLE, SECTION_HEADER, PARAGRAPH, PAGE_NUMBER = "TITLE", "SECTION_HEADER", "PARAGRAPH", "PAGE_NUMBER"

# A heading is this much higher than the usual line of the document.
_TITLE_RATIO, _SECTION_RATIO = 1.4, 1.15
# A gap wider than this share of a line's height ends a paragraph.
_PARAGRAPH_GAP = 0.9
_PAGE_NUMBER = re.compile(r"(page|p\.|-)?\s*\d{1,4}\s*((of|/)\s*\d{1,4})?\s*-?", re.IGNORECASE)
_MARKS = {TITLE: "# ", SECTION_HEADER: "## "}
_TAGS = {TITLE: "h1", SECTION_HEADER: "h2"}


@dataclass(frozen=True)
class TextElement:
    """Some lines of one kind."""

    sub_type: str
    lines: tuple[Run, ...]

    @property
    def box(self) -> Box:
        """The box around all lines."""
        return Box.around(line.box for line in self.lines)

    @property
    def text(self) -> str:
        """The lines, one below the other."""
        return "\n".join(line.text for line in self.lines)

    @property
    def markdown(self) -> str:
        """The lines with the mark of their kind."""
        return _MARKS.get(self.sub_type, "") + self.text

    @property
    def html(self) -> str:
        """The lines in the element of their kind."""
        tag = _TAGS.get(self.sub_type, "p")
        return f"<{tag}>{escape(self.text)}</{tag}>"


@dataclass(frozen=True)
class TableElement:
    """A table and the lines that stand in it."""

    table: Table

    @property
    def box(self) -> Box:
        """The table's frame."""
        return self.table.box

    @property
    def text(self) -> str:
        """The rows, their cells parted by tabs."""
        return "\n".join("\t".join(row) for row in self.table.rows)

    @property
    def markdown(self) -> str:
        """The rows as a Markdown table; the first one is the head."""
        head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in self.table.rows)
        return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))

    @property
    def html(self) -> str:
        """The rows as a table; the first one is the head."""
        rows = []
        for number, row in enumerate(self.table.rows):
            tag = "td" if number else "th"
            cells = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
            rows.append(f"<tr>{cells}</tr>")
        return f"<table>{''.join(rows)}</table>"

    @property
    def csv(self) -> str:
        """The rows as comma-separated values."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.table.rows)
        return text.getvalue()


def usual_height(pages: Sequence[Page]) -> float:
    """Return the usual height of a line in points or pixels; 0 for a document without text."""
    return median([line.height * page.height for page in pages for line in page.lines] or [0.0])


def elements_of(page: Page, usual: float, *, title_seen: bool) -> Iterator[TextElement | TableElement]:
    """
    Find the elements of one page in reading order.

    :param usual: the usual height of a line in the whole document.
    :param title_seen: whether a page before has the document's title.
    """
    tables = [TableElement(table) for table in page.tables]
    lines = [line for line in page.lines if not any(table.box.contains(line.box) for table in tables)]
    found: list[TextElement | TableElement] = [*_text_elements(page, lines, usual), *tables]
    for element in sorted(found, key=lambda element: element.box.top):
        if isinstance(element, TextElement) and element.sub_type == TITLE:
            yield TextElement(SECTION_HEADER, element.lines) if title_seen else element
            title_seen = True
        else:
            yield element


def _text_elements(page: Page, lines: Sequence[Run], usual: float) -> Iterator[TextElement]:
    block: list[Run] = []
    block_kind = PARAGRAPH
    for line in lines:
        kind = _kind(line, page, usual, is_last=line is lines[-1])
        above = block[-1] if block else line
        gap = (line.box.top - above.box.bottom) / min(above.height, line.height)
        if block and (kind != block_kind or gap > _PARAGRAPH_GAP):
            yield TextElement(block_kind, tuple(block))
            block = []
        block.append(line)
        block_kind = kind
    if block:
        yield TextElement(block_kind, tuple(block))


def _kind(line: Run, page: Page, usual: float, *, is_last: bool) -> str:
    if is_last and page.has_geometry and _PAGE_NUMBER.fullmatch(line.text):
        return PAGE_NUMBER
    height = line.height * page.height
    if height >= _TITLE_RATIO * usual:
        return TITLE
    return SECTION_HEADER if height >= _SECTION_RATIO * usual else PARAGRAPH
