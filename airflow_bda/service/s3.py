"""
S3 URIs as BDA takes and returns them, the formats of what they name, and the console's pages that show the objects.

AWS extends its list of formats, so nothing is refused by it:
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEME = "s3://"
# The isolated partitions do not publish their consoles: no address is better than a wrong one.
# https://docs.aws.amazon.com/general/latest/gr/mgmt-console.html
_CONSOLE_OF_PARTITION: Mapping[str, str] = MappingProxyType(
    {
        "aws": "console.aws.amazon.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-eusc": "console.amazonaws-eusc.eu",
        "aws-us-gov": "console.amazonaws-us-gov.com",
    }
)


@dataclass(frozen=True)
class S3Uri:
    """
    One object or prefix in S3.

    :param bucket: the bucket's name.
    :param key: the key or prefix, without the slash that separates it from the bucket; may be empty.
    """

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, uri: str) -> S3Uri:
        """
        Split ``s3://bucket/key``, keeping the key as it is (BDA's output may hold ``//``).

        :raises ValueError: when *uri* is not an S3 URI.
        """
        if not uri.startswith(SCHEME) or uri == SCHEME:
            raise ValueError(f"{uri!r} is not an S3 URI; expected s3://bucket/key")
        bucket, _, key = uri[len(SCHEME) :].partition("/")
        if not bucket:
            raise ValueError(f"{uri!r} names no bucket; expected s3://bucket/key")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.bucket}"


def folder_url(folder: S3Uri, *, region: str, partition: str) -> str | None:
    """
    Return the console page that lists a bucket's objects under a prefix.

    :param folder: with or without a slash at its end.
    :return: None for a partition whose console is not known.
    """
    prefix = f"{folder.key.rstrip('/')}/" if folder.key else ""
    return _page("buckets", folder.bucket, prefix, region, partition)


def object_url(place: S3Uri, *, region: str, partition: str) -> str | None:
    """
    Return the console page of one object.

    :return: None for a partition whose console is not known.
    """
    return _page("object", place.bucket, place.key, region, partition)


def _page(kind: str, bucket: str, key: str, region: str, partition: str) -> str | None:
    console = _CONSOLE_OF_PARTITION.get(partition)
    if console is None:
        return None
    query = {"region": region} | ({"prefix": key} if key else {})
    # A plus sign would be read as a space by some, as itself by others; %20 is a space to all.
    return f"https://{region}.{console}/s3/{kind}/{quote(bucket)}?{urlencode(query, quote_via=quote, safe='/')}"


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
