"""What was found in a document, as lines to read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.media import AudioOutput, VideoOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.service.results.custom import ExtractedField
    from airflow_bda.service.results.job_result import JobResult, SegmentResult
    from airflow_bda.service.results.parts import StandardOutput

_ITEM = re.compile(r"(?P<item>[^.]+\[\d+\])\.")
_EXCERPT = 100


@dataclass(frozen=True)
class Finding:
    """
    One line.

    :param name: a field's path, a list's item, or what the standard output tells.
    :param value: as text, in one line.
    :param confidence: 0 to 1, the lowest of an item's parts; None for what is no field.
    """

    name: str
    value: str
    confidence: float | None = None


def findings(result: JobResult) -> list[Finding]:
    """Give the fields that were found in each segment, or what else is known of it where no blueprint fits."""
    many = result.segment_count > 1
    return [
        Finding(f"{segment.index + 1}/{finding.name}" if many else finding.name, finding.value, finding.confidence)
        for segment in result.segments
        for finding in (_fields(segment) if segment.custom else _standard(segment.standard))
    ]


def found_and_asked(result: JobResult) -> tuple[int, int]:
    """Count the fields with a value, and all fields."""
    fields = [field for segment in result.segments if segment.custom for field in segment.custom.fields()]
    return sum(map(_is_found, fields)), len(fields)


def blueprints(result: JobResult) -> list[str]:
    """Name the blueprints that fit, with how well they do."""
    names = []
    for segment in result.segments:
        matched = segment.custom.matched_blueprint if segment.custom else None
        if matched and matched.name:
            names.append(matched.name if matched.confidence is None else f"{matched.name} {matched.confidence:.2f}")
    return names


def _fields(segment: SegmentResult) -> Iterator[Finding]:
    items: dict[str, list[ExtractedField]] = {}
    for field in segment.custom.fields() if segment.custom else ():
        if _is_found(field):
            part_of = _ITEM.match(field.path)
            items.setdefault(part_of["item"] if part_of else field.path, []).append(field)
    for name, parts in items.items():
        confidences = [part.confidence for part in parts if part.confidence is not None]
        value = ", ".join(_text(part.value) for part in parts)
        yield Finding(name, value, min(confidences, default=None))


def _is_found(field: ExtractedField) -> bool:
    return field.value not in (None, "", [], {})


def _standard(output: StandardOutput | None) -> Iterator[Finding]:
    if isinstance(output, DocumentOutput):
        yield Finding("text", _excerpt(output.representation.text))
    elif isinstance(output, ImageOutput):
        yield Finding("size", f"{output.width_pixels} x {output.height_pixels} pixels")
        if output.text_lines:
            yield Finding("text", _excerpt(" / ".join(line.text for line in output.text_lines)))
    elif isinstance(output, AudioOutput | VideoOutput):
        yield Finding("duration", f"{(output.duration_millis or 0) / 1000:.1f} s, {output.format} ({output.codec})")
        if output.transcript:
            yield Finding("transcript", _excerpt(output.transcript))
    for note in (output.raw.get("emulator_notes") or ()) if output else ():
        yield Finding("note", str(note))


def _excerpt(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}..."


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
