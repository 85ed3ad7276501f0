"""
Decide which documents a batch has: list, filter, leave out what an earlier batch finished, and write the plan.

S3 lists keys in the order of their bytes, which is the order of Python's texts too. So the listing and the index of
what was finished earlier are two sorted streams, and comparing them takes the memory of one page each. The index is
kept in parts, and rewritten by every batch that finished something: the former index and the batch's own rows
are merged as two streams. ``current.json`` names the current folder. It is replaced by a conditional write; who
comes second merges again.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import PART_SIZE, SUCCEEDED, Document, PlannedDocument
from airflow_bda.engine.batch.store import ConflictError, Replacing, with_retries
from airflow_bda.service.errors import BdaError, BdaRequestError
from airflow_bda.service.s3 import S3Uri, is_known_format

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from airflow_bda.engine.batch.documents import Row
    from airflow_bda.engine.batch.store import Folder, Store

_LOOK_UPS_AT_ONCE = 16


@dataclass(frozen=True)
class Source:
    """
    Where the documents of a batch come from: one of a list and a prefix.

    :param uris: the documents, sorted, each once.
    :param prefix: ``s3://bucket/prefix``; every object under it.
    :param pattern: a glob for the part of each key that follows the prefix, in which ``*`` matches slashes too; None
        takes the objects whose extension is of a format that the service lists.
    :param shard: ``(number, of)``: only the documents of one of *of* shards, by a digest of their URIs; None for all.
    """

    uris: tuple[str, ...] = ()
    prefix: str | None = None
    pattern: str | None = None
    shard: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps: of a list, which may be long, only the digest."""
        listed = hashlib.sha256("\n".join(self.uris).encode()).hexdigest() if self.uris else None
        return {
            "input_s3_uris": listed,
            "input_s3_prefix": self.prefix,
            "pattern": self.pattern,
            "shard": list(self.shard) if self.shard else None,
        }

    def check_apart_from(self, output_s3_uri: str) -> None:
        """
        Refuse an output that lies inside the input.

        :raises BdaRequestError: when the batch would process its own results.
        """
        output = f"{output_s3_uri.rstrip('/')}/"
        inside = [uri for uri in self.uris if uri.startswith(output)]
        if (self.prefix is not None and output.startswith(self.prefix)) or inside:
            raise BdaRequestError(
                "The output is inside the input: the batch would process its own results.",
                problems=[
                    f"output_s3_uri={output_s3_uri!r} lies inside of input_s3_prefix={self.prefix!r}: use another "
                    "prefix, or another bucket, for the results."
                    if not inside
                    else f"input_s3_uris has {inside[0]!r}, which lies below output_s3_uri={output_s3_uri!r}."
                ],
            )

    def takes(self, document: Document) -> str | None:
        """Return the reason for leaving an object out: ``empty``, ``pattern`` or ``format``; None for a document."""
        key = S3Uri.parse(document.uri).key
        if key.endswith("/") or document.size == 0:
            return "empty"
        if self.pattern is not None and self.prefix is not None:
            return None if fnmatchcase(document.uri[len(self.prefix) :], self.pattern) else "pattern"
        return None if is_known_format(key) or self.uris else "format"

    def is_in_shard(self, document: Document) -> bool:
        """Whether a document belongs to this shard."""
        if self.shard is None:
            return True
        number, of = self.shard
        digest = hashlib.sha256(document.uri.encode()).digest()
        return int.from_bytes(digest[:8], "big") % of == number


@dataclass(frozen=True)
class Plan:
    """
    A plan that is written.

    :param name: its folder's name.
    :param left_out: how many objects were left out, by the reason.
    """

    name: str
    documents: int
    left_out: dict[str, int]


async def write_plan(folder: Folder, name: str, source: Source, finished: AsyncIterator[Row]) -> Plan:
    """
    List the documents of a batch and write the plan.

    :param name: the plan's folder; another one for each attempt.
    :param finished: the rows of what earlier batches finished with the same request, sorted by their URIs.
    :raises BdaRequestError: when the prefix has objects and none of them is taken.
    :raises BdaError: when the bucket cannot be listed.
    """
    left_out: Counter[str] = Counter()
    lines: list[dict[str, Any]] = []
    count = 0
    async for document, row in _with_finished(_taken(folder.store, source, left_out), finished):
        lines.append(PlannedDocument(count, document, row).to_json())
        count += 1
        if len(lines) == PART_SIZE:
            await folder.write(_part_of_plan(name, (count - 1) // PART_SIZE), lines)
            lines = []
    if lines:
        await folder.write(_part_of_plan(name, (count - 1) // PART_SIZE), lines)
    if not count and left_out and not source.shard:
        raise BdaRequestError(
            "No object under the prefix is a document for this batch.",
            problems=[
                f"input_s3_prefix={source.prefix!r}: all {left_out.total()} objects were left out: {_told(left_out)}."
            ],
            remedy="Pass pattern='*' to take every object, whatever its name.",
        )
    return Plan(name, count, dict(left_out))


async def read_part(folder: Folder, name: str, part: int) -> list[PlannedDocument]:
    """Return the documents of one part of a plan."""
    return [PlannedDocument.from_json(line) for line in await folder.read_lines(_part_of_plan(name, part))]


def _part_of_plan(name: str, part: int) -> str:
    return f"{name}/{part:05d}.jsonl"


def _told(left_out: Mapping[str, int]) -> str:
    whats = {
        "empty": "empty or a folder",
        "pattern": "not matched by pattern",
        "format": "without the extension of a format that the service lists",
    }
    return ", ".join(f"{count} {whats[reason]}" for reason, count in sorted(left_out.items()))


async def _taken(store: Store, source: Source, left_out: Counter[str]) -> AsyncIterator[Document]:
    last = ""
    async for document in _listed(store, source):
        if document.uri <= last:
            raise BdaError(
                f"{source.prefix} is not listed in the order of its keys: {document.uri} came after {last}.",
                remedy="A batch needs a bucket that lists in order; directory buckets do not. Pass input_s3_uris.",
            )
        last = document.uri
        reason = source.takes(document)
        if reason is not None:
            left_out[reason] += 1
        elif source.is_in_shard(document):
            yield document


async def _listed(store: Store, source: Source) -> AsyncIterator[Document]:
    if source.prefix is None:
        async for document in _looked_up(store, source.uris):
            yield document
        return
    prefix = source.prefix
    after: str | None = ""
    while after is not None:
        start = after
        page, after = await with_retries(
            lambda start=start: store.documents(prefix, after=start),  # type: ignore[misc]
            operation=f"Listing {prefix}",
        )
        for document in page:
            yield document


async def _looked_up(store: Store, uris: tuple[str, ...]) -> AsyncIterator[Document]:
    """Look up the objects of a list, some at a time. One that is missing is a document too, and fails later."""
    for start in range(0, len(uris), _LOOK_UPS_AT_ONCE):
        some = uris[start : start + _LOOK_UPS_AT_ONCE]
        for uri, found in zip(some, await asyncio.gather(*(_look_up(store, uri) for uri in some)), strict=True):
            yield Document(uri, found.etag, found.version) if found else Document(uri, "")


async def _look_up(store: Store, uri: str) -> Document | None:
    try:
        return await with_retries(lambda: store.head(uri), operation=f"Looking {uri} up")
    except BdaError:
        return None


async def _with_finished(
    documents: AsyncIterator[Document], finished: AsyncIterator[Row]
) -> AsyncIterator[tuple[Document, Row | None]]:
    """Merge two sorted streams: yield each document with the row that finished it, if its object is unchanged."""
    row = await anext(finished, None)
    async for document in documents:
        while row is not None and row["input"] < document.uri:
            row = await anext(finished, None)
        is_same = (
            row is not None
            and row["input"] == document.uri
            and bool(document.state)
            and (row["version"] or row["etag"]) == document.state
        )
        yield document, row if is_same else None


_PART_SIZE = 1000
_CURRENT = "current.json"
# The members of a row that the index keeps, for the row of a document that a later batch skips.
_KEPT = ("input", "etag", "version", "arn", "output", "seconds", "pages")


class FinishedIndex:
    """
    The index of one request on one output.

    :param folder: ``<output>/_batch/_finished/<digest>``.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    async def rows(self) -> AsyncIterator[Row]:
        """Read the index, in the order of its documents' URIs."""
        current, _ = await self._current()
        async for row in self._rows_of(current):
            yield row

    async def add(self, rows: Callable[[], AsyncIterator[Row]]) -> None:
        """
        Add what a batch finished.

        :param rows: reads the batch's rows, sorted by their URIs; called again when another batch was faster.
        :raises BdaError: when the store cannot replace an object by its ETag.
        """
        replacing = Replacing(self._folder.of(_CURRENT))
        while True:
            current, etag = await self._current()
            replacing.tries(etag)
            written = await self._write(_merge(self._rows_of(current), rows()), before=current)
            condition: dict[str, Any] = {"if_etag": etag} if etag else {"if_absent": True}
            try:
                await self._folder.write(_CURRENT, [written], **condition)
            except ConflictError:
                # Either another batch was faster, or the response to our own write was lost.
                if (await self._current())[0].get("name") != written["name"]:
                    continue
            await self._delete_old(current.get("before"))
            return

    async def _current(self) -> tuple[dict[str, Any], str | None]:
        found = await self._folder.read(_CURRENT)
        if found is None:
            return {}, None
        (current,), etag = found
        return current, etag

    async def _rows_of(self, current: dict[str, Any]) -> AsyncIterator[Row]:
        for part in range(current.get("parts", 0)):
            for row in await self._folder.read_lines(f"{current['name']}/{part:05d}.jsonl"):
                yield row

    async def _write(self, rows: AsyncIterator[Row], *, before: dict[str, Any]) -> dict[str, Any]:
        name, parts, lines = uuid.uuid4().hex, 0, []
        async for row in rows:
            lines.append(row)
            if len(lines) == _PART_SIZE:
                await self._folder.write(f"{name}/{parts:05d}.jsonl", lines)
                parts, lines = parts + 1, []
        if lines:
            await self._folder.write(f"{name}/{parts:05d}.jsonl", lines)
            parts += 1
        # The former index may still be read by a batch that is being planned; the one before it is not.
        kept = {"name": before["name"], "parts": before["parts"]} if before else None
        return {"name": name, "parts": parts, "before": kept}

    async def _delete_old(self, old: dict[str, Any] | None) -> None:
        if not old:
            return
        names = [self._folder.of(f"{old['name']}/{part:05d}.jsonl") for part in range(old["parts"])]
        try:
            for start in range(0, len(names), 1000):
                some = names[start : start + 1000]
                await with_retries(
                    lambda some=some: self._folder.store.delete(some),  # type: ignore[misc]
                    operation=f"Deleting {some[0]}",
                )
        except BdaError:
            # Without the permission to delete, old copies of the index stay.
            return


async def _merge(old: AsyncIterator[Row], new: AsyncIterator[Row]) -> AsyncIterator[Row]:
    """Merge two sorted streams; of two rows for one document the new one counts."""
    kept, added = await anext(old, None), await _next_finished(new)
    while kept is not None or added is not None:
        if added is None or (kept is not None and kept["input"] < added["input"]):
            assert kept is not None, "nothing is left"  # noqa: S101
            yield kept
            kept = await anext(old, None)
            continue
        yield {name: added.get(name) for name in _KEPT}
        if kept is not None and kept["input"] == added["input"]:
            kept = await anext(old, None)
        added = await _next_finished(new)


async def _next_finished(rows: AsyncIterator[Row]) -> Row | None:
    async for row in rows:
        if row["status"] == SUCCEEDED:
            return row
    return None
