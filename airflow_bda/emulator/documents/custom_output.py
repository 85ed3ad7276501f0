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
    from collections.abc import Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprint_schema import Node
    from airflow_bda.emulator.documents.fields.grid import Finding, Findings
    from airflow_bda.emulator.documents.fields.matching import Match
    from airflow_bda.emulator.documents.reading.layout import Page

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
        "inference_result": _values(match.blueprint.members, match.findings),
        "explainability_info": [_explanations(match.blueprint.members, match.findings)],
    }


def image_custom_result(match: Match) -> dict[str, Any]:
    """Build ``custom_output/0/result.json`` of an image, which has neither a class nor pages."""
    return {
        "matched_blueprint": _versioned(match),
        "inference_result": _values(match.blueprint.members, match.findings),
    }


def audio_custom_result(match: Match, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Build ``custom_output/0/result.json`` of a sound, which has no explanations."""
    return {
        "metadata": {name: metadata[name] for name in _AUDIO_LANGUAGES},
        "matched_blueprint": _versioned(match),
        "inference_result": _values(match.blueprint.members, match.findings),
    }


def video_custom_result(match: Match, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Build ``custom_output/0/result.json`` of a video."""
    return {
        "metadata": dict(metadata),
        "matched_blueprint": _versioned(match),
        "inference_result": _values(match.blueprint.members, match.findings),
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


def _values(members: Sequence[Node], findings: Findings) -> dict[str, Any]:
    return {member.name: _value(member, findings) for member in members}


def _value(member: Node, findings: Findings) -> Any:
    if isinstance(member, Group):
        return _values(member.members, findings)
    if isinstance(member, Rows):
        rows = findings.tables.get(member) or _NO_ROWS
        return [{each.name: _plain(row.get(each)) for each in member.columns} for row in rows]
    if isinstance(member, Series):
        return _parts(findings.fields.get(member.item))
    return _plain(findings.fields.get(member))


def _plain(finding: Finding | None) -> Any:
    return _NOT_FOUND if finding is None else finding.value


def _parts(finding: Finding | None) -> list[Any]:
    if finding is None:
        return [_NOT_FOUND]
    if not isinstance(finding.value, str):
        return [finding.value]
    parts = (part.strip() for part in finding.value.translate(_SERIES_SEPARATORS).split(","))
    return [part for part in parts if part]


def _explanations(members: Sequence[Node], findings: Findings) -> dict[str, Any]:
    return {member.name: _explanation_of(member, findings) for member in members}


def _explanation_of(member: Node, findings: Findings) -> Any:
    if isinstance(member, Group):
        return _explanations(member.members, findings)
    if isinstance(member, Rows):
        rows = findings.tables.get(member) or _NO_ROWS
        return [{each.name: _explanation(each, row.get(each)) for each in member.columns} for row in rows]
    if isinstance(member, Series):
        finding = findings.fields.get(member.item)
        return [_explanation(member.item, finding) | {"value": part} for part in _parts(finding)]
    return _explanation(member, findings.fields.get(member))


def _explanation(field: Field, finding: Finding | None) -> dict[str, Any]:
    explained = {
        "success": True,
        "confidence": round(finding.confidence, _CONFIDENCE_PLACES) if finding else _NOT_FOUND_CONFIDENCE,
        "type": field.type,
        "value": _plain(finding),
    }
    if finding is not None and finding.page.has_geometry:
        # Pages count from 1 here, over the whole input.
        page = finding.page.index + 1
        explained["geometry"] = [
            {"boundingBox": bounding_box(box), "vertices": corners(box), "page": page} for box in finding.boxes
        ]
    return explained
