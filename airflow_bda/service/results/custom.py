"""
What a blueprint found in a segment: its fields, each with how sure the service is and where it saw it.

https://docs.aws.amazon.com/bedrock/latest/userguide/bda-custom-output-idp.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_bda.service import json_reading
from airflow_bda.service.results.parts import BoundingBox


@dataclass(frozen=True)
class MatchedBlueprint:
    """The blueprint that fits best, and how well (0 to 1)."""

    arn: str | None
    name: str | None
    version: str | None
    confidence: float | None


@dataclass(frozen=True)
class ExtractedField:
    """
    One value of a blueprint's field.

    :param path: the field's name, with places in lists and names in groups: ``Items[0].Desc``.
    :param value: as JSON has it; an empty list or group is a value.
    :param confidence: 0 to 1; None where the service does not say.
    :param page: where it was seen, as the service numbers pages there.
    :param type: the service's word for the value's type.
    """

    path: str
    value: Any
    confidence: float | None = None
    page: int | None = None
    box: BoundingBox | None = None
    type: str | None = None


@dataclass(frozen=True, repr=False)
class CustomOutput:
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
        source = json_reading.document(content, uri)
        split = json_reading.mapping(source, "split_document")
        return cls(
            matched_blueprint=_blueprint(json_reading.mapping(source, "matched_blueprint")),
            document_class=json_reading.text(json_reading.mapping(source, "document_class"), "type"),
            page_indices=json_reading.integers(split, "page_indices")
            if split.get("page_indices") is not None
            else None,
            inference_result=json_reading.mapping(source, "inference_result"),
            explanations=_explanations(source),
            raw=source,
        )

    def fields(self) -> tuple[ExtractedField, ...]:
        """Give every value of every field, lists and groups taken apart, in the document's order."""
        return tuple(_flatten("", self.inference_result, self.explanations)) if self.inference_result else ()

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
    parts = json_reading.mappings(source, "explainability_info") or (
        json_reading.mapping(source, "explainability_info"),
    )
    return {name: explanation for part in parts for name, explanation in part.items()}


def _flatten(path: str, value: Any, explanation: Any) -> Iterator[ExtractedField]:
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            inner = explanation.get(name) if isinstance(explanation, Mapping) else None
            yield from _flatten(f"{path}.{name}" if path else str(name), member, inner)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flatten(f"{path}[{index}]", item, _explanation_of_item(explanation, index))
    else:
        yield _field(path, value, explanation if isinstance(explanation, Mapping) else {})


def _explanation_of_item(explanation: Any, index: int) -> Any:
    # A list may be explained item by item, or as a whole.
    if isinstance(explanation, list):
        return explanation[index] if index < len(explanation) else None
    return explanation


def _field(path: str, value: Any, explanation: Mapping[str, Any]) -> ExtractedField:
    geometry = next(iter(json_reading.mappings(explanation, "geometry")), {})
    return ExtractedField(
        path=path,
        value=value,
        confidence=json_reading.number(explanation, "confidence"),
        page=json_reading.integer(geometry, "page"),
        box=BoundingBox.parse(json_reading.mapping(geometry, "boundingBox")),
        type=json_reading.text(explanation, "type"),
    )
