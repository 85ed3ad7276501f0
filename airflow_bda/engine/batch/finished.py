"""
Which objects were finished with which request, in every batch on one output: what ``only_changed`` goes by.

It is kept sorted, in parts, and written anew with every batch that finished something: the former index and the batch's
own rows are merged as two streams. ``current.json`` says which folder counts. It is replaced by a conditional write;
whoever comes second merges again.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import SUCCEEDED
from airflow_bda.engine.batch.store import ConflictError, Replacing, patiently
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_bda.engine.batch.documents import Row
    from airflow_bda.engine.batch.store import Folder

_PART_SIZE = 1000
_CURRENT = "current.json"
# What is kept of a row; a skipped document's row is made of it.
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
                # Either another batch was faster, or the answer to our own write was lost.
                if (await self._current())[0].get("name") != written["name"]:
                    continue
            await self._forget(current.get("before"))
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

    async def _forget(self, old: dict[str, Any] | None) -> None:
        if not old:
            return
        names = [self._folder.of(f"{old['name']}/{part:05d}.jsonl") for part in range(old["parts"])]
        try:
            for start in range(0, len(names), 1000):
                some = names[start : start + 1000]
                await patiently(lambda some=some: self._folder.store.delete(some), operation="DeleteObjects")  # type: ignore[misc]
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
