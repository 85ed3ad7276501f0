"""The folder of a batch on S3: JSON Lines, conditional writes, and retries of transient errors."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.service.aws_errors import Failure, call_error, classify
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from airflow_bda.engine.batch.documents import Document

T = TypeVar("T")

_RETRY_FIRST_SECONDS = 0.5
_RETRY_LONGEST_SECONDS = 30.0
# After this long an error of S3 is no short outage; it fails the try, and the task's retries resume the batch.
_RETRY_SECONDS = 900.0
# A lost response or a concurrent write explains one or two.
_MOST_CONFLICTS_WITHOUT_CHANGE = 5


class ConflictError(Exception):
    """The condition of a write does not hold: another writer was faster."""


class Replacing:
    """
    Count the tries to replace an object by its ETag, and stop where they cannot succeed.

    A conflict should mean that the object has changed. Some stores return another ETag with each response, or for
    encrypted objects. There If-Match always fails, and retrying would never end.

    :param uri: the object, for the error.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._last: object = None
        self._failed_tries = 0

    def tries(self, etag: object) -> None:
        """
        Record a try to replace the object with this ETag.

        :raises BdaError: when several tries were refused and the object's ETag did not change.
        """
        self._failed_tries = self._failed_tries + 1 if etag is not None and etag == self._last else 0
        self._last = etag
        if self._failed_tries >= _MOST_CONFLICTS_WITHOUT_CHANGE:
            raise BdaError(
                f"The object store refuses to replace {self._uri}: If-Match fails with the ETag that it returned.",
                remedy="A batch needs a store whose ETags can be compared, as those of S3 can. No progress is lost: "
                "the same batch continues from its ledger.",
            )


class Store(Protocol):
    """S3, as a batch needs it. Every method raises what its client raises; nothing is tried again here."""

    async def get(self, uri: str, *, most_bytes: int | None = None) -> tuple[bytes, str] | None:
        """
        Return an object and its ETag; None where there is none.

        :param most_bytes: read no more than its first bytes.
        """

    async def put(
        self, uri: str, body: bytes | IO[bytes], *, if_absent: bool = False, if_etag: str | None = None
    ) -> str:
        """
        Write an object and return its ETag.

        :param body: its bytes, or a file that has them, which is read from its beginning.
        :param if_absent: only where there is no such object (``If-None-Match: *``).
        :param if_etag: only where the object has this ETag (``If-Match``).
        :raises ConflictError: when the condition does not hold.
        """

    async def head(self, uri: str) -> Document | None:
        """Look an object up; None where there is none."""

    async def names(self, uri: str, *, after: str) -> tuple[list[str], str | None]:
        """
        List one page of the keys under a prefix, in order, each without the prefix.

        :param after: list what comes after this name only.
        :return: the names, and what to pass as *after* for the next page; None after the last page.
        """

    async def documents(self, uri: str, *, after: str) -> tuple[list[Document], str | None]:
        """
        List one page of the objects under a prefix in the order of their keys, with versions where there are any.

        :param after: list the keys after this one only.
        :return: the objects, and what to pass as *after* for the next page; None after the last page.
        """

    async def delete(self, uris: list[str]) -> None:
        """Delete objects, at most 1,000."""


# By the first word of the operation. Without s3:ListBucket, S3 denies access to an object that is merely missing.
_PERMISSIONS = {
    "Listing": "s3:ListBucket on the bucket",
    "Looking": "s3:GetObject on it and s3:ListBucket on its bucket",
    "Reading": "s3:GetObject on it and s3:ListBucket on its bucket",
    "Writing": "s3:PutObject on it",
    "Deleting": "s3:DeleteObject on it",
}


async def with_retries(call: Callable[[], Awaitable[T]], *, operation: str) -> T:
    """
    Call S3, and retry transient errors.

    :param call: makes one try. It must be safe to repeat.
    :param operation: what is tried and where, for the error: "Reading s3://bucket/key".
    :raises BdaError: an error that is not transient, or that lasted for a quarter of an hour.
    :raises ConflictError: as the call does.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _RETRY_SECONDS
    tries = 0
    while True:
        try:
            return await call()
        except (ConflictError, BdaError):
            raise
        except Exception as error:
            if not classify(error).is_passing or loop.time() >= give_up_at:
                raise call_error(error, operation=operation, remedy=_remedy(error, operation)) from error
        await asyncio.sleep(full_jitter(tries, first=_RETRY_FIRST_SECONDS, longest=_RETRY_LONGEST_SECONDS))
        tries += 1


def _remedy(error: Exception, operation: str) -> str | None:
    if classify(error) is not Failure.PERMISSION:
        return None
    permissions = _PERMISSIONS[operation.partition(" ")[0]]
    return (
        f"Allow {permissions}, and the key of the bucket where it has one, to the identity of the connection. "
        "`airflow-bda policy caller --batch` prints all that a batch needs."
    )


@dataclass(frozen=True)
class Folder:
    """
    A prefix of S3; reads and writes below it are retried on transient errors.

    :param uri: without a trailing slash.
    """

    store: Store
    uri: str

    def of(self, name: str) -> str:
        """Return the URI of something in the folder."""
        return f"{self.uri}/{name}"

    async def names(self, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        """List the names under a prefix of the folder, in order, each without the prefix."""
        place = self.of(prefix)
        marker: str | None = after
        while marker is not None:
            start = marker
            found, marker = await with_retries(
                lambda start=start: self.store.names(place, after=start),  # type: ignore[misc]
                operation=f"Listing {place}",
            )
            for name in found:
                yield name

    async def read(self, name: str) -> tuple[list[Any], str] | None:
        """Return the lines of an object, and its ETag; None where there is none."""
        found = await with_retries(lambda: self.store.get(self.of(name)), operation=f"Reading {self.of(name)}")
        if found is None:
            return None
        body, etag = found
        return [json.loads(line) for line in body.splitlines() if line], etag

    async def read_lines(self, name: str) -> list[Any]:
        """
        Return the lines of an object that must be there.

        :raises BdaError: when it is not.
        """
        found = await self.read(name)
        if found is None:
            raise BdaError(
                f"{self.of(name)} is missing: the batch's own files were deleted.",
                remedy="Start the batch over with force=True.",
            )
        return found[0]

    async def write(
        self, name: str, lines: Iterable[Mapping[str, Any]], *, if_absent: bool = False, if_etag: str | None = None
    ) -> str:
        """
        Write an object of lines, and return its ETag.

        A write whose response is lost may end in a conflict with itself.

        :raises ConflictError: when a condition was given and does not hold.
        """
        body = b"".join(to_line(line) for line in lines)
        return await with_retries(
            lambda: self.store.put(self.of(name), body, if_absent=if_absent, if_etag=if_etag),
            operation=f"Writing {self.of(name)}",
        )


def to_line(value: Mapping[str, Any]) -> bytes:
    """Return a value as one line of JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
