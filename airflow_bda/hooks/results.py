"""
Read a job's results from S3: the metadata, then every file that it lists. Read and write whole files beside them.

All files of a result are fetched and checked at once, so that a result is whole or an error. What they hold is kept
as bytes, a few megabytes in memory and the rest in a temporary file. It is decoded segment by segment, when it is
asked for.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from airflow_bda.service import json_reading
from airflow_bda.service.aws_errors import call_error
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.json_file import JsonFile
from airflow_bda.service.results.metadata import JobMetadata
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from airflow_bda.service.results.job_result import JobResult

# botocore's pool holds 10 connections unless told otherwise.
_AT_ONCE = 10
_CHUNK = 1 << 20
_IN_MEMORY = 1 << 23
# 3,000 pages with every word have 300 MB.
_LARGEST_FILE = 1 << 31


def read_result(s3: Any, metadata_uri: str) -> JobResult:
    """
    Read a job's whole result.

    :param s3: a boto3 client of S3.
    :param metadata_uri: the URI of ``job_metadata.json``.
    :raises BdaError: when a file is malformed, or is not in the job's own folder.
    """
    metadata_location = S3Uri.parse(metadata_uri)
    body = s3.get_object(Bucket=metadata_location.bucket, Key=metadata_location.key)["Body"].read()
    metadata = JobMetadata.parse(body, metadata_uri)
    store = _Store()

    def fetch(uri: str) -> JsonFile:
        location = S3Uri.parse(uri)
        body = s3.get_object(Bucket=location.bucket, Key=location.key)["Body"]
        # The bodies of a client that the caller made may not be streams.
        chunks = body.iter_chunks(_CHUNK) if hasattr(body, "iter_chunks") else [body.read()]
        return JsonFile(store.keep(uri, chunks), uri)

    uris = metadata.own_output_uris()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bda-results") as pool:
        return assemble_result(metadata, dict(zip(uris, pool.map(fetch, uris), strict=True)))


async def read_result_async(s3: Any, metadata_uri: str) -> JobResult:
    """
    Read a job's whole result with an aiobotocore client; the async twin of :func:`read_result`.

    Files are checked in a thread, one at a time: a thread that decodes JSON in short calls lets the event loop run.
    """
    location = S3Uri.parse(metadata_uri)
    response = await s3.get_object(Bucket=location.bucket, Key=location.key)
    body = b"".join([chunk async for chunk in _chunks_async(response["Body"])])
    metadata = await asyncio.to_thread(JobMetadata.parse, body, metadata_uri)
    store, fetching, checking = _Store(), asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(1)

    async def fetch(uri: str) -> JsonFile:
        location = S3Uri.parse(uri)
        async with fetching:
            response = await s3.get_object(Bucket=location.bucket, Key=location.key)
            kept = _Kept(store)
            async for chunk in _chunks_async(response["Body"]):
                await asyncio.to_thread(kept.append, uri, chunk)
        async with checking:
            return await asyncio.to_thread(JsonFile, kept, uri)

    uris = metadata.own_output_uris()
    files = await asyncio.gather(*map(fetch, uris))
    return await asyncio.to_thread(assemble_result, metadata, dict(zip(uris, files, strict=True)))


class _Store:
    """Bytes of many files: the first ones in memory, the rest in one temporary file without a name."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._in_memory = 0
        self._end = 0
        self._file: Any = None

    def keep(self, uri: str, chunks: Iterable[bytes]) -> _Kept:
        """Keep one file."""
        kept = _Kept(self)
        for chunk in chunks:
            kept.append(uri, chunk)
        return kept

    def write(self, chunk: bytes) -> bytes | int:
        """Keep a part of a file; return it where it stays in memory, else its place in the temporary file."""
        with self._lock:
            if self._in_memory + len(chunk) <= _IN_MEMORY:
                self._in_memory += len(chunk)
                return chunk
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="bda-results-")  # noqa: SIM115  closed with the result
            place, self._end = self._end, self._end + len(chunk)
        written = 0
        while written < len(chunk):
            written += os.pwrite(self._file.fileno(), memoryview(chunk)[written:], place + written)
        return place

    def read(self, place: int, size: int) -> bytes:
        """Return bytes of the temporary file."""
        return os.pread(self._file.fileno(), size, place)


class _Kept:
    """One file's bytes in a store; a :class:`~airflow_bda.service.results.json_file.Content`."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._starts: list[int] = []
        self._parts: list[bytes | int] = []
        self.size = 0

    def append(self, uri: str, chunk: bytes) -> None:
        """
        Keep the next part.

        :raises BdaError: when the file is larger than any that the service writes.
        """
        if self.size + len(chunk) > _LARGEST_FILE:
            raise json_reading.malformed(uri, f"it is larger than {_LARGEST_FILE} bytes")
        self._starts.append(self.size)
        self._parts.append(self._store.write(chunk))
        self.size += len(chunk)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to *end*, or to the file's end."""
        found, end = [], min(end, self.size)
        while start < end:
            number = bisect_right(self._starts, start) - 1
            stop = min(end, self._starts[number + 1] if number + 1 < len(self._starts) else self.size)
            part, skipped = self._parts[number], start - self._starts[number]
            if isinstance(part, bytes):
                found.append(part[skipped : skipped + stop - start])
            else:
                found.append(self._store.read(part + skipped, stop - start))
            start = stop
        return b"".join(found)


async def _chunks_async(body: Any) -> AsyncIterator[bytes]:
    async with body as stream:
        if hasattr(body, "iter_chunks"):
            async for chunk in body.iter_chunks(_CHUNK):
                yield chunk
        else:
            yield await stream.read()


_READ_REMEDY = "Check the URI, and that the connection may s3:GetObject there (and kms:Decrypt, where there is a key)."
_WRITE_REMEDY = "Check output_s3_uri, and that the connection may s3:PutObject there (and kms:GenerateDataKey)."
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


def download_file(s3: Any, uri: str, file: IO[bytes], *, may_be_absent: bool = False) -> bool:
    """
    Copy an object into a file, and go back to the file's beginning.

    :param s3: a boto3 client of S3.
    :param may_be_absent: whether an object that is not there is no error, and leaves the file empty.
    :return: whether the object is there.
    :raises BdaError: when it cannot be read; it names the URI.
    """
    place = S3Uri.parse(uri)
    try:
        s3.download_fileobj(place.bucket, place.key, file)
    except (ClientError, BotoCoreError, Boto3Error) as error:
        if may_be_absent and isinstance(error, ClientError) and error.response["Error"]["Code"] in _ABSENT:
            return False
        raise call_error(error, operation=f"Reading {uri}", remedy=_READ_REMEDY) from error
    file.seek(0)
    return True


def upload_file(s3: Any, file: IO[bytes], uri: str, *, content_type: str | None = None) -> None:
    """
    Write a whole file to an object.

    :param s3: a boto3 client of S3.
    :raises BdaError: when it cannot be written; it names the URI.
    """
    place = S3Uri.parse(uri)
    file.seek(0)
    try:
        s3.upload_fileobj(
            file, place.bucket, place.key, ExtraArgs={"ContentType": content_type} if content_type else None
        )
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise call_error(error, operation=f"Writing {uri}", remedy=_WRITE_REMEDY) from error


def read_object(s3: Any, uri: str, *, most_bytes: int = 500 * 1024 * 1024) -> bytes:
    """
    Return an object's bytes.

    :param s3: a boto3 client of S3.
    :raises ValueError: when it has more than *most_bytes*; 500 MB are BDA's own limit for a document.
    :raises Exception: what botocore raises.
    """
    place = S3Uri.parse(uri)
    answer = s3.get_object(Bucket=place.bucket, Key=place.key)
    if answer["ContentLength"] > most_bytes:
        raise ValueError(f"{uri} is too large: {answer['ContentLength']:,} bytes")
    content: bytes = answer["Body"].read()
    return content
