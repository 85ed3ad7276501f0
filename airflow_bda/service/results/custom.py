"""
What a blueprint found in a segment: its fields, each with how sure the service is and where it saw it.

https://docs.aws.amazon.com/bedrock/latest/userguide/bda-custom-output-idp.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_bda.service import json_reading
from airflow_bda.service.results.json_file import open_document
from airflow_bda.service.results.parts import BoundingBox, Location, SensitiveData, sensitive_data, times


@dataclass(frozen=True)
class MatchedBlueprint(json_reading.PlainData):
    """The blueprint that fits best, and how well (0 to 1)."""

    arn: str | None
    name: str | None
    version: str | None
    confidence: float | None


@dataclass(frozen=True)
class ExtractedField(json_reading.PlainData):
    """
    One value of a blueprint's field.

    :param path: the field's name, with places in lists and names in groups: ``Items[0].Desc``; a video's chapters and
        frames likewise: ``chapters[1].frames[0].label``.
    :param value: as JSON has it; an empty list or group is a value. The service writes ``""`` where it found none.
    :param confidence: 0 to 1; None where the service does not say. High for many values that were not found.
    :param type: the service's word for the value's type.
    :param locations: every place of the value: often one for each word or line, and on several pages.
    :param start_millis: when the value's chapter or frame begins, in milliseconds; video only.
    :param end_millis: when it ends.
    """

    path: str
    value: Any
    confidence: float | None = None
    type: str | None = None
    locations: tuple[Location, ...] = ()
    start_millis: int | None = None
    end_millis: int | None = None

    @property
    def page(self) -> int | None:
        """The page of the first place, from 1 in the whole input."""
        return self.locations[0].page if self.locations else None

    @property
    def box(self) -> BoundingBox | None:
        """The box of the first place; :meth:`boxes_by_page` has one around all places of a page."""
        return self.locations[0].box if self.locations else None

    @property
    def found(self) -> bool:
        """Whether there is a value: not ``""``, null, an empty list or group, or a list or group of such."""
        waiting = [self.value]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Mapping):
                waiting += value.values()
            elif isinstance(value, (list, tuple)):
                waiting += value
            elif value is not None and not (isinstance(value, str) and not value.strip()):
                return True
        return False

    def boxes_by_page(self) -> dict[int, BoundingBox]:
        """Return one box a page, around all places on it; pages count from 1 in the whole input."""
        boxes: dict[int, list[BoundingBox]] = {}
        for location in self.locations:
            if location.page is not None and location.box is not None:
                boxes.setdefault(location.page, []).append(location.box)
        return {page: around for page, each in boxes.items() if (around := BoundingBox.union(each))}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which XComs and JSON take."""
        return {
            "path": json_reading.plain(self.path),
            "value": json_reading.plain(self.value),
            "found": self.found,
            "confidence": self.confidence,
            "type": json_reading.plain(self.type),
            "page": self.page,
            "locations": [location.to_dict() for location in self.locations],
            "start_millis": self.start_millis,
            "end_millis": self.end_millis,
        }


@dataclass(frozen=True, repr=False)
class CustomOutput(json_reading.PlainData):
    """
    The custom output of one segment.

    :param document_class: such as ``Invoice``; documents only.
    :param page_indices: the segment's pages in the whole input, from 0; None where the service does not say.
    :param inference_result: the fields as the blueprint nests them.
    :param explanations: what the service says of each field, nested alike; empty where it says nothing.
    :param raw: the document as it is, for what is not read here.
    """

    matched_blueprint: MatchedBlueprint | None
    document_class: str | None
    page_indices: tuple[int, ...] | None
    inference_result: Mapping[str, Any]
    explanations: Mapping[str, Any]
    raw: Mapping[str, Any] = field(compare=False)

    @classmethod
    def parse(cls, content: str | bytes | Mapping[str, Any], uri: str = "custom output") -> CustomOutput:
        """
        Read ``custom_output/<n>/result.json``.

        :param content: its text, or what was read from it already.
        :param uri: where it is from, for the error's text.
        :raises BdaError: when it is not a JSON object.
        """
        source = open_document(content, uri)
        split = json_reading.mapping(source, "split_document")
        return cls(
            matched_blueprint=_blueprint(json_reading.mapping(source, "matched_blueprint")),
            document_class=json_reading.text(json_reading.mapping(source, "document_class"), "type"),
            page_indices=json_reading.page_indices(split, "page_indices")
            if split.get("page_indices") is not None
            else None,
            inference_result=json_reading.mapping(source, "inference_result"),
            explanations=_explanations(source),
            raw=source,
        )

    @property
    def sensitive_data(self) -> tuple[SensitiveData, ...]:
        """The findings of sensitive data, where the project asks for them."""
        return sensitive_data(self.raw)

    def fields(self, *, below: float | None = None, found: bool | None = None) -> tuple[ExtractedField, ...]:
        """
        Return every value of every field, lists and groups taken apart, in the document's order.

        Those of a video's chapters and frames follow.

        :param below: only those with a confidence below this, 0 to 1; a value without a confidence is left out.
        :param found: True for those with a value only, False for those without one only.
        """
        fields = [*_flatten("", self.inference_result, self.explanations, {})] if self.inference_result else []
        for index, chapter in enumerate(json_reading.mappings(self.raw, "chapters")):
            fields += _fields_below(f"chapters[{index}]", chapter)
            for number, frame in enumerate(json_reading.mappings(chapter, "frames")):
                fields += _fields_below(f"chapters[{index}].frames[{number}]", frame)
        return tuple(
            each
            for each in fields
            if (below is None or (each.confidence is not None and each.confidence < below))
            and (found is None or each.found is found)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the document as the service wrote it, as plain data."""
        document: dict[str, Any] = json_reading.plain(self.raw)
        return document

    def __repr__(self) -> str:
        # What was extracted stays out of logs.
        blueprint = self.matched_blueprint.name if self.matched_blueprint else None
        return f"CustomOutput(blueprint {blueprint!r}, {len(self.inference_result)} fields)"


def _blueprint(source: Mapping[str, Any]) -> MatchedBlueprint | None:
    if not source:
        return None
    return MatchedBlueprint(
        arn=json_reading.text(source, "arn"),
        name=json_reading.text(source, "name"),
        version=json_reading.text(source, "version"),
        confidence=json_reading.number(source, "confidence"),
    )


def _explanations(source: Mapping[str, Any]) -> Mapping[str, Any]:
    # The service writes a list with one object in it.
    parts = json_reading.mappings(source, "explainability_info")
    return {name: explanation for part in parts for name, explanation in part.items()}


def _fields_below(path: str, source: Mapping[str, Any]) -> Iterator[ExtractedField]:
    """Go through the fields of a chapter or of a frame, which is one moment."""
    inference_result = json_reading.mapping(source, "inference_result")
    if not inference_result:
        return iter(())
    moment = json_reading.integer(source, "timestamp_millis")
    when = {name: moment if millis is None else millis for name, millis in times(source).items()}
    return _flatten(path, inference_result, _explanations(source), when)


def _flatten(path: str, value: Any, explanation: Any, when: Mapping[str, int | None]) -> Iterator[ExtractedField]:
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            inner = explanation.get(name) if isinstance(explanation, Mapping) else None
            yield from _flatten(f"{path}.{name}" if path else str(name), member, inner, when)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            inner = explanation
            if isinstance(explanation, list):  # item by item, not as a whole
                inner = explanation[index] if index < len(explanation) else None
            yield from _flatten(f"{path}[{index}]", item, inner, when)
    else:
        known = explanation if isinstance(explanation, Mapping) else {}
        yield ExtractedField(
            path=path,
            value=value,
            confidence=json_reading.number(known, "confidence"),
            type=json_reading.text(known, "type"),
            locations=Location.parse_geometry(known),
            **when,
        )
