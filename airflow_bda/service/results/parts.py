"""What the outputs of several modalities have in common: boxes, texts, labels, and the output itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.service.formats import Modality


@dataclass(frozen=True)
class BoundingBox:
    """A rectangle on a page, an image or a frame, in ratios (0 to 1) of its width and height."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> BoundingBox | None:
        """Read a box; None where one of its four numbers is missing."""
        left, top = json_reading.number(source, "left"), json_reading.number(source, "top")
        width, height = json_reading.number(source, "width"), json_reading.number(source, "height")
        if left is None or top is None or width is None or height is None:
            return None
        return cls(left, top, width, height)


@dataclass(frozen=True)
class Location:
    """
    Where something stands.

    :param page_index: from 0; None for what has no pages.
    """

    page_index: int | None
    box: BoundingBox | None

    @classmethod
    def parse_all(cls, source: Mapping[str, Any]) -> tuple[Location, ...]:
        """Read the ``locations`` of *source*."""
        return tuple(
            cls(json_reading.integer(item, "page_index"), BoundingBox.parse(json_reading.mapping(item, "bounding_box")))
            for item in json_reading.mappings(source, "locations")
        )


@dataclass(frozen=True)
class TextSpan:
    """A word or a line that was read."""

    text: str
    id: str | None
    confidence: float | None
    locations: tuple[Location, ...]

    @classmethod
    def parse_all(cls, source: Mapping[str, Any], name: str) -> tuple[TextSpan, ...]:
        """Read a list of words or lines (``text_words``, ``text_lines``)."""
        return tuple(
            cls(
                text=json_reading.text(item, "text") or "",
                id=json_reading.text(item, "id"),
                confidence=json_reading.number(item, "confidence"),
                locations=Location.parse_all(item),
            )
            for item in json_reading.mappings(source, name)
        )


@dataclass(frozen=True)
class Label:
    """A category, a logo, or a finding of content moderation."""

    name: str
    confidence: float | None
    locations: tuple[Location, ...]

    @classmethod
    def parse_all(cls, source: Mapping[str, Any], name: str) -> tuple[Label, ...]:
        """Read a list of labels; categories and moderation call the name ``category``."""
        return tuple(
            cls(
                name=json_reading.text(item, "name") or json_reading.text(item, "category") or "",
                confidence=json_reading.number(item, "confidence"),
                locations=Location.parse_all(item),
            )
            for item in json_reading.mappings(source, name)
        )


# Outputs are repr'd by logs and tracebacks, which must not hold documents: their repr is their size.
@dataclass(frozen=True, repr=False, kw_only=True)
class StandardOutput:
    """
    The standard output of one segment. One whose modality is not known here has no more than this.

    :param summary: in the service's words, where summaries are on.
    :param raw: the document as it is, for what is not read here.
    """

    modality: Modality | None
    summary: str | None = None
    raw: Mapping[str, Any] = field(compare=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.raw)} members)"


def transcript(source: Mapping[str, Any]) -> str | None:
    """Read the text of a ``transcript``."""
    return json_reading.text(json_reading.mapping(json_reading.mapping(source, "transcript"), "representation"), "text")
