"""Report a batch: one row for each document, counts, causes of failures, and a manifest of constant size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import (
    FAILED,
    NOT_STARTED,
    PART_SIZE,
    RUNNING,
    SKIPPED,
    STATUSES,
    new_row,
    skipped_row,
)
from airflow_bda.engine.batch.planning import read_part
from airflow_bda.engine.batch.store import ConflictError, Replacing, to_line, with_retries
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from airflow_bda.engine.batch.documents import Row, State
    from airflow_bda.engine.batch.ledger import Ledger
    from airflow_bda.engine.batch.store import Folder

FORMAT = 1
RESULTS = "results.jsonl"
MANIFEST = "manifest.json"
_CAUSES_SHOWN = 20
_CAUSES_KEPT = 200
_FAILED_SHOWN = 10
# Messages that hold a document's name or an id would make every document a cause of its own.
_CAUSE_LENGTH = 160


async def all_rows(ledger: Ledger) -> AsyncIterator[Row]:
    """Yield the row of every document, in the order of the plan, as the ledger has it now."""
    state = ledger.state
    for part in range(state.parts):
        sealed = state.sealed.get(part)
        if sealed is not None and not _is_reopened(state, part):
            for row in await ledger.folder.read_lines(sealed.rows):
                yield row
            continue
        earlier = await ledger.folder.read_lines(sealed.rows) if sealed else []
        for place, planned in enumerate(await read_part(ledger.folder, str(state.plan), part)):
            progress = state.open.get(planned.index)
            number = state.round.number if state.round else 0
            if progress is not None and progress.row is not None:
                yield progress.row
            elif progress is not None and progress.arn is not None:
                jobs = progress.generation + 1
                yield new_row(planned.document, RUNNING, jobs=jobs, round_number=number, arn=progress.arn)
            elif progress is not None and progress.earlier is not None:
                yield progress.earlier
            elif earlier:
                yield earlier[place]
            else:
                yield skipped_row(planned, number) or new_row(planned.document, NOT_STARTED)


def _is_reopened(state: State, part: int) -> bool:
    return any(index // PART_SIZE == part for index in state.open)


@dataclass
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    causes: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    again: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        self.counts[row["status"]] += 1
        if row["status"] != FAILED:
            return
        if len(self.failed) < _FAILED_SHOWN:
            self.failed.append(row["input"])
        if row["again"]:
            self.again[row["again"]] += 1
        cause = _cause(row)
        if cause not in self.causes and len(self.causes) >= _CAUSES_KEPT:
            cause = "other"
        example = {"input": row["input"], "arn": row["arn"], "error": row["error"]}
        self.causes.setdefault(cause, {"cause": cause, "count": 0, "example": example})["count"] += 1

    def errors(self) -> list[dict[str, Any]]:
        return sorted(self.causes.values(), key=lambda cause: -cause["count"])[:_CAUSES_SHOWN]


def _cause(row: Row) -> str:
    """Return what failed documents have in common: the error without the document's own name."""
    text = (row["error"] or "").replace(repr(row["input"]), "(the document)").replace(row["input"], "(the document)")
    text = text.replace(row["arn"] or "\0", "(its job)")
    if len(text) > _CAUSE_LENGTH:
        text = f"{text[:_CAUSE_LENGTH].rpartition(' ')[0] or text[:_CAUSE_LENGTH]} ..."
    return ": ".join(filter(None, (row["error_type"], text)))


async def conclude(
    ledger: Ledger, *, output_s3_uri: str, batch_id: str, digest: str, now: Callable[[], datetime]
) -> dict[str, Any]:
    """
    Write ``results.jsonl`` and ``manifest.json``, and return the manifest.

    Each file is replaced only if it is the one that was there before the last check of the ownership. A runner that
    stalls after that check finds its successor's file instead, and does not overwrite it.

    :raises TakenOverError: when another runner owns the batch now.
    :raises BdaError: when the store cannot replace an object by its ETag.
    """
    replacing = Replacing(ledger.folder.of(RESULTS))
    while True:
        before = {name: await _etag(ledger.folder, name) for name in (RESULTS, MANIFEST)}
        replacing.tries(None if before[RESULTS] is None else (before[RESULTS], before[MANIFEST]))
        # This also writes all pending entries: rows are made from what is written.
        await ledger.check_ownership()
        try:
            tally = await _write_results(ledger, before[RESULTS])
            manifest = _manifest(ledger, tally) | {
                "batch_id": batch_id,
                "output_s3_uri": output_s3_uri,
                "request_digest": digest,
                "ended_at": now().isoformat(timespec="seconds"),
            }
            await ledger.folder.write(MANIFEST, [manifest], **_replacing(before[MANIFEST]))
        except ConflictError:
            # A former owner wrote that late, the response to our own write was lost, or another runner took the batch
            # over, which the next check finds.
            continue
        return manifest


async def _etag(folder: Folder, name: str) -> str | None:
    uri = folder.of(name)
    found = await with_retries(lambda: folder.store.head(uri), operation=f"Looking {uri} up")
    return found.etag if found else None


def _replacing(etag: str | None) -> dict[str, Any]:
    """Return the condition of a write that replaces the object with this ETag, or creates the object."""
    return {"if_etag": etag} if etag else {"if_absent": True}


async def _write_results(ledger: Ledger, replaced: str | None) -> _Tally:
    tally, folder = _Tally(), ledger.folder
    place = folder.of(RESULTS)
    # A file takes no memory, and S3 takes 5 GB in one call, which are the rows of millions of documents.
    condition = _replacing(replaced)
    try:
        with TemporaryFile(prefix="bda-batch-") as file:
            async for row in all_rows(ledger):
                tally.add(row)
                file.write(to_line(row))
            file.flush()
            await with_retries(lambda: folder.store.put(place, file, **condition), operation=f"Writing {place}")
    except OSError as error:  # one of S3's is a BdaError here
        raise disk_error(error) from error
    return tally


def disk_error(error: OSError) -> BdaError:
    """Return the error for rows that could not be written to a temporary file."""
    return BdaError(
        f"The rows could not be written to a temporary file: {error.strerror or error}.",
        remedy="Make room in the folder for temporary files, or name another one in TMPDIR. No progress is lost: a "
        "retry resumes the batch.",
    )


def _manifest(ledger: Ledger, tally: _Tally) -> dict[str, Any]:
    folder, state = ledger.folder, ledger.state
    return {
        "format": FORMAT,
        "manifest_uri": folder.of(MANIFEST),
        "results_uri": folder.of(RESULTS),
        "round": state.round.number if state.round else 0,
        "counts": {"total": state.documents, **{status: tally.counts[status] for status in STATUSES}},
        "left_out": {reason: state.left_out.get(reason, 0) for reason in ("pattern", "format", "empty")},
        "errors": tally.errors(),
        "failed": tally.failed,
        "again": {name: tally.again[name] for name in ("retry", "clear")},
        "started_at": state.began_at,
    }


def progress_line(counts: Counter[str], total: int, in_flight: int, rate: float) -> str:
    """
    Return the progress line of a batch.

    :param rate: how many documents end per second.
    """
    done = sum(counts.values())
    left = ""
    if rate > 0 and total > done:
        hours, minutes = divmod(round((total - done) / rate / 60), 60)
        left = f", about {hours} h {minutes} min left" if hours else f", about {max(1, minutes)} min left"
    return (
        f"{done} of {total} documents done ({counts[FAILED]} failed, {counts[SKIPPED]} skipped), "
        f"{in_flight} in flight, {rate * 60:.1f} a minute{left}."
    )
