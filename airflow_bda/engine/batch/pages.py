"""
Count a finished document's pages, at the price of two small reads: for one column of ``results.jsonl``.

The standard output of a document's last segment begins with where it ends in the input
(https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html). The file itself may be of any size, so
that only its head is read. What is not found there is not guessed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_bda.service.aws_errors import Failure, classify
from airflow_bda.service.errors import BdaError
from airflow_bda.service.formats import Modality
from airflow_bda.service.results.metadata import JobMetadata

if TYPE_CHECKING:
    from airflow_bda.engine.batch.store import Store

# A segment's paths take some 500 bytes: enough for hundreds of segments.
_MOST_METADATA_BYTES = 256 * 1024
# The member ``metadata`` comes first and takes some 400 bytes.
_HEAD_BYTES = 4096
_BEGINS_WITH_METADATA = re.compile(r'\s*\{\s*"metadata"\s*:\s*')
# More than the service takes; a larger number is no number of pages.
_MOST_PAGES = 100_000


class PageCounter:
    """
    Reads how many pages documents have, as long as S3 lets it.

    :param store: S3, through the batch's connection.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_allowed = True

    async def pages(self, metadata_uri: str | None) -> int | None:
        """
        Return the number of pages of a document.

        :param metadata_uri: the URI of the job's ``job_metadata.json``.
        :return: None for what has no pages, and wherever the number is not known: without standard output, when S3 does
            not answer, or when the results may not be read, which is tried once.
        """
        if metadata_uri is None or not self._is_allowed:
            return None
        try:
            return await self._read(metadata_uri)
        except Exception as error:  # noqa: BLE001  one column is no reason for a document, or a batch, to fail
            self._is_allowed = classify(error) is not Failure.PERMISSION
            return None

    async def _read(self, metadata_uri: str) -> int | None:
        found = await self._store.get(metadata_uri, most_bytes=_MOST_METADATA_BYTES)
        if found is None:
            return None
        metadata = JobMetadata.parse(found[0], metadata_uri)
        segments = [segment.standard_output_uri for _, segment in metadata.segments()]
        if metadata.modality is not Modality.DOCUMENT or not segments or segments[-1] is None:
            return None
        if segments[-1] not in metadata.own_output_uris():
            raise BdaError(f"{segments[-1]} is not an output of the job.")
        head = await self._store.get(segments[-1], most_bytes=_HEAD_BYTES)
        return None if head is None else last_page(head[0])


def last_page(head: bytes) -> int | None:
    """
    Return the number, from 1, of the last page that a segment's standard output tells of.

    :param head: the beginning of the file.
    """
    text = head.decode(errors="replace")
    begin = _BEGINS_WITH_METADATA.match(text)
    if begin is None:
        return None
    try:
        metadata, _ = json.JSONDecoder().raw_decode(text, begin.end())
    except (ValueError, RecursionError):
        return None
    if not isinstance(metadata, dict):
        return None
    last_index: Any = metadata.get("end_page_index")
    is_place = isinstance(last_index, int) and not isinstance(last_index, bool) and 0 <= last_index < _MOST_PAGES
    return int(last_index) + 1 if is_place else None
