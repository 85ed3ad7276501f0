"""
How big an input may be.

The numbers are those of https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_bda.emulator.documents.assumptions import LIMIT_EXCEEDED, UNSUPPORTED_FORMAT
from airflow_bda.emulator.documents.contract import InputError
from airflow_bda.emulator.documents.reading.formats import FileFormat
from airflow_bda.service.formats import Modality

MEGABYTE = 1_000_000
POINTS_PER_INCH = 72


@dataclass(frozen=True)
class DocumentLimits:
    """
    The limits for documents.

    :param max_bytes: of the whole file.
    :param max_pages: of the whole file.
    :param formats: what is taken.
    """

    max_bytes: int
    max_pages: int
    formats: frozenset[FileFormat]


_PAGED = frozenset({FileFormat.PDF, FileFormat.TIFF, FileFormat.JPEG, FileFormat.PNG})
ASYNC_DOCUMENT = DocumentLimits(500 * MEGABYTE, 3000, _PAGED | {FileFormat.DOCX})
SYNC_DOCUMENT = DocumentLimits(50 * MEGABYTE, 10, _PAGED)
MAX_PDF_SIDE_POINTS = 9000

MAX_IMAGE_BYTES = 5 * MEGABYTE
MAX_IMAGE_SIDE_PIXELS = 8000

MAX_AUDIO_BYTES = 2048 * MEGABYTE
MIN_AUDIO_MILLIS, MAX_MEDIA_MILLIS = 500, 240 * 60 * 1000
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 48_000
MAX_CHANNELS = 2

MAX_VIDEO_BYTES = 10_240 * MEGABYTE
MIN_FRAME_RATE, MAX_FRAME_RATE = 1, 60
MIN_FRAME_SIDE, MAX_FRAME_SIDE = 224, 7680

_MAX_BYTES = {Modality.IMAGE: MAX_IMAGE_BYTES, Modality.AUDIO: MAX_AUDIO_BYTES, Modality.VIDEO: MAX_VIDEO_BYTES}


def document_limits(*, sync: bool) -> DocumentLimits:
    """Give the limits of the synchronous or of the asynchronous call."""
    return SYNC_DOCUMENT if sync else ASYNC_DOCUMENT


def check_format(file_format: FileFormat, limits: DocumentLimits) -> None:
    """
    Refuse a document format that the call does not take.

    :raises InputError: DOCX in a synchronous call.
    """
    if Modality.DOCUMENT in file_format.modalities and file_format not in limits.formats:
        taken = ", ".join(sorted(each.value for each in limits.formats))
        raise InputError(
            UNSUPPORTED_FORMAT,
            f"{file_format.value} is not taken by this call; convert the file to one of {taken}.",
        )


def check_size(size: int, modality: Modality, limits: DocumentLimits) -> None:
    """
    Refuse a file with too many bytes.

    :raises InputError: when it is too big for its modality.
    """
    most = _MAX_BYTES.get(modality, limits.max_bytes)
    if size > most:
        raise InputError(
            LIMIT_EXCEEDED,
            f"The file has {size:,} bytes; a file of modality {modality} may have {most // MEGABYTE} MB.",
        )


def check_image_size(width: int, height: int) -> None:
    """
    Refuse an image with too long a side.

    :raises InputError: naming the side.
    """
    for what, side in (("width", width), ("height", height)):
        check_range(f"image {what}", side, 1, MAX_IMAGE_SIDE_PIXELS, "pixels")


def check_range(what: str, value: float, least: float, most: float, unit: str) -> None:
    """
    Refuse a measure outside its limits.

    :raises InputError: naming the measure, its value and its limits.
    """
    if not least <= value <= most:
        raise InputError(LIMIT_EXCEEDED, f"The {what} is {value:g} {unit}; it must be {least:g} to {most:g} {unit}.")
