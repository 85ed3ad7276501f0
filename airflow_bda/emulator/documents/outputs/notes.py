"""
What a result of the emulator says about its own stand-ins.

A result has the key ``emulator_notes`` beside the service's own keys wherever the service would have written more.
"""

from __future__ import annotations

KEY = "emulator_notes"

NO_SUMMARY = "No description and no summary: the emulator does not make them up."
NO_TRANSCRIPT = (
    "No transcript, summary or topics: the emulator reads the container, not the speech. "
    "Give a canned result for this key in the answers folder."
)
NO_SHOTS = "No shots and no chapters: the emulator reads the container, not the pictures."
NO_GEOMETRY = "No boxes: the emulator does not lay a DOCX out. A page is what lies between two page breaks."
NO_OCR = "No text: rapidocr is not installed. Install airflow-provider-bda[local]."
NO_CONTENT = "No categories, logos, content moderation or summary: the emulator reads only the text of an image."
