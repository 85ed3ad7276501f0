"""
Results as rows of tables: ``segments``, one row a segment, ``fields``, one row a value, and what people said of these.

The columns are the same in JSON Lines, CSV, Parquet and Athena, and every row has all of them. A value is named by a
digest of its document, segment and path. So answers find their rows whatever was written to the table between the
question and the answer, and what was reviewed once is not asked again for the same job.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from typing import TYPE_CHECKING, Any

from airflow_bda.service.json_reading import plain
from airflow_bda.service.safe_values import safe_number, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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


# What a person can be asked to read in a form; longer values are rarely what a blueprint extracts.
MOST_CHARACTERS = 2_000
_NAMED_BY = ("metadata_uri", "asset_id", "segment", "path")
_OF_REVIEW = tuple(COLUMNS[REVIEWS])


def key_of(row: Mapping[str, Any]) -> str:
    """Return the name of a row's value: 16 hexadecimal digits."""
    parts = json.dumps([row.get(column) for column in _NAMED_BY])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def merged(row: Mapping[str, Any], reviews: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """
    Return a row of the table of fields with what a person said of its value.

    :param reviews: rows of the table of reviews, by the keys of their values.
    """
    review = reviews.get(key_of(row))
    if review is None:
        return dict(row)
    own = ("value", "value_number", "value_boolean", "found", "value_read", "reviewed_by", "reviewed_at")
    return {**row, **{column: review[column] for column in own}}


def is_unsure(row: Mapping[str, Any], below: float) -> bool:
    """Whether a value was found with a confidence below *below*, and nobody has reviewed it."""
    confidence = row.get("confidence")
    return confidence is not None and confidence < below and bool(row.get("found")) and not row.get("reviewed_at")


def unsure_rows(rows: Iterable[Mapping[str, Any]], *, below: float, most: int) -> tuple[list[dict[str, Any]], int]:
    """
    Return the unsure rows that a person is to look at, in the table's order, and how many there are in all.

    A value of more than 2,000 characters is counted, and never returned.

    :param most: how many rows to return at most: those with the lowest confidences.
    """
    in_all = 0
    # The lowest confidences are kept, so what goes first is the highest. The place breaks ties.
    kept: list[tuple[float, int, dict[str, Any]]] = []
    for place, row in enumerate(rows):
        if not is_unsure(row, below):
            continue
        in_all += 1
        if len(row.get("value") or "") <= MOST_CHARACTERS:
            heapq.heappush(kept, (-row["confidence"], -place, {column: row.get(column) for column in _OF_REVIEW}))
            if len(kept) > most:
                heapq.heappop(kept)
    return [row for _, _, row in sorted(kept, key=lambda each: -each[1])], in_all


def review_of(row: Mapping[str, Any], answer: Any, *, by: str, at: str) -> dict[str, Any]:
    """
    Return the row of the table of reviews for a person's answer.

    :param row: of the table of fields.
    :param answer: the value, as a form of Airflow's gives it: a text, a number, a boolean or None.
    :param by: who answered.
    :param at: when, as ISO 8601.
    """
    read = row.get("value")
    return {
        **{column: row.get(column) for column in _OF_REVIEW},
        **_typed(row, answer),
        # As the service read it, however often it is reviewed.
        "value_read": row.get("value_read") if row.get("reviewed_at") else read,
        "reviewed_by": safe_text(by),
        "reviewed_at": at,
    }


def _typed(row: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return the columns of a value; an answer that is what was read leaves them as they are."""
    if isinstance(answer, str) and row.get("value_number") is not None:
        answer = _number(answer)
    shown = shown_value(row)
    if answer == shown and isinstance(answer, bool) is isinstance(shown, bool):
        return {}
    number = safe_number(answer)
    if answer is None or isinstance(answer, str):
        text = safe_text(answer, MOST_CHARACTERS) if answer else answer
    else:
        text = safe_text(json.dumps(answer), MOST_CHARACTERS)
    return {
        "value": text,
        "value_number": None if number is None else float(number),
        "value_boolean": answer if isinstance(answer, bool) else None,
        "found": bool(text and text.strip()),
    }


def shown_value(row: Mapping[str, Any]) -> str | float | bool | None:
    """Return a row's value in its own type, as a form shows it."""
    if row.get("value_boolean") is not None:
        return bool(row["value_boolean"])
    if row.get("value_number") is not None:
        number = float(row["value_number"])
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    value: str | None = row.get("value")
    return value


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if safe_number(number) is not None else text
