"""What a batch does on a store that is not quite S3."""

from __future__ import annotations

import errno
import io

import pytest

from airflow_bda.engine.batch.store import Replacing
from airflow_bda.exceptions import BdaError
from airflow_bda.hooks.batch import HookStore


def test_a_store_whose_etags_never_match_ends_the_try_with_the_reason(batch, upload, monkeypatch):
    """Some stores make up another ETag for encrypted objects: trying again would never end."""
    put, requests = HookStore.put, []

    async def never_matching(self, uri, body, *, if_absent=False, if_etag=None):
        requests.append(uri)
        return await put(self, uri, body, if_absent=if_absent, if_etag=if_etag and "0" * 32)

    upload("a.pdf")
    batch.next_try()
    # The second run is the first that replaces an index.
    monkeypatch.setattr(HookStore, "put", never_matching)
    upload("b.pdf")
    batch.run_id = "manual__2"

    with pytest.raises(BdaError, match="If-Match fails"):
        batch.next_try()
    assert sum(uri.endswith("/current.json") for uri in requests) <= 10
    assert batch.jobs == {"a.pdf": 1, "b.pdf": 1}


def test_a_disk_without_room_for_the_rows_is_named(batch, upload, monkeypatch):
    class Full(io.BytesIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    upload("a.pdf")
    with monkeypatch.context() as patch:
        patch.setattr("airflow_bda.engine.batch.reporting.TemporaryFile", lambda **_: Full())
        with pytest.raises(BdaError, match=r"temporary file: No space left on device\.\n.*TMPDIR"):
            batch.next_try()
    batch.next_try()
    assert batch.jobs == {"a.pdf": 1}


def test_objects_that_change_are_replaced_however_often():
    replacing = Replacing("s3://bucket/key")

    for number in range(100):
        replacing.tries(f"etag {number}")
        replacing.tries(f"etag {number}")


def test_what_is_not_there_yet_is_no_conflict():
    replacing = Replacing("s3://bucket/key")

    for _ in range(100):
        replacing.tries(None)
