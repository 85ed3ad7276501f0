"""
The standard output of an image: its size and its text.

Keys as in https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-image.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.outputs import notes
from airflow_bda.emulator.documents.outputs.document import ASSET_ID, Source
from airflow_bda.emulator.documents.outputs.geometry import bounding_box, corners, stable_id
from airflow_bda.emulator.documents.reading import ocr
from airflow_bda.service.formats import Modality

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.reading.images import Picture
    from airflow_bda.emulator.documents.reading.layout import Run, Word

_CONFIDENCE_PLACES = 4


def image_result(source: Source, picture: Picture) -> dict[str, Any]:
    """Build ``standard_output/0/result.json`` of an image."""
    lines = [
        {"id": stable_id(source.key, "line", number), **_text_entry(line)}
        for number, line in enumerate(picture.page.lines)
    ]
    words = [
        {
            "id": stable_id(source.key, "word", number, position),
            "line_id": stable_id(source.key, "line", number),
            **_text_entry(word),
        }
        for number, line in enumerate(picture.page.lines)
        for position, word in enumerate(line.words)
    ]
    return {
        "metadata": {
            "asset_id": ASSET_ID,
            "semantic_modality": str(Modality.IMAGE),
            "s3_bucket": source.bucket,
            "s3_key": source.key,
            "image_width_pixels": picture.width,
            "image_height_pixels": picture.height,
            "color_depth": picture.color_depth,
            "image_encoding": picture.encoding,
        },
        "image": {
            "iab_categories": [],
            "content_moderation": [],
            "logos": [],
            "text_words": words,
            "text_lines": lines,
        },
        "statistics": {
            "iab_category_count": 0,
            "content_moderation_count": 0,
            "logo_count": 0,
            "line_count": len(lines),
            "word_count": len(words),
        },
        notes.KEY: [notes.NO_CONTENT] if ocr.is_available() else [notes.NO_CONTENT, notes.NO_OCR],
    }


def _text_entry(text: Run | Word) -> dict[str, Any]:
    return {
        "text": text.text,
        "confidence": round(text.confidence, _CONFIDENCE_PLACES),
        "locations": [{"bounding_box": bounding_box(text.box), "polygon": corners(text.box)}],
    }
