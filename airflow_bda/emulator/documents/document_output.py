"""
The standard output of a document.

Keys as in https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html and in files that the service
wrote: which of them are there depends on the granularity that the project asks for.

The elements of a document (titles, paragraphs, page numbers and tables) are found by simple rules:

- A table is what the file draws as one. Text inside it belongs to it.
- The first line that is clearly higher than the usual line is the TITLE; further ones are SECTION_HEADER.
- A last line such as "Page 2 of 3" is a PAGE_NUMBER.
- Lines that follow each other closely are one PARAGRAPH.
"""

from __future__ import annotations

import csv
import io
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from itertools import accumulate
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.contract import ASSET_ID, PLACEHOLDER, AssetFiles, DocumentOptions, Source
from airflow_bda.emulator.documents.reading.input_limits import STEP_CLOCK
from airflow_bda.emulator.documents.reading.layout import Box, Run, bounding_box, stable_id
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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


def elements_of(pages: Sequence[Page]) -> Iterator[tuple[Page, TextElement | TableElement]]:
    """Find the elements of a document in reading order; what looks like a title after the first one is a header."""
    # In points or pixels; 0 for a document without text.
    usual = median([line.height * page.height for page in pages for line in page.lines] or [0.0])
    title_seen = False
    for page in pages:
        STEP_CLOCK.restart()
        for element in _elements_of_page(page, usual):
            if isinstance(element, TextElement) and element.sub_type == TITLE:
                yield page, TextElement(SECTION_HEADER, element.lines) if title_seen else element
                title_seen = True
            else:
                yield page, element


def _elements_of_page(page: Page, usual: float) -> Iterable[TextElement | TableElement]:
    """
    Find the elements of one page in reading order.

    :param usual: the usual height of a line in the whole document.
    """
    tables = sorted(map(TableElement, page.tables), key=lambda table: table.box.top)
    lines = list(_lines_outside(tables, page.lines))
    found: list[TextElement | TableElement] = [*_text_elements(page, lines, usual), *tables]
    return sorted(found, key=lambda element: element.box.top)


def _lines_outside(tables: Sequence[TableElement], lines: Iterable[Run]) -> Iterator[Run]:
    """
    Leave out the lines that stand in a table; a page may have thousands of both.

    :param tables: from the top down.
    """
    tops = [table.box.top for table in tables]
    lowest = list(accumulate((table.box.bottom for table in tables), max))
    for line in lines:
        at = bisect_right(tops, line.box.middle) - 1
        while at >= 0 and lowest[at] >= line.box.middle and not tables[at].box.contains(line.box):
            at -= 1
        if at < 0 or lowest[at] < line.box.middle:
            yield line


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


_CONFIDENCE_PLACES = 4
# The service's lines all have about this confidence, whatever their words have.
_LINE_CONFIDENCE = 0.01
# Identity: nothing is rectified here, so a page fills its picture.
_CORNERS = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
_KEYS = {"PLAIN_TEXT": "text", "MARKDOWN": "markdown", "HTML": "html", "CSV": "csv"}
_SUFFIXES = {"text": ".txt", "markdown": ".md", "html": ".html"}

NO_TEXT_MODELS = "Descriptions and summaries are placeholders: the emulator runs no model."
NO_GEOMETRY = "No boxes: the emulator does not lay a DOCX out. A page is what lies between two page breaks."

Element = TextElement | TableElement


@dataclass(frozen=True)
class DocumentResult:
    """
    What ``standard_output/<segment>/result.json`` of a document holds, as far as the options ask for it.

    :param pages: the pages of this segment, at least one.
    :param segment: the segment's number, from 0.
    :param files: takes the additional files; None where none are asked for.
    :param sync: whether this answers ``InvokeDataAutomation``, where the subdocument is always called 1.
    """

    source: Source
    file_type: str
    pages: Sequence[Page]
    segment: int = 0
    options: DocumentOptions = field(default_factory=DocumentOptions)
    files: AssetFiles | None = None
    sync: bool = False

    def to_json(self) -> dict[str, Any]:
        """Build the content of the file."""
        wanted = self.options.granularity
        result: dict[str, Any] = {"metadata": self._metadata(), "document": self._document()}
        if "PAGE" in wanted:
            result["pages"] = [self._page(page) for page in self.pages]
        if "ELEMENT" in wanted:
            result["elements"] = [self._element(order, *placed) for order, placed in enumerate(self._placed)]
        if "LINE" in wanted:
            result["text_lines"] = list(self._lines())
        if "WORD" in wanted:
            result["text_words"] = list(self._words())
        return result

    @cached_property
    def _placed(self) -> list[tuple[Page, Element]]:
        return list(elements_of(self.pages))

    @cached_property
    def _elements_of_page(self) -> dict[int, list[Element]]:
        elements: dict[int, list[Element]] = {page.index: [] for page in self.pages}
        for page, element in self._placed:
            elements[page.index].append(element)
        return elements

    def _metadata(self) -> dict[str, Any]:
        return {
            "asset_id": ASSET_ID,
            "logical_subdocument_id": "1" if self.sync else str(self.segment),
            "semantic_modality": str(Modality.DOCUMENT),
            **self.source.keys,
            "number_of_pages": len(self.pages),
            "start_page_index": self.pages[0].index,
            "end_page_index": self.pages[-1].index,
            "file_type": self.file_type,
        }

    def _document(self) -> dict[str, Any]:
        elements = [element for _, element in self._placed]
        document: dict[str, Any] = {}
        if "DOCUMENT" in self.options.granularity:
            document["representation"] = self._representation(elements)
        if self.options.generative:
            document |= {"description": PLACEHOLDER, "summary": PLACEHOLDER}
        statistics = self._statistics(elements, self.pages)
        if "ELEMENT" in self.options.granularity:
            statistics["hyperlink_count"] = sum(page.hyperlinks for page in self.pages)
        if statistics:
            document["statistics"] = statistics
        if self.files:
            for name, text in self._representation(elements).items():
                if name in _SUFFIXES:
                    self.files.add(f"document{_SUFFIXES[name]}", text.encode())
        return document

    def _page(self, page: Page) -> dict[str, Any]:
        elements = self._elements_of_page[page.index]
        entry: dict[str, Any] = {"id": stable_id(self.source.key, "page", page.index), "page_index": page.index}
        for element in elements:
            if isinstance(element, TextElement) and element.sub_type == PAGE_NUMBER:
                entry["detected_page_number"] = int(re.findall(r"\d+", element.text)[0])
                break
        entry["representation"] = self._representation(elements)
        if statistics := self._statistics(elements, [page]):
            entry["statistics"] = statistics
        picture: dict[str, Any] = {}
        if self.files and self.files.picture_of:
            name = f"rectified_image_{page.index}.png"
            picture["rectified_image"] = self.files.add(name, self.files.picture_of(page.index))
        width, height = page.pixels
        entry["asset_metadata"] = picture | {
            "rectified_image_width_pixels": width,
            "rectified_image_height_pixels": height,
            "corners": _CORNERS,
        }
        return entry

    def _element(self, order: int, page: Page, element: Element) -> dict[str, Any]:
        is_table = isinstance(element, TableElement)
        entry: dict[str, Any] = {
            "id": stable_id(self.source.key, "element", page.index, order),
            "type": "TABLE" if is_table else "TEXT",
            "representation": self._representation([element]),
            "reading_order": order,
            "page_indices": [page.index],
            **self._locations(page, element.box),
        }
        if isinstance(element, TextElement):
            entry["sub_type"] = element.sub_type
        else:
            entry["headers"] = list(element.table.rows[0])
            if self.files:
                entry["csv_s3_uri"] = self.files.add(f"table_{order}.csv", element.csv.encode())
        return entry

    def _lines(self) -> Iterator[dict[str, Any]]:
        for page in self.pages:
            for order, line in enumerate(page.lines):
                yield {
                    "id": stable_id(self.source.key, "line", page.index, order),
                    "text": line.text,
                    "reading_order": order,
                    "page_index": page.index,
                    "confidence": _LINE_CONFIDENCE,
                    **self._locations(page, line.box),
                }

    def _words(self) -> Iterator[dict[str, Any]]:
        for page in self.pages:
            places = ((order, at, word) for order, line in enumerate(page.lines) for at, word in enumerate(line.words))
            for reading_order, (order, at, word) in enumerate(places):
                yield {
                    "id": stable_id(self.source.key, "word", page.index, order, at),
                    "text": word.text,
                    "line_id": stable_id(self.source.key, "line", page.index, order),
                    "reading_order": reading_order,
                    "page_index": page.index,
                    "confidence": round(word.confidence, _CONFIDENCE_PLACES),
                    **self._locations(page, word.box),
                }

    def _representation(self, elements: Sequence[Element]) -> dict[str, str]:
        texts: dict[str, Callable[[], str]] = {
            "PLAIN_TEXT": lambda: "\n".join(element.text for element in elements),
            "MARKDOWN": lambda: "\n\n".join(element.markdown for element in elements),
            "HTML": lambda: "".join(element.html for element in elements),
            "CSV": lambda: "\n".join(element.csv for element in elements if isinstance(element, TableElement)),
        }
        found = {_KEYS[name]: write() for name, write in texts.items() if name in self.options.text_formats}
        if not found.get("csv", "tables"):
            # There is a CSV only of tables.
            del found["csv"]
        return found

    def _statistics(self, elements: Sequence[Element], pages: Sequence[Page]) -> dict[str, int]:
        counts = {
            "ELEMENT": {
                "element_count": len(elements),
                "table_count": sum(isinstance(element, TableElement) for element in elements),
                "figure_count": 0,
            },
            "WORD": {"word_count": sum(len(page.words) for page in pages)},
            "LINE": {"line_count": sum(len(page.lines) for page in pages)},
        }
        return {
            name: count
            for level, part in counts.items()
            if level in self.options.granularity
            for name, count in part.items()
        }

    def _locations(self, page: Page, box: Box) -> dict[str, Any]:
        """Return where something stands; nothing for a page whose boxes are only an order of ours."""
        if not (self.options.bounding_boxes and page.has_geometry):
            return {}
        return {"locations": [{"page_index": page.index, "bounding_box": bounding_box(box)}]}
