"""S3 URIs, as BDA takes and gives them."""

from __future__ import annotations

from dataclasses import dataclass

SCHEME = "s3://"


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
        Take ``s3://bucket/key`` apart, keeping the key as it is (BDA's output may hold ``//``).

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
