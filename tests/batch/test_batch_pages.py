"""The column ``pages``: read from the heads of two files, and null wherever it is not known."""

from __future__ import annotations

import asyncio
import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_bda.engine.batch.following import PageCounter, last_page

JOB = "s3://out/results/job-1"
METADATA = f"{JOB}/job_metadata.json"
LAST = f"{JOB}/0/standard_output/1/result.json"


def metadata(*paths, modality="DOCUMENT"):
    segments = [{"standard_output_path": path} for path in paths]
    output = {"asset_id": 0, "asset_input_path": {"s3_bucket": "in", "s3_key": "a.pdf"}, "segment_metadata": segments}
    return json.dumps(
        {"job_id": "job-1", "job_status": "PROCESSED", "semantic_modality": modality, "output_metadata": [output]}
    )


def output(**members):
    return json.dumps({"metadata": members, "document": {"representation": {"text": "x" * 100_000}}})


class Objects:
    """S3 with some objects; an exception in place of one is raised."""

    def __init__(self, objects):
        self.objects, self.reads = objects, []

    async def get(self, uri, *, most_bytes=None):
        self.reads.append((uri, most_bytes))
        found = self.objects.get(uri)
        if isinstance(found, Exception):
            raise found
        return found and (found.encode()[:most_bytes], "etag")


def pages(objects):
    return asyncio.run(PageCounter(objects).pages(METADATA))


def test_the_last_segment_says_where_the_document_ends():
    objects = Objects({METADATA: metadata(f"{JOB}/0/standard_output/0/result.json", LAST)})
    objects.objects[LAST] = output(number_of_pages=2, start_page_index=3, end_page_index=4)

    assert pages(objects) == 5
    assert [uri for uri, _ in objects.reads] == [METADATA, LAST]
    assert max(most for _, most in objects.reads) <= 256 * 1024


@pytest.mark.parametrize(
    "objects",
    [
        {},
        {METADATA: "no json"},
        {METADATA: metadata(None)},
        {METADATA: metadata(LAST)},
        {METADATA: metadata(LAST, modality="AUDIO"), LAST: output(end_page_index=1)},
        {METADATA: metadata("s3://elsewhere/result.json"), "s3://elsewhere/result.json": output(end_page_index=1)},
        {METADATA: metadata(LAST), LAST: output(number_of_pages=2)},
        {METADATA: metadata(LAST), LAST: output(end_page_index=-1)},
        {METADATA: metadata(LAST), LAST: output(end_page_index=True)},
        {METADATA: metadata(LAST), LAST: output(end_page_index=10**9)},
        {METADATA: EndpointConnectionError(endpoint_url="http://s3")},
    ],
)
def test_what_is_not_known_is_not_guessed(objects):
    assert pages(Objects(objects)) is None


@pytest.mark.parametrize(
    "head", [b"", b"\xff", b"[]", b'{"metadata": [1]}', b'{"metadata": {"end_page_index": 1', b"{" * 4096]
)
def test_a_head_that_is_no_standard_output(head):
    assert last_page(head) is None


def test_results_that_may_not_be_read_are_asked_for_once():
    denied = ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetObject")
    objects = Objects({METADATA: denied})
    counter = PageCounter(objects)

    async def twice():
        return [await counter.pages(METADATA) for _ in range(2)]

    assert asyncio.run(twice()) == [None, None]
    assert len(objects.reads) == 1
