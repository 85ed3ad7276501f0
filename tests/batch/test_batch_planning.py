"""Planning a batch: what cannot be listed, and what is long."""

from __future__ import annotations

import asyncio
import gc

import pytest
from botocore.exceptions import ClientError

from airflow_bda.engine.batch.documents import Document
from airflow_bda.engine.batch.planning import Source, read_part, write_plan
from airflow_bda.engine.batch.store import Folder
from airflow_bda.exceptions import BdaPermissionError

PREFIX = "s3://inputs/inbox/"
PAGE = 1000


class ListedStore:
    """A bucket with many objects, made up page by page; of what is written it keeps the last part alone."""

    def __init__(self, documents):
        self.documents_in_all = documents
        self.lines = 0
        self.last = b""
        self.puts = self.most_held = 0

    async def documents(self, uri, *, after):
        start = int(after or -1) + 1
        end = min(start + PAGE, self.documents_in_all)
        page = [Document(f"{uri}{number:06d}.pdf", "e" * 32, None, 10) for number in range(start, end)]
        return page, str(end - 1) if end < self.documents_in_all else None

    async def put(self, uri, body, *, if_absent=False, if_etag=None):
        self.lines += body.count(b"\n")
        self.last = body
        self.puts += 1
        if self.puts % 20 == 0:
            self.most_held = max(self.most_held, sum(type(each) is Document for each in gc.get_objects()))
        return "etag"

    async def get(self, uri):
        return self.last, "etag"


class ForbiddenStore(ListedStore):
    async def documents(self, uri, *, after):
        error = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(error, "ListObjectsV2")


async def nothing():
    return
    yield


def plan(store):
    return asyncio.run(write_plan(Folder(store, "s3://out/_batch/b"), "plan", Source(prefix=PREFIX), nothing()))


def test_a_prefix_without_permission_is_refused_at_once_by_its_name():
    store = ForbiddenStore(0)

    with pytest.raises(BdaPermissionError, match=r"Listing s3://inputs/inbox/") as caught:
        plan(store)

    # Of S3's permissions, not of BDA's.
    assert "Allow s3:ListBucket on the bucket" in str(caught.value)
    assert "bedrock:" not in str(caught.value)

    assert store.lines == 0


def test_a_hundred_thousand_keys_are_held_a_page_at_a_time():
    store = ListedStore(100_000)

    planned = plan(store)

    assert planned.documents == store.lines == 100_000
    assert 0 < store.most_held <= 3 * PAGE
    (*_, last) = asyncio.run(read_part(Folder(store, "s3://out/_batch/b"), "plan", 199))
    assert (last.index, last.document.uri) == (99_999, f"{PREFIX}099999.pdf")
