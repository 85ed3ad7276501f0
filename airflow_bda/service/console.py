"""Where S3 objects are in the AWS console, in every partition whose console is known."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.service.s3 import S3Uri

# The isolated partitions do not say where their consoles are: no address is better than a wrong one.
# https://docs.aws.amazon.com/general/latest/gr/mgmt-console.html
_CONSOLE_OF_PARTITION: Mapping[str, str] = MappingProxyType(
    {
        "aws": "console.aws.amazon.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-eusc": "console.amazonaws-eusc.eu",
        "aws-us-gov": "console.amazonaws-us-gov.com",
    }
)


def folder_url(folder: S3Uri, *, region: str, partition: str) -> str | None:
    """
    Give the page that lists what is in a bucket under a prefix.

    :param folder: with or without a slash at its end.
    :return: None for a partition whose console is not known.
    """
    prefix = f"{folder.key.rstrip('/')}/" if folder.key else ""
    return _page("buckets", folder.bucket, prefix, region, partition)


def object_url(place: S3Uri, *, region: str, partition: str) -> str | None:
    """
    Give the page of one object.

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
