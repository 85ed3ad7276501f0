"""
The standard output of a document.

Keys as in https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html. Descriptions and summaries
are left out: nothing here could write them honestly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.outputs import notes
from airflow_bda.emulator.documents.outputs.elements import TITLE, TableElement, TextElement, elements_of, usual_height
from airflow_bda.emulator.documents.outputs.geometry import locations, stable_id
from airflow_bda.emulator.documents.reading import ocr
from airflow_bda.service.formats import Modality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_bda.emulator.documents.reading.layout import Page

ASSET_ID = "0"
_CONFIDENCE_PLACES = 4


@dataclass(frozen=True)
class Source:
    """Where an input came from."""

    bucket: str
    key: str


def document_result(source: Source, file_type: str, pages: Sequence[Page], segment: int) -> dict[str, Any]:
    """
    Build ``standard_output/<segment>/result.json`` of a document.

    :param pages: the pages of this segment, at least one.
    :param segment: the segment's number, from 0.
    """
    placed = _place_elements(pages)
    lines = _text_lines(source, pages)
    words = _text_words(source, pages)
    markdown = "\n\n".join(element.markdown for _, element in placed)
    return {
        "metadata": {
            "asset_id": ASSET_ID,
            "semantic_modality": str(Modality.DOCUMENT),
            "s3_bucket": source.bucket,
            "s3_key": source.key,
            "logical_subdocument_id": str(segment + 1),
            "number_of_pages": len(pages),
            "start_page_index": pages[0].index,
            "end_page_index": pages[-1].index,
            "file_type": file_type,
        },
        "document": {
            "representation": {"text": "\n".join(page.text for page in pages), "markdown": markdown},
            "statistics": {
                **_element_counts([element for _, element in placed]),
                "word_count": len(words),
                "line_count": len(lines),
            },
        },
        "pages": [_page_entry(source, page, [each for at, each in placed if at is page]) for page in pages],
        "elements": [_element_entry(source, page, order, each) for order, (page, each) in enumerate(placed)],
        "text_lines": lines,
        "text_words": words,
        notes.KEY: _notes(pages),
    }


def _place_elements(pages: Sequence[Page]) -> list[tuple[Page, TextElement | TableElement]]:
    placed: list[tuple[Page, TextElement | TableElement]] = []
    usual = usual_height(pages)
    for page in pages:
        title_seen = any(isinstance(each, TextElement) and each.sub_type == TITLE for _, each in placed)
        placed.extend((page, element) for element in elements_of(page, usual, title_seen=title_seen))
    return placed


def _element_counts(elements: Sequence[TextElement | TableElement]) -> dict[str, int]:
    tables = sum(isinstance(element, TableElement) for element in elements)
    return {"element_count": len(elements), "table_count": tables, "figure_count": 0}


def _page_entry(source: Source, page: Page, elements: Sequence[TextElement | TableElement]) -> dict[str, Any]:
    return {
        "id": stable_id(source.key, "page", page.index),
        "page_index": page.index,
        "representation": {
            "text": page.text,
            "markdown": "\n\n".join(element.markdown for element in elements),
        },
        "statistics": {
            **_element_counts(elements),
            "word_count": len(page.words),
            "line_count": len(page.lines),
        },
    }


def _element_entry(source: Source, page: Page, order: int, element: TextElement | TableElement) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": stable_id(source.key, "element", page.index, order),
        "type": "TABLE" if isinstance(element, TableElement) else "TEXT",
        "representation": {"text": element.text, "markdown": element.markdown},
        "reading_order": order,
        "page_indices": [page.index],
        "locations": locations(page, element.box),
    }
    if isinstance(element, TableElement):
        entry["representation"]["csv"] = element.csv
        entry["headers"] = list(element.table.rows[0])
    else:
        entry["sub_type"] = element.sub_type
    return entry


def _text_lines(source: Source, pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [
        {
            "id": stable_id(source.key, "line", page.index, number),
            "text": line.text,
            "reading_order": number,
            "page_index": page.index,
            "confidence": round(line.confidence, _CONFIDENCE_PLACES),
            "locations": locations(page, line.box),
        }
        for page in pages
        for number, line in enumerate(page.lines)
    ]


def _text_words(source: Source, pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [
        {
            "id": stable_id(source.key, "word", page.index, number, position),
            "text": word.text,
            "line_id": stable_id(source.key, "line", page.index, number),
            "page_index": page.index,
            "confidence": round(word.confidence, _CONFIDENCE_PLACES),
            "locations": locations(page, word.box),
        }
        for page in pages
        for number, line in enumerate(page.lines)
        for position, word in enumerate(line.words)
    ]


def _notes(pages: Sequence[Page]) -> list[str]:
    found = [notes.NO_SUMMARY]
    if not all(page.has_geometry for page in pages):
        found.append(notes.NO_GEOMETRY)
    if any(page.was_scanned for page in pages) and not ocr.is_available():
        found.append(notes.NO_OCR)
    return found
