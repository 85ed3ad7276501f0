"""
The standard output of documents and images.

https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-image.html; which members there are depends on the
project's granularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading
from airflow_bda.service.formats import Modality
from airflow_bda.service.results.parts import Label, Location, StandardOutput, TextSpan

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Representation:
    """One text in the formats that the project asks for."""

    text: str | None
    markdown: str | None
    html: str | None

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Representation:
        """Read the ``representation`` of *source*."""
        formats = json_reading.mapping(source, "representation")
        return cls(*(json_reading.text(formats, name) for name in ("text", "markdown", "html")))


@dataclass(frozen=True)
class Page:
    """
    One page.

    :param index: from 0 in the whole input.
    :param detected_page_number: the number printed on it.
    """

    index: int | None
    detected_page_number: str | None
    representation: Representation


@dataclass(frozen=True)
class Element:
    """
    A paragraph, table or figure.

    :param type: ``TEXT``, ``TABLE`` or ``FIGURE``.
    :param sub_type: such as ``TITLE``.
    :param summary: of a figure.
    :param csv_s3_uri: of a table, where files are on.
    """

    id: str | None
    type: str | None
    sub_type: str | None
    reading_order: int | None
    page_indices: tuple[int, ...]
    representation: Representation
    locations: tuple[Location, ...]
    summary: str | None
    csv_s3_uri: str | None


@dataclass(frozen=True, repr=False, kw_only=True)
class DocumentOutput(StandardOutput):
    """
    What was read from a document.

    :param start_page_index: the segment's first page in the whole input, from 0.
    :param end_page_index: its last one.
    """

    representation: Representation
    description: str | None
    number_of_pages: int | None
    start_page_index: int | None
    end_page_index: int | None
    file_type: str | None
    pages: tuple[Page, ...]
    elements: tuple[Element, ...]
    text_lines: tuple[TextSpan, ...]
    text_words: tuple[TextSpan, ...]

    @property
    def page_count(self) -> int:
        """How many pages the segment has, by its own word or by its list of pages."""
        return self.number_of_pages if self.number_of_pages is not None else len(self.pages)

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> DocumentOutput:
        """Read ``result.json``."""
        metadata, whole = json_reading.mapping(source, "metadata"), json_reading.mapping(source, "document")
        return cls(
            modality=Modality.DOCUMENT,
            summary=json_reading.text(whole, "summary"),
            raw=source,
            representation=Representation.parse(whole),
            description=json_reading.text(whole, "description"),
            number_of_pages=json_reading.integer(metadata, "number_of_pages"),
            start_page_index=json_reading.integer(metadata, "start_page_index"),
            end_page_index=json_reading.integer(metadata, "end_page_index"),
            file_type=json_reading.text(metadata, "file_type"),
            pages=tuple(map(_page, json_reading.mappings(source, "pages"))),
            elements=tuple(map(_element, json_reading.mappings(source, "elements"))),
            text_lines=TextSpan.parse_all(source, "text_lines"),
            text_words=TextSpan.parse_all(source, "text_words"),
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class ImageOutput(StandardOutput):
    """
    What was seen in an image.

    :param encoding: ``png``, ``jpeg``, as the service writes it.
    :param categories: of the IAB's taxonomy.
    """

    width_pixels: int | None
    height_pixels: int | None
    color_depth: int | None
    encoding: str | None
    categories: tuple[Label, ...]
    content_moderation: tuple[Label, ...]
    logos: tuple[Label, ...]
    text_lines: tuple[TextSpan, ...]
    text_words: tuple[TextSpan, ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> ImageOutput:
        """Read ``result.json``."""
        metadata, image = json_reading.mapping(source, "metadata"), json_reading.mapping(source, "image")
        return cls(
            modality=Modality.IMAGE,
            summary=json_reading.text(image, "summary"),
            raw=source,
            width_pixels=json_reading.integer(metadata, "image_width_pixels"),
            height_pixels=json_reading.integer(metadata, "image_height_pixels"),
            color_depth=json_reading.integer(metadata, "color_depth"),
            encoding=json_reading.text(metadata, "image_encoding"),
            categories=Label.parse_all(image, "iab_categories"),
            content_moderation=Label.parse_all(image, "content_moderation"),
            logos=Label.parse_all(image, "logos"),
            text_lines=TextSpan.parse_all(image, "text_lines"),
            text_words=TextSpan.parse_all(image, "text_words"),
        )


def _page(source: Mapping[str, Any]) -> Page:
    return Page(
        index=json_reading.integer(source, "page_index"),
        detected_page_number=json_reading.text(source, "detected_page_number"),
        representation=Representation.parse(source),
    )


def _element(source: Mapping[str, Any]) -> Element:
    return Element(
        id=json_reading.text(source, "id"),
        type=json_reading.text(source, "type"),
        sub_type=json_reading.text(source, "sub_type"),
        reading_order=json_reading.integer(source, "reading_order"),
        page_indices=json_reading.integers(source, "page_indices"),
        representation=Representation.parse(source),
        locations=Location.parse_all(source),
        summary=json_reading.text(source, "summary"),
        csv_s3_uri=json_reading.text(source, "csv_s3_uri"),
    )
