"""
The custom output: what was found for the blueprint that fits.

A value that was not found is an empty text, whatever its type, with ``success`` true and no geometry; a list that was
not found has one such item. That is how the service writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.fields.blueprint_schema import Blueprint, Field, Group, Rows, Series
from airflow_bda.emulator.documents.reading.layout import bounding_box, corners

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprint_schema import Node
    from airflow_bda.emulator.documents.fields.grid import Finding, Findings
    from airflow_bda.emulator.documents.fields.matching import Match
    from airflow_bda.emulator.documents.reading.layout import Page

    OfValue = Callable[[Field, Finding | None, Any], Any]

_CONFIDENCE_PLACES = 4
_SERIES_SEPARATORS = str.maketrans(";\n", ",,")
_NOT_FOUND = ""
_NO_ROWS: Sequence[Mapping[Field, Finding]] = ({},)
# The mean of the service's confidences where it found nothing; they do not tell what was found from what was not.
_NOT_FOUND_CONFIDENCE = 0.73
_DEFAULT_VERSION = "1"
_AUDIO_LANGUAGES = ("dominant_asset_language", "generative_output_language")


def document_custom_result(match: Match, pages: Sequence[Page]) -> dict[str, Any]:
    """Build ``custom_output/<n>/result.json`` of a document: five keys, always."""
    return {
        "matched_blueprint": _matched(match),
        "document_class": {"type": match.blueprint.document_class},
        "split_document": {"page_indices": [page.index for page in pages]},
        "inference_result": _values(match),
        "explainability_info": [_by_name(match.blueprint.members, match.findings, _explanation)],
    }


def image_custom_result(match: Match) -> dict[str, Any]:
    """Build ``custom_output/0/result.json`` of an image, which has neither a class nor pages."""
    return {
        "matched_blueprint": _versioned(match),
        "inference_result": _values(match),
    }


def audio_custom_result(match: Match, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Build ``custom_output/0/result.json`` of a sound, which has no explanations."""
    return {
        "metadata": {name: metadata[name] for name in _AUDIO_LANGUAGES},
        "matched_blueprint": _versioned(match),
        "inference_result": _values(match),
    }


def video_custom_result(match: Match, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Build ``custom_output/0/result.json`` of a video."""
    return {
        "metadata": dict(metadata),
        "matched_blueprint": _versioned(match),
        "inference_result": _values(match),
        "chapters": [],
    }


def _matched(match: Match) -> dict[str, Any]:
    blueprint: Blueprint = match.blueprint
    return {
        "arn": blueprint.arn,
        "name": blueprint.name,
        "confidence": round(min(match.score, 1.0), _CONFIDENCE_PLACES),
    }


def _versioned(match: Match) -> dict[str, Any]:
    return _matched(match) | {"version": match.blueprint.version or _DEFAULT_VERSION}


def _values(match: Match) -> dict[str, Any]:
    return _by_name(match.blueprint.members, match.findings, lambda _field, _finding, value: value)


def _by_name(members: Sequence[Node], findings: Findings, of_value: OfValue) -> dict[str, Any]:
    """
    Go through what was found, in the shape of the blueprint.

    :param of_value: makes what stands in the place of each value.
    """
    return {member.name: _of_member(member, findings, of_value) for member in members}


def _of_member(member: Node, findings: Findings, of_value: OfValue) -> Any:
    if isinstance(member, Group):
        return _by_name(member.members, findings, of_value)
    if isinstance(member, Rows):
        rows = findings.tables.get(member) or _NO_ROWS
        return [{each.name: _of_finding(each, row.get(each), of_value) for each in member.columns} for row in rows]
    if isinstance(member, Series):
        finding = findings.fields.get(member.item)
        return [of_value(member.item, finding, part) for part in _parts(finding)]
    return _of_finding(member, findings.fields.get(member), of_value)


def _of_finding(field: Field, finding: Finding | None, of_value: OfValue) -> Any:
    return of_value(field, finding, _NOT_FOUND if finding is None else finding.value)


def _parts(finding: Finding | None) -> list[Any]:
    if finding is None:
        return [_NOT_FOUND]
    if not isinstance(finding.value, str):
        return [finding.value]
    parts = (part.strip() for part in finding.value.translate(_SERIES_SEPARATORS).split(","))
    return [part for part in parts if part]


def _explanation(field: Field, finding: Finding | None, value: Any) -> dict[str, Any]:
    explained = {
        "success": True,
        "confidence": round(finding.confidence, _CONFIDENCE_PLACES) if finding else _NOT_FOUND_CONFIDENCE,
        "type": field.type,
        "value": value,
    }
    if finding is not None and finding.page.has_geometry:
        # Pages count from 1 here, over the whole input.
        page = finding.page.index + 1
        explained["geometry"] = [
            {"boundingBox": bounding_box(box), "vertices": corners(box), "page": page} for box in finding.boxes
        ]
    return explained
