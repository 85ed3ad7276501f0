"""
The input formats that BDA lists, by file extension.

AWS extends the list, so nothing is refused by it:
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html
"""

from __future__ import annotations

from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Modality(str, Enum):
    """The kind of input: document, image, audio or video."""

    DOCUMENT = "DOCUMENT"
    IMAGE = "IMAGE"
    AUDIO = "AUDIO"
    VIDEO = "VIDEO"

    @classmethod
    def parse(cls, word: str | None) -> Modality | None:
        """Read a modality in any case (files say ``DOCUMENT``, events ``Document``); None where it is unknown."""
        try:
            return cls((word or "").upper())
        except ValueError:
            return None

    def __str__(self) -> str:
        return self.value


# The service decides by the content whether a JPEG or PNG is a document or an image.
MODALITIES_OF_EXTENSION: Mapping[str, tuple[Modality, ...]] = MappingProxyType(
    dict.fromkeys(("pdf", "tif", "tiff", "docx"), (Modality.DOCUMENT,))
    | dict.fromkeys(("jpg", "jpeg", "png"), (Modality.DOCUMENT, Modality.IMAGE))
    | dict.fromkeys(("amr", "flac", "m4a", "mp3", "ogg", "wav"), (Modality.AUDIO,))
    | dict.fromkeys(("mp4", "mov", "avi", "mkv", "webm"), (Modality.VIDEO,))
)


def extension(key: str) -> str:
    """Return the last extension of a key, in lower case and without its dot; empty where it has none."""
    return PurePosixPath(key).suffix.removeprefix(".").lower()


def is_known_format(key: str) -> bool:
    """Return whether the key's extension is among the formats that the service lists."""
    return extension(key) in MODALITIES_OF_EXTENSION
