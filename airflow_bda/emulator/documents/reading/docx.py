"""
DOCX documents.

The service converts them to PDF first. There is no layout here: paragraphs and table rows are put one below the other
in an order of ours, so that labels and values stand side by side, and pages are what lies between page breaks.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.reading.input_limits import (
    LIMIT_EXCEEDED,
    MAX_DOCX_ELEMENTS,
    MAX_DOCX_UNPACKED_BYTES,
    STEP_CLOCK,
    DocumentLimits,
    InputError,
    check_words,
    unreadable_means_input_error,
)
from airflow_bda.emulator.documents.reading.layout import Box, Document, Page, Run, Table, Word

if TYPE_CHECKING:
    from collections.abc import Iterator


# A sheet of our own, in characters and lines: only the order and the gaps matter.
_COLUMNS, _ROWS = 100.0, 60.0
# In widths of a character: from line to line, and the height of a line, half of that.
_LINE_PITCH = 4.0
_CHARACTERS_PER_TAB = 24
_TITLE_STYLES = ("Title", "Heading")
_TITLE_SCALE = 1.5
_PIECE = 1_000_000
# A second's work. A step's time limit is for one page, and a DOCX need not say where its pages end.
_BLOCKS_OF_A_STEP = 1_000


def read_docx(data: bytes, limits: DocumentLimits) -> Document:
    """
    Read a DOCX.

    :raises InputError: when it is damaged, no DOCX, or beyond the limits.
    """
    with unreadable_means_input_error("a DOCX"):
        import docx

        _refuse_zip_bomb(data)
        document = docx.Document(io.BytesIO(data))
        return Document("DOCX", tuple(sheet.page(index) for index, sheet in enumerate(_sheets(document, limits))))


def _refuse_zip_bomb(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_DOCX_UNPACKED_BYTES:
            raise InputError(
                LIMIT_EXCEEDED,
                f"The DOCX unpacks to {unpacked:,} bytes; the emulator takes up to {MAX_DOCX_UNPACKED_BYTES:,}.",
            )
        for entry in archive.infolist():
            if entry.filename.endswith((".xml", ".rels")):
                _check_elements(archive, entry)


def _check_elements(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Count the tags of a part without keeping it: parsed, each takes a hundred times its letters."""
    elements = 0
    with archive.open(entry) as part:
        while piece := part.read(_PIECE):
            elements += piece.count(b"<")
            if elements > MAX_DOCX_ELEMENTS:
                raise InputError(
                    LIMIT_EXCEEDED,
                    f"{entry.filename} in the DOCX has more than {MAX_DOCX_ELEMENTS:,} tags, which the emulator takes.",
                )


class _Sheet:
    """
    Collects the lines and tables of one page.

    :param number: of the page, from 1.
    :param words_before: how many words the pages before it have.
    """

    def __init__(self, number: int, words_before: int) -> None:
        self.lines: list[Run] = []
        self.tables: list[Table] = []
        self.words = 0
        self._number, self._words_before = number, words_before
        self._row = 0

    def next(self) -> _Sheet:
        """Return an empty sheet for the next page."""
        return _Sheet(self._number + 1, self._words_before + self.words)

    def add_line(self, cells: list[tuple[int, str]], scale: float = 1.0) -> None:
        """Add texts, each at its column, as one line."""
        words = [word for column, text in cells for word in self._words(column, text, scale)]
        if words:
            self.lines.append(Run(tuple(words)))
            self.words += len(words)
            check_words(self._number, self.words, self._words_before + self.words)
        self._row += 1

    def add_table(self, rows: list[list[str]]) -> None:
        """Add a table, its columns as wide as their longest cell."""
        widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(max(map(len, rows)))]
        starts = [sum(widths[:index]) + _CHARACTERS_PER_TAB * index for index in range(len(widths))]
        top = self._row
        for row in rows:
            self.add_line(list(zip(starts, row, strict=False)))
        box = Box(0.0, top / _ROWS, 1.0, len(rows) / _ROWS)
        self.tables.append(Table(tuple(tuple(row) for row in rows), box))

    def page(self, index: int) -> Page:
        """Return what was collected."""
        return Page(index, _COLUMNS, _ROWS * _LINE_PITCH, tuple(self.lines), tuple(self.tables), has_geometry=False)

    def _words(self, column: int, text: str, scale: float) -> Iterator[Word]:
        position = 0
        for part in text.split():
            start = text.index(part, position)
            position = start + len(part)
            left, top = (column + start) / _COLUMNS, (self._row + 0.1) / _ROWS
            yield Word(part, Box(left, top, len(part) / _COLUMNS, 0.5 * scale / _ROWS))


def _sheets(document: Any, limits: DocumentLimits) -> list[_Sheet]:
    names = {style.style_id: str(style.name) for style in document.styles}
    sheets = [_Sheet(1, 0)]
    for number, block in enumerate(document.iter_inner_content()):
        if number % _BLOCKS_OF_A_STEP == 0:
            STEP_CLOCK.restart()
        if hasattr(block, "rows"):
            rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in block.rows]
            if rows and any(rows):
                sheets[-1].add_table(rows)
            continue
        if sheets[-1].lines and (block.paragraph_format.page_break_before or _breaks_page(block._p)):  # noqa: SLF001 - python-docx's own way to elements that it does not wrap
            if len(sheets) == limits.max_pages:
                raise InputError(
                    LIMIT_EXCEEDED, f"The DOCX has more than {limits.max_pages} pages, which this call takes."
                )
            sheets.append(sheets[-1].next())
        # By the name in the paragraph: python-docx looks through all styles for one that a paragraph does not name.
        is_title = names.get(block._p.style, "").startswith(_TITLE_STYLES)  # noqa: SLF001 - as above
        for text in block.text.split("\n"):
            sheets[-1].add_line(_tabbed(text), _TITLE_SCALE if is_title else 1.0)
    return sheets


def _breaks_page(paragraph: Any) -> bool:
    from docx.oxml.ns import qn

    breaks = paragraph.iter(qn("w:br"), qn("w:lastRenderedPageBreak"))
    return any(each.tag == qn("w:lastRenderedPageBreak") or each.get(qn("w:type")) == "page" for each in breaks)


def _tabbed(text: str) -> list[tuple[int, str]]:
    cells, column = [], 0
    for part in text.split("\t"):
        cells.append((column, part))
        column += len(part) + _CHARACTERS_PER_TAB
    return cells
