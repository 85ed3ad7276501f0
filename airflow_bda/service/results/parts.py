"""What the outputs of several modalities have in common: boxes, texts, labels, and the output itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading
from airflow_bda.service.results.json_file import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_bda.service.s3 import Modality


@dataclass(frozen=True)
class BoundingBox(json_reading.PlainData):
    """
    A rectangle, in ratios (0 to 1) of the width and height of what it is on: an image, a frame, or a page.

    A page's box belongs to its *rectified* image, which the service turned and straightened first. It has the size
    of :attr:`Page.width_pixels <airflow_bda.service.results.document.Page>`; ``corners`` says where it was in the scan.
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def is_empty(self) -> bool:
        """Whether the box has no area, which the service writes where it has no place to name."""
        return self.width <= 0 or self.height <= 0

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> BoundingBox | None:
        """Read a box; None where one of its four numbers is missing."""
        left, top = json_reading.number(source, "left"), json_reading.number(source, "top")
        width, height = json_reading.number(source, "width"), json_reading.number(source, "height")
        if left is None or top is None or width is None or height is None:
            return None
        return cls(left, top, width, height)

    @classmethod
    def union(cls, boxes: Iterable[BoundingBox]) -> BoundingBox | None:
        """Return the smallest box around all of *boxes*; None where there is none."""
        boxes = list(boxes)
        if not boxes:
            return None
        left, top = min(box.left for box in boxes), min(box.top for box in boxes)
        right = max(box.left + box.width for box in boxes)
        bottom = max(box.top + box.height for box in boxes)
        return cls(left, top, right - left, bottom - top)

    def to_dict(self) -> dict[str, float]:
        """Return the four numbers by name."""
        return {"left": self.left, "top": self.top, "width": self.width, "height": self.height}


@dataclass(frozen=True)
class Location(json_reading.PlainData):
    """
    Where something is.

    :param page_index: the page in the whole input, from 0; None for what has no pages.
    :param box: None where the service names the page alone.
    :param vertices: the corners of a box that is not upright, as (x, y) in the box's ratios; often empty.
    """

    page_index: int | None
    box: BoundingBox | None
    vertices: tuple[tuple[float, float], ...] = ()

    @property
    def page(self) -> int | None:
        """The page in the whole input, from 1."""
        return None if self.page_index is None else self.page_index + 1

    @classmethod
    def parse_all(cls, source: Mapping[str, Any]) -> tuple[Location, ...]:
        """Read the ``locations`` of *source*, a list or a single object; one without a page is on the item's page."""
        page_index = json_reading.page_index(source, "page_index")
        found = (
            cls._parse(item, page=("page_index", 0), box="bounding_box", corners="polygon", else_on=page_index)
            for item in json_reading.mappings(source, "locations")
        )
        return tuple(place for place in found if place)

    @classmethod
    def parse_geometry(cls, explanation: Mapping[str, Any]) -> tuple[Location, ...]:
        """Read the ``geometry`` of a field: every entry with a page from 1 on and a box that is not empty."""
        found = (
            cls._parse(item, page=("page", 1), box="boundingBox", corners="vertices")
            for item in json_reading.mappings(explanation, "geometry")
        )
        return tuple(place for place in found if place)

    @classmethod
    def _parse(
        cls, item: Mapping[str, Any], *, page: tuple[str, int], box: str, corners: str, else_on: int | None = None
    ) -> Location | None:
        """
        Read a place; None for what is none: a page that is no page, an empty box, or neither of the two.

        :param page: the member with the page, and the number of the first page in it.
        """
        name, first = page
        number = json_reading.integer(item, name)
        if item.get(name) is not None and (number is None or number < first):
            return None
        page_index = else_on if number is None else number - first
        found = BoundingBox.parse(json_reading.mapping(item, box))
        if found is None:
            return None if page_index is None else cls(page_index, None, _points(item, corners))
        return None if found.is_empty else cls(page_index, found, _points(item, corners))

    def to_dict(self) -> dict[str, Any]:
        """Return the page (from 1) and the box."""
        return {"page": self.page, "box": self.box.to_dict() if self.box else None}


def _points(source: Mapping[str, Any], name: str) -> tuple[tuple[float, float], ...]:
    corners = json_reading.mappings(source, name)
    pairs = ((json_reading.number(corner, "x"), json_reading.number(corner, "y")) for corner in corners)
    return tuple((x, y) for x, y in pairs if x is not None and y is not None)


@dataclass(frozen=True)
class TextSpan(json_reading.PlainData):
    """
    A word or a line that was read.

    :param confidence: 0 to 1. A word's means something; a line's is about 0.01 everywhere.
    :param page_index: the page in the whole input, from 0.
    :param line_id: the line that a word is a part of.
    """

    text: str
    id: str | None
    confidence: float | None
    locations: tuple[Location, ...]
    page_index: int | None = None
    line_id: str | None = None

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> TextSpan:
        """Read one word or line; its page is on the item or on its location."""
        locations = Location.parse_all(source)
        page_index = json_reading.page_index(source, "page_index")
        if page_index is None and locations:
            page_index = locations[0].page_index
        return cls(
            text=json_reading.text(source, "text") or "",
            id=json_reading.text(source, "id"),
            confidence=json_reading.number(source, "confidence"),
            locations=locations,
            page_index=page_index,
            line_id=json_reading.text(source, "line_id"),
        )

    @classmethod
    def parse_all(cls, source: Mapping[str, Any], name: str) -> Sequence[TextSpan]:
        """Read a list of words or lines (``text_words``, ``text_lines``)."""
        return objects(source, name, cls.parse)

    @classmethod
    def parse_lines(cls, source: Mapping[str, Any]) -> Sequence[TextSpan]:
        """Read ``text_lines``; a line with an empty text, as in cells of tables, gets that of its words."""
        lines = cls.parse_all(source, "text_lines")
        missing: dict[str, list[str]] = {line.id: [] for line in lines if not line.text and line.id}
        if not missing:
            return lines
        for word in cls.parse_all(source, "text_words"):
            if word.line_id in missing and word.text:
                missing[word.line_id].append(word.text)

        def parse(item: Mapping[str, Any]) -> TextSpan:
            line = cls.parse(item)
            words = " ".join(missing.get(line.id or "", ()))
            return cls(**{**vars(line), "text": words}) if not line.text and words else line

        return objects(source, "text_lines", parse)


@dataclass(frozen=True)
class Label(json_reading.PlainData):
    """
    A category, a logo, or a finding of content moderation.

    :param name: of a finding in audio, which has several categories: the likeliest one's.
    :param parent: the category above.
    :param start_millis: when it is heard, in milliseconds from the start; audio only.
    :param end_millis: until when.
    :param categories: of a finding in audio: every category, each with its confidence.
    """

    name: str
    confidence: float | None
    locations: tuple[Location, ...]
    parent: str | None = None
    start_millis: int | None = None
    end_millis: int | None = None
    categories: tuple[Label, ...] = ()

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Label:
        """Read one label; categories and moderation call the name ``category``."""
        # A category has no categories of its own: what is written there goes no deeper.
        inner = json_reading.mappings(source, "moderation_categories")
        categories = tuple(cls.parse({**item, "moderation_categories": None}) for item in inner)
        likeliest = max(categories, key=lambda label: label.confidence or 0, default=None)
        name = json_reading.text(source, "name") or json_reading.text(source, "category")
        return cls(
            name=name or (likeliest.name if likeliest else ""),
            confidence=json_reading.number(source, "confidence"),
            locations=Location.parse_all(source),
            parent=json_reading.text(source, "parent_name"),
            categories=categories,
            **times(source),
        )

    @classmethod
    def parse_all(cls, source: Mapping[str, Any], name: str) -> Sequence[Label]:
        """Read a list of labels."""
        return objects(source, name, cls.parse)


@dataclass(frozen=True, repr=False)
class SensitiveData(json_reading.PlainData):
    """
    A finding of sensitive data.

    The service documents that it is found, not how it is written; so every spelling of the usual members is tried.

    :param type: the service's word, such as ``EMAIL``.
    :param text: what was found.
    :param source: which member of the output names it, such as ``summary_sensitive_data_detection``.
    :param raw: the finding as it is.
    """

    type: str | None
    text: str | None
    confidence: float | None
    locations: tuple[Location, ...]
    source: str
    raw: Mapping[str, Any] = field(compare=False)

    def __repr__(self) -> str:
        return f"SensitiveData({self.type!r}, {self.source!r})"


_SENSITIVE = "sensitive_data_detection"
_TYPE_NAMES, _TEXT_NAMES = ("type", "entity_type", "category", "name"), ("text", "value", "entity", "content")
_CONFIDENCE_NAMES = ("confidence", "score", "confidence_score")


def sensitive_data(*sources: Mapping[str, Any]) -> tuple[SensitiveData, ...]:
    """Read the findings of sensitive data that the members of *sources* name, at any depth below them."""
    found = []
    for source in sources:
        for name in source:
            if name.endswith(_SENSITIVE):
                found += [_finding(item, name) for item in _entities(source[name])]
    return tuple(found)


def _entities(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects below *value* that name a type, without those below them."""
    found: list[Mapping[str, Any]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, dict) and _first_text(item, _TYPE_NAMES):
            found.append(item)
        elif isinstance(item, dict):
            waiting += reversed(list(item.values()))
    return found


def _finding(item: Mapping[str, Any], source: str) -> SensitiveData:
    confidences = (json_reading.number(item, name) for name in _CONFIDENCE_NAMES)
    return SensitiveData(
        type=_first_text(item, _TYPE_NAMES),
        text=_first_text(item, _TEXT_NAMES),
        confidence=next((number for number in confidences if number is not None), None),
        locations=Location.parse_all(item) or Location.parse_geometry(item),
        source=source,
        raw=item,
    )


def _first_text(item: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next(filter(None, (json_reading.text(item, name) for name in names)), None)


# Outputs are repr'd by logs and tracebacks, which must not hold documents: their repr is their size.
@dataclass(frozen=True, repr=False, kw_only=True)
class StandardOutput(json_reading.PlainData):
    """
    The standard output of one segment. One whose modality is not known here has no more than this.

    What is short is read at once; lists of pages, elements, lines and words are read when they are asked for.

    :param summary: in the service's words, where summaries are on.
    :param raw: the document as it is, for what is not read here; a member is read when it is asked for.
    """

    modality: Modality | None
    summary: str | None = None
    raw: Mapping[str, Any]

    @property
    def text(self) -> str | None:
        """What was read or heard, in one text; None where there is none."""
        return None

    @property
    def sensitive_data(self) -> tuple[SensitiveData, ...]:
        """The findings of sensitive data, where the project asks for them."""
        name = self.modality.value.lower() if self.modality else ""
        return sensitive_data(self.raw, json_reading.mapping(self.raw, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the document as the service wrote it, as plain data; it holds every text."""
        document: dict[str, Any] = json_reading.plain(self.raw)
        return document

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.raw)} members)"


def times(source: Mapping[str, Any]) -> dict[str, int | None]:
    """Read when something begins and ends, in milliseconds from the start, as two arguments."""
    return {f"{name}_millis": json_reading.integer(source, f"{name}_timestamp_millis") for name in ("start", "end")}


def seen(source: Mapping[str, Any]) -> dict[str, Any]:
    """Read what was seen in an image or in a frame of a video, as the arguments that both have."""
    return {
        "content_moderation": Label.parse_all(source, "content_moderation"),
        "logos": Label.parse_all(source, "logos"),
        "text_lines": TextSpan.parse_lines(source),
        "text_words": TextSpan.parse_all(source, "text_words"),
    }


def read_text(lines: Sequence[TextSpan], words: Sequence[TextSpan]) -> str | None:
    """Return the text of lines, a line each; where there are none, that of words."""
    lines_text = json_reading.joined((line.text for line in lines), "\n")
    return lines_text or json_reading.joined((word.text for word in words), " ")


def transcript(source: Mapping[str, Any]) -> str | None:
    """Read the text of a ``transcript``."""
    return json_reading.text(json_reading.mapping(json_reading.mapping(source, "transcript"), "representation"), "text")
