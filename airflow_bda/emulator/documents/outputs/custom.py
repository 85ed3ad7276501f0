"""
The custom output: what was found for the blueprint that fits.

Where a value was not found, the result has an empty text, a null for numbers and truth values, or an empty list, and
its explanation has ``success: false`` and the confidence 0: a choice of the emulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.fields.blueprints import STRING, Blueprint, Field, Group, Rows, Series
from airflow_bda.emulator.documents.outputs.geometry import bounding_box, corners

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprints import Node
    from airflow_bda.emulator.documents.fields.found import Finding, Findings
    from airflow_bda.emulator.documents.fields.matching import Match
    from airflow_bda.emulator.documents.reading.layout import Page

_CONFIDENCE_PLACES = 4
_SERIES_SEPARATORS = str.maketrans(";\n", ",,")


def document_custom_result(match: Match, pages: Sequence[Page]) -> dict[str, Any]:
    """Build ``custom_output/<n>/result.json`` of a document."""
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
        "matched_blueprint": _matched(match),
        "inference_result": _values(match.blueprint.members, match.findings),
    }


def _matched(match: Match) -> dict[str, Any]:
    blueprint: Blueprint = match.blueprint
    return {
        "arn": blueprint.arn,
        "name": blueprint.name,
        "confidence": round(min(match.score, 1.0), _CONFIDENCE_PLACES),
    }


def _values(members: Sequence[Node], findings: Findings) -> dict[str, Any]:
    return {member.name: _value(member, findings) for member in members}


def _value(member: Node, findings: Findings) -> Any:
    if isinstance(member, Group):
        return _values(member.members, findings)
    if isinstance(member, Rows):
        return [{each.name: _plain(each, row.get(each)) for each in member.columns} for row in findings.tables[member]]
    if isinstance(member, Series):
        return _parts(findings.fields.get(member.item))
    return _plain(member, findings.fields.get(member))


def _plain(field: Field, finding: Finding | None) -> Any:
    if finding is not None:
        return finding.value
    return "" if field.type == STRING else None


def _parts(finding: Finding | None) -> list[Any]:
    if finding is None:
        return []
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
        return [_explained_row(member, row) for row in findings.tables[member]]
    if isinstance(member, Series):
        finding = findings.fields.get(member.item)
        return [_explanation(member.item, finding) | {"value": part} for part in _parts(finding)]
    return _explanation(member, findings.fields.get(member))


def _explained_row(rows: Rows, row: Mapping[Field, Finding]) -> dict[str, Any]:
    return {each.name: _explanation(each, row.get(each)) for each in rows.columns}


def _explanation(field: Field, finding: Finding | None) -> dict[str, Any]:
    return {
        "success": finding is not None,
        "confidence": round(finding.confidence, _CONFIDENCE_PLACES) if finding else 0.0,
        "value": _plain(field, finding),
        "type": field.type,
        "geometry": _geometry(finding) if finding else [],
    }


def _geometry(finding: Finding) -> list[dict[str, Any]]:
    """Give box, corners and page; pages count from 1 here, as consumers of the service's results expect."""
    if not finding.page.has_geometry:
        return []
    return [
        {
            "boundingBox": bounding_box(finding.box),
            "vertices": corners(finding.box),
            "page": finding.page.index + 1,
        }
    ]
