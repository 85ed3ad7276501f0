"""Pictures: PNG, JPEG and TIFF, a multi-page TIFF being a document of several pages."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.reading import ocr
from airflow_bda.emulator.documents.reading.input_limits import (
    LIMIT_EXCEEDED,
    MAX_PAGE_PIXELS,
    STEP_CLOCK,
    DocumentLimits,
    InputError,
    unreadable_means_input_error,
)
from airflow_bda.emulator.documents.reading.layout import Document, Page, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from airflow_bda.emulator.documents.reading.file_formats import FileFormat

# What Pillow calls the formats that the emulator takes; no other decoder is tried.
_DECODERS = ("PNG", "JPEG", "TIFF", "MPO")
# Paper: at least this light, in each of the three channels, and with channels no further apart than this.
_PAPER_LIGHT, _PAPER_TINT = 170, 48
_THUMBNAIL = (64, 64)
# A picture is guessed to be a document when this share of its pixels is as light and as grey as paper: only the queue
# needs to know before the text is read.
_PAPER_SHARE = 0.5
# Bigger ones are not decoded for a guess; no image may have a side that gives more with a usual other side.
_MOST_GUESSED_PIXELS = 25_000_000


@dataclass(frozen=True)
class Picture:
    """
    A decoded picture.

    :param page: its text, with boxes.
    """

    encoding: str
    width: int
    height: int
    page: Page


def looks_like_paper(data: bytes) -> bool:
    """Guess, without reading its text, whether a picture shows a document: mostly light and grey pixels."""
    with _opened(data) as image:
        if image.width * image.height > _MOST_GUESSED_PIXELS:
            return True
        image.draft("RGB", _THUMBNAIL)
        small = image.convert("RGB").resize(_THUMBNAIL)
    raw = small.tobytes()
    pixels = list(zip(raw[0::3], raw[1::3], raw[2::3], strict=True))
    light = sum(min(pixel) >= _PAPER_LIGHT and max(pixel) - min(pixel) <= _PAPER_TINT for pixel in pixels)
    return light / len(pixels) >= _PAPER_SHARE


def read_picture(data: bytes, file_format: FileFormat) -> Picture:
    """
    Decode a picture and read its text.

    :raises InputError: when it is damaged or too big to decode.
    """
    from PIL import ImageOps

    with _opened(data) as image:
        image.load()
        # Phones write photos lying on their side, with a note how to turn them.
        upright = ImageOps.exif_transpose(image)
        return Picture(file_format.value, upright.width, upright.height, _page(upright, 0))


def read_tiff(data: bytes, limits: DocumentLimits) -> Document:
    """
    Read each frame of a TIFF as a page.

    :raises InputError: when it is damaged or beyond the limits.
    """
    with _opened(data) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > limits.max_pages:
            raise InputError(LIMIT_EXCEEDED, f"The TIFF has {frames} pages; this call takes up to {limits.max_pages}.")
        pages = []
        for index in range(frames):
            STEP_CLOCK.restart()
            image.seek(index)
            _check_pixels(image)
            pages.append(_page(image, index))
        return Document("TIFF", tuple(pages))


@contextmanager
def _opened(data: bytes) -> Iterator[Image]:
    from PIL import Image

    with unreadable_means_input_error("a picture"):
        try:
            opened = Image.open(io.BytesIO(data), formats=_DECODERS)
        except Image.DecompressionBombError as error:
            # Pillow's own limit is above ours, and it tells of the size before anyone can look.
            raise InputError(LIMIT_EXCEEDED, f"The picture is too big to be decoded: {error}") from error
        with opened as image:
            _check_pixels(image)
            yield image


def _check_pixels(image: Image) -> None:
    """Refuse a decompression bomb: the size stands in the header, before anything is decoded."""
    if image.width * image.height > MAX_PAGE_PIXELS:
        raise InputError(
            LIMIT_EXCEEDED,
            f"The picture has {image.width} x {image.height} pixels; up to {MAX_PAGE_PIXELS:,} are decoded.",
        )


def _page(image: Image, index: int) -> Page:
    lines = lines_of(ocr.read_words(image))
    return Page(index, float(image.width), float(image.height), lines, was_scanned=True, pixels=image.size)


def page_picture(data: bytes, index: int) -> bytes:
    """Return a page of a picture file as a PNG, upright."""
    from PIL import ImageOps

    with _opened(data) as image:
        image.seek(index)
        _check_pixels(image)
        file = io.BytesIO()
        ImageOps.exif_transpose(image).save(file, "PNG")
    return file.getvalue()
