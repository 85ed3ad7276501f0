"""
Results as rows of tables: ``segments``, one row a segment, ``fields``, one row a value, and what people said of these.

The columns are the same in JSON Lines, CSV, Parquet and Athena, and every row has all of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_bda.service.json_reading import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.service.results.custom import ExtractedField
    from airflow_bda.service.results.job_result import JobResult, SegmentResult

SEGMENTS, FIELDS, REVIEWS = "segments", "fields", "reviews"
TEXT, WHOLE, NUMBER, BOOLEAN = "string", "bigint", "double", "boolean"

# What both tables begin with: which segment of which document.
_SOURCE = {
    "metadata_uri": TEXT,
    "job_id": TEXT,
    "invocation_arn": TEXT,
    "input_s3_uri": TEXT,
    "asset_id": TEXT,
    "segment": WHOLE,
    "document_class": TEXT,
    "blueprint": TEXT,
    "custom_output_status": TEXT,
}
# What a value is, and what a person made of it: `value_read` is the service's.
_VALUE = {
    "path": TEXT,
    "name": TEXT,
    "value": TEXT,
    "value_number": NUMBER,
    "value_boolean": BOOLEAN,
    "type": TEXT,
    "found": BOOLEAN,
    "confidence": NUMBER,
    "page": WHOLE,
}
_REVIEW = {"value_read": TEXT, "reviewed_by": TEXT, "reviewed_at": TEXT}
# Table to its columns, each with its type in Athena's words.
COLUMNS: dict[str, dict[str, str]] = {
    SEGMENTS: {
        **_SOURCE,
        "modality": TEXT,
        "pages": WHOLE,
        "blueprint_arn": TEXT,
        "blueprint_confidence": NUMBER,
        "fields": WHOLE,
        "fields_found": WHOLE,
        "confidence_min": NUMBER,
        "confidence_mean": NUMBER,
        "summary": TEXT,
        "text": TEXT,
    },
    FIELDS: {
        **_SOURCE,
        **_VALUE,
        "box_left": NUMBER,
        "box_top": NUMBER,
        "box_width": NUMBER,
        "box_height": NUMBER,
        "places": TEXT,
        "start_millis": WHOLE,
        "end_millis": WHOLE,
        **_REVIEW,
    },
    REVIEWS: {**_SOURCE, **_VALUE, **_REVIEW},
}
_INDEX = re.compile(r"\[\d+\]")


def rows_of_job(
    result: JobResult, *, invocation_arn: str | None = None, min_confidence: float | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Go through a job's rows, a segment's row before those of its fields.

    :param invocation_arn: the job, for the column; the result files do not name it.
    :param min_confidence: leave out fields with a confidence below this, 0 to 1; one without a confidence stays.
    :return: pairs of a table's name and a row.
    """
    for segment in result.segments:
        source = _source(result, segment, invocation_arn)
        fields = segment.fields()
        yield SEGMENTS, source | _segment(segment, fields)
        for field in fields:
            if min_confidence is None or field.confidence is None or field.confidence >= min_confidence:
                yield FIELDS, source | _field(field)


def _source(result: JobResult, segment: SegmentResult, invocation_arn: str | None) -> dict[str, Any]:
    custom = segment.custom
    blueprint = custom.matched_blueprint if custom else None
    source: dict[str, Any] = plain(
        {
            "metadata_uri": result.metadata.uri,
            "job_id": result.metadata.job_id,
            "invocation_arn": invocation_arn,
            "input_s3_uri": segment.input_s3_uri,
            "asset_id": str(segment.asset_id),
            "segment": segment.index,
            "document_class": custom.document_class if custom else None,
            "blueprint": blueprint.name if blueprint else None,
            "custom_output_status": segment.custom_status,
        }
    )
    return source


def _segment(segment: SegmentResult, fields: tuple[ExtractedField, ...]) -> dict[str, Any]:
    blueprint = segment.custom.matched_blueprint if segment.custom else None
    found = [field for field in fields if field.found]
    # What was not found often has a high confidence, which says nothing about the document.
    confidences = [field.confidence for field in found if field.confidence is not None]
    row: dict[str, Any] = plain(
        {
            "modality": segment.modality.value if segment.modality else None,
            "pages": segment.pages,
            "blueprint_arn": blueprint.arn if blueprint else None,
            "blueprint_confidence": blueprint.confidence if blueprint else None,
            "fields": len(fields),
            "fields_found": len(found),
            "confidence_min": min(confidences, default=None),
            "confidence_mean": sum(confidences) / len(confidences) if confidences else None,
            "summary": segment.standard.summary if segment.standard else None,
            "text": segment.text,
        }
    )
    return row


def _field(field: ExtractedField) -> dict[str, Any]:
    value, box = plain(field.value), field.box
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    row: dict[str, Any] = plain(
        {
            "path": field.path,
            "name": _INDEX.sub("[]", field.path),
            "value": value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            "value_number": float(value) if is_number else None,
            "value_boolean": value if isinstance(value, bool) else None,
            "type": field.type,
            "found": field.found,
            "confidence": field.confidence,
            "page": field.page,
            "box_left": box.left if box else None,
            "box_top": box.top if box else None,
            "box_width": box.width if box else None,
            "box_height": box.height if box else None,
            "places": json.dumps([place.to_dict() for place in field.locations]) if field.locations else None,
            "start_millis": field.start_millis,
            "end_millis": field.end_millis,
            **dict.fromkeys(_REVIEW),
        }
    )
    return row
