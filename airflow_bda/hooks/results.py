"""Reading a job's results from S3: the metadata, then every file that it lists."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.metadata import JobMetadata
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from airflow_bda.service.results.job_result import JobResult

# botocore's pool holds 10 connections unless told otherwise.
_AT_ONCE = 10


def read_result(s3: Any, metadata_uri: str) -> JobResult:
    """
    Read a job's whole result.

    :param s3: a boto3 client of S3.
    :param metadata_uri: the URI of ``job_metadata.json``.
    :raises BdaError: when a file is malformed, or lies outside the bucket that the job wrote to.
    """
    metadata = JobMetadata.parse(_get(s3, metadata_uri), metadata_uri)
    uris = _checked(metadata, metadata_uri)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bda-results") as pool:
        bodies = pool.map(lambda uri: _get(s3, uri), uris)
        return assemble_result(metadata, dict(zip(uris, bodies, strict=True)))


async def read_result_async(s3: Any, metadata_uri: str) -> JobResult:
    """Read a job's whole result with an aiobotocore client; the async twin of :func:`read_result`."""
    metadata = JobMetadata.parse(await _get_async(s3, metadata_uri), metadata_uri)
    uris = _checked(metadata, metadata_uri)
    places = asyncio.Semaphore(_AT_ONCE)

    async def get(uri: str) -> bytes:
        async with places:
            return await _get_async(s3, uri)

    bodies = await asyncio.gather(*(get(uri) for uri in uris))
    return assemble_result(metadata, dict(zip(uris, bodies, strict=True)))


def _checked(metadata: JobMetadata, metadata_uri: str) -> tuple[str, ...]:
    """Give the files that the metadata lists, where it may list them: it is input from outside, and names URIs."""
    bucket = S3Uri.parse(metadata_uri).bucket
    uris = metadata.output_uris()
    for uri in uris:
        if S3Uri.parse(uri).bucket != bucket:
            raise BdaError(
                f"{metadata_uri} lists {uri}, which is not in the bucket that the job wrote to.",
                remedy="The file was not written by BDA, or was changed since: run the job again.",
            )
    return uris


def _get(s3: Any, uri: str) -> bytes:
    location = S3Uri.parse(uri)
    body: bytes = s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
    return body


async def _get_async(s3: Any, uri: str) -> bytes:
    location = S3Uri.parse(uri)
    response = await s3.get_object(Bucket=location.bucket, Key=location.key)
    async with response["Body"] as stream:
        body: bytes = await stream.read()
    return body
