"""Boxes and ids as results hold them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.reading.layout import Box

_PLACES = 6
# Ids are made from the place that they name, so that the same input gives the same result.
_NAMESPACE = uuid.UUID("2d0d6a4e-3b57-5b0c-9a3e-6b8f4f0c9d11")


def stable_id(*parts: object) -> str:
    """Return the id of an element that stands at this place; the same on every run."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)))


def bounding_box(box: Box) -> dict[str, float]:
    """Return a box in ratios of the page."""
    return {
        "left": round(box.left, _PLACES),
        "top": round(box.top, _PLACES),
        "width": round(box.width, _PLACES),
        "height": round(box.height, _PLACES),
    }


def corners(box: Box) -> list[dict[str, float]]:
    """Return the four corners of a box, clockwise from the top left."""
    left, top, right, bottom = (round(side, _PLACES) for side in (box.left, box.top, box.right, box.bottom))
    return [{"x": left, "y": top}, {"x": right, "y": top}, {"x": right, "y": bottom}, {"x": left, "y": bottom}]
