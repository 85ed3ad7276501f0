"""
The standard output of documents and images.

https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-image.html; which members there are depends on the
project's granularity and text formats. The default is markdown, of pages and elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_bda.service import json_reading
from airflow_bda.service.results.json_file import objects
from airflow_bda.service.results.parts import Label, Location, StandardOutput, TextSpan, read_text, seen
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")


@dataclass(frozen=True)
class Representation(json_reading.PlainData):
    """One text in the formats that the project asks for; the others are None."""

    text: str | None
    markdown: str | None
    html: str | None
    csv: str | None = None

    @property
    def best(self) -> str | None:
        """The plainest format that there is: text, markdown, HTML, or a table's CSV."""
        return self.text or self.markdown or self.html or self.csv

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Representation:
        """Read the ``representation`` of *source*."""
        formats = json_reading.mapping(source, "representation")
        return cls(*(json_reading.text(formats, name) for name in ("text", "markdown", "html", "csv")))


@dataclass(frozen=True)
class Page(json_reading.PlainData):
    """
    One page.

    :param index: from 0 in the whole input.
    :param detected_page_number: the number printed on it.
    :param width_pixels: of the rectified image, which all boxes of the page are ratios of.
    :param height_pixels: likewise.
    :param corners: where the rectified image's corners are in the scan, as (x, y), in ratios, from the upper left one
        clockwise.
    :param rectified_image_uri: the picture in S3, where the project asks for additional files.
    """

    index: int | None
    detected_page_number: str | None
    representation: Representation
    id: str | None = None
    width_pixels: int | None = None
    height_pixels: int | None = None
    corners: tuple[tuple[float, float], ...] = ()
    rectified_image_uri: str | None = None

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Page:
        """Read one of ``pages``."""
        picture = json_reading.mapping(source, "asset_metadata")
        return cls(
            index=json_reading.page_index(source, "page_index"),
            detected_page_number=json_reading.text(source, "detected_page_number"),
            representation=Representation.parse(source),
            id=json_reading.text(source, "id"),
            width_pixels=json_reading.integer(picture, "rectified_image_width_pixels"),
            height_pixels=json_reading.integer(picture, "rectified_image_height_pixels"),
            corners=_corners(picture.get("corners")),
            rectified_image_uri=json_reading.text(picture, "rectified_image"),
        )


@dataclass(frozen=True)
class Element(json_reading.PlainData):
    """
    A paragraph, table or figure.

    :param type: ``TEXT``, ``TABLE`` or ``FIGURE``.
    :param sub_type: such as ``TITLE``; a table has none.
    :param page_indices: from 0 in the whole input.
    :param locations: empty where the project has bounding boxes off.
    :param summary: of a figure.
    :param csv_s3_uri: of a table, where the project asks for additional files.
    :param crop_images: the pictures in S3, where the project asks for additional files.
    :param title: of a table, as are *headers* and *footers*.
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
    crop_images: tuple[str, ...] = ()
    title: str | None = None
    headers: tuple[str, ...] = ()
    footers: tuple[str, ...] = ()

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Element:
        """Read one of ``elements``."""
        return cls(
            id=json_reading.text(source, "id"),
            type=json_reading.text(source, "type"),
            sub_type=json_reading.text(source, "sub_type"),
            reading_order=json_reading.integer(source, "reading_order"),
            page_indices=json_reading.page_indices(source, "page_indices"),
            representation=Representation.parse(source),
            locations=Location.parse_all(source),
            summary=json_reading.text(source, "summary"),
            csv_s3_uri=json_reading.text(source, "csv_s3_uri"),
            crop_images=json_reading.texts(source, "crop_images"),
            title=json_reading.text(source, "title"),
            headers=json_reading.texts(source, "headers"),
            footers=json_reading.texts(source, "footers"),
        )


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

    @cached_property
    def pages(self) -> Sequence[Page]:
        """The pages, where the project's granularity has them."""
        return objects(self.raw, "pages", Page.parse)

    @cached_property
    def elements(self) -> Sequence[Element]:
        """The paragraphs, tables and figures, where the project's granularity has them."""
        return objects(self.raw, "elements", Element.parse)

    @cached_property
    def text_lines(self) -> Sequence[TextSpan]:
        """The lines, where the project's granularity has them; one that is empty has the text of its words."""
        return TextSpan.parse_lines(self.raw)

    @cached_property
    def text_words(self) -> Sequence[TextSpan]:
        """The words, where the project's granularity has them."""
        return TextSpan.parse_all(self.raw, "text_words")

    @property
    def text(self) -> str | None:
        """
        The whole text, wherever the project's granularity put it.

        In this order: the document's text, markdown or HTML; its pages', joined; its elements', its lines', its words'.
        """
        if whole := self.representation.best:
            return whole
        pages = _in_order(self.pages, lambda page: (page.index,))
        if text := json_reading.joined((page.representation.best for page in pages), "\n\n"):
            return text
        # The order of reading counts within a page.
        elements = _in_order(self.elements, lambda element: (*element.page_indices[:1], element.reading_order))
        if text := json_reading.joined((element.representation.best for element in elements), "\n\n"):
            return text
        return read_text(self.text_lines, self.text_words)

    @property
    def page_count(self) -> int:
        """How many pages the segment has: by its own word, its list of pages, or its first and last page."""
        if self.number_of_pages is not None and self.number_of_pages > 0:
            return self.number_of_pages
        if pages := len(self.pages):
            return pages
        if self.start_page_index is None or self.end_page_index is None:
            return 0
        return max(0, self.end_page_index - self.start_page_index + 1)

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
    categories: Sequence[Label]
    content_moderation: Sequence[Label]
    logos: Sequence[Label]
    text_lines: Sequence[TextSpan]
    text_words: Sequence[TextSpan]

    @property
    def text(self) -> str | None:
        """The lines that are in the image; its words where there are no lines."""
        return read_text(self.text_lines, self.text_words)

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
            **seen(image),
        )


def _in_order(items: Sequence[T], place_of: Callable[[T], tuple[int | None, ...]]) -> Sequence[T]:
    """Sort by the places that the service gives, where it gives all of them."""
    # Sorting needs them all, so a very long list stays as it is.
    if not isinstance(items, tuple):
        return items
    places = [place_of(item) for item in items]
    longest = max(map(len, places), default=0)
    if any(None in place or len(place) < longest for place in places):
        return items
    return [items[index] for index in sorted(range(len(items)), key=places.__getitem__)]


def _corners(value: Any) -> tuple[tuple[float, float], ...]:
    pairs = [pair for pair in value if isinstance(pair, list)] if isinstance(value, list) else []
    named = ({"x": pair[0], "y": pair[1]} for pair in pairs if len(pair) == len("xy"))
    points = ((json_reading.number(point, "x"), json_reading.number(point, "y")) for point in named)
    return tuple((x, y) for x, y in points if x is not None and y is not None)
