"""
The documents of a batch, their rows, and the state of the batch.

The state is the result of applying all entries of the batch's ledger, in order.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SUCCEEDED = "succeeded"
FAILED = "failed"
SKIPPED = "skipped"
RUNNING = "running"
NOT_STARTED = "not_started"
STATUSES = (SUCCEEDED, FAILED, SKIPPED, RUNNING, NOT_STARTED)

# What retries a failed document: any later try, or only a clear.
BY_RETRY = "retry"
BY_CLEAR = "clear"

Row = dict[str, Any]
# The service's messages may have any length; a row is one of thousands.
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class Document:
    """
    An object in S3, as it was when it was listed or looked up.

    :param etag: its ETag, without quotes.
    :param version: its version id, where the bucket has versions.
    :param size: in bytes; None where it is not known.
    """

    uri: str
    etag: str
    version: str | None = None
    size: int | None = None

    @property
    def state(self) -> str:
        """Return what changes with the object's content: its version, or its ETag where there are no versions."""
        return self.version or self.etag


@dataclass(frozen=True)
class PlannedDocument:
    """
    A document as the plan has it.

    :param index: its place in the batch, from 0.
    :param finished: the row of an earlier batch that finished the same object with the same request, if any did.
    """

    index: int
    document: Document
    finished: Row | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the line of the plan, without unknown members."""
        line = {"i": self.index, "input": self.document.uri, "etag": self.document.etag}
        optional = {"version": self.document.version, "finished": self.finished}
        return line | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> PlannedDocument:
        """Read a line of the plan."""
        return cls(line["i"], Document(line["input"], line["etag"], line.get("version")), line.get("finished"))


def client_token(life: str, document: Document, request_digest: str, generation: int) -> str:
    """
    Return the token of one job of a document, as 64 hex digits: the same in every process that runs the batch.

    :param life: the batch's life; another one for a batch that starts over.
    :param generation: which job of the document it is, from 0; a failed job that is retried adds one.
    """
    parts = json.dumps(["batch", life, document.uri, document.state, request_digest, generation])
    return hashlib.sha256(parts.encode()).hexdigest()


def new_row(document: Document, status: str, *, jobs: int = 0, round_number: int = 0, **known: Any) -> Row:
    """
    Return a document's row, with every member that a row has.

    :param known: ``arn``, ``error_type``, ``error``, ``output``, ``seconds``, ``pages`` and ``again``, where there are
        any.
    """
    error = known.get("error")
    return {
        "input": document.uri,
        "etag": document.etag,
        "version": document.version,
        "status": status,
        "arn": known.get("arn"),
        "error_type": known.get("error_type"),
        "error": error[:_LONGEST_ERROR] if error else None,
        "output": known.get("output"),
        "seconds": known.get("seconds"),
        "pages": known.get("pages"),
        "jobs": jobs,
        "round": round_number,
        "again": known.get("again"),
    }


def skipped_row(planned: PlannedDocument, round_number: int) -> Row | None:
    """Return the row of a document that an earlier batch finished; None for any other."""
    if planned.finished is None:
        return None
    # An index that an earlier release wrote has no pages.
    known: dict[str, Any] = {name: planned.finished.get(name) for name in ("arn", "output", "seconds", "pages")}
    return new_row(planned.document, SKIPPED, round_number=round_number, **known)


# How many documents a part of the plan has.
PART_SIZE = 500


@dataclass
class Progress:
    """
    The progress of a document whose part is not complete.

    :param generation: which of its jobs this is, from 0.
    :param etag: the object's, as it was when the job's request was made.
    :param arn: None until the job is known to have started.
    :param row: its row, once the document has ended.
    :param earlier: the row of the previous job, which counts until this job is known to have started.
    """

    generation: int = 0
    etag: str = ""
    version: str | None = None
    arn: str | None = None
    submitted_at: str | None = None
    row: Row | None = None
    earlier: Row | None = None


@dataclass
class SealedPart:
    """
    A part of the plan all of whose documents have ended.

    :param round_number: the round that it was sealed in.
    :param rows: the name of the object that holds its rows.
    :param counts: how many documents there are of each status.
    :param again: how many failed documents a retry, or a clear, would run again.
    """

    round_number: int
    rows: str
    counts: dict[str, int]
    again: dict[str, int]


@dataclass
class Round:
    """
    One try of the task that runs the batch.

    :param deadline: an ISO 8601 time with a zone.
    :param owner: the task; this, the next four and the number of the try are those of the attempt that began the round.
    :param key: names the try, so that a process that is started again within it continues the same round.
    :param cleared_in: the number of the last round that a clear began; 0 for none.
    """

    number: int
    deadline: str
    owner: str
    life: str
    key: str
    run_started: str | None = None
    run_clears: int | None = None
    try_number: int = 0
    cleared_in: int = 0
    is_finished: bool = False


@dataclass
class State:
    """
    The state of a batch, as all entries of its ledger make it.

    :param life: the random name that tokens are made with; None before the batch has begun.
    :param job: the arguments of the jobs' requests, but for the input.
    :param source: where the documents come from.
    :param plan: the folder of the plan, once it is complete.
    """

    life: str | None = None
    job: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    began_at: str | None = None
    plan: str | None = None
    documents: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    round: Round | None = None
    sealed: dict[int, SealedPart] = field(default_factory=dict)
    open: dict[int, Progress] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """How many parts the plan has."""
        return -(-self.documents // PART_SIZE)

    def takes_up(self, row: Row) -> bool:
        """Whether this round starts another job for a document that ended in an earlier round."""
        assert self.round is not None, "asked outside of a round"  # noqa: S101
        ended_in = row["round"]
        if row["status"] != FAILED or ended_in >= self.round.number:
            return False
        return bool(row["again"] == BY_RETRY or ended_in < self.round.cleared_in)

    def is_complete(self, part: int) -> bool:
        """Whether a part has nothing to do in this round."""
        assert self.round is not None, "asked outside of a round"  # noqa: S101
        sealed = self.sealed.get(part)
        if sealed is None:
            return False
        if sealed.round_number >= self.round.number:
            return True
        by_clear = sealed.again.get(BY_CLEAR, 0) if sealed.round_number < self.round.cleared_in else 0
        return not (sealed.again.get(BY_RETRY, 0) + by_clear)

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Apply one entry of the ledger."""
        kind = entry["t"]
        if kind == "start":
            before = self.open.get(entry["i"], Progress())
            earlier = before.row or before.earlier
            self.open[entry["i"]] = Progress(entry["g"], entry["etag"], entry.get("version"), earlier=earlier)
        elif kind == "job":
            progress = self.open.setdefault(entry["i"], Progress())
            progress.arn, progress.submitted_at = entry["arn"], entry["at"]
        elif kind == "end":
            progress = self.open.setdefault(entry["i"], Progress())
            progress.row, progress.generation = entry["row"], entry["g"]
        elif kind == "seal":
            self._seal(entry)
        elif kind == "begin":
            self._begin(entry)
        elif kind == "plan":
            self.plan, self.documents, self.left_out = entry["plan"], entry["documents"], entry["left_out"]
        elif kind == "round":
            self.round = Round(**entry["round"])
        elif kind == "finish" and self.round is not None:
            self.round.is_finished = True
        elif kind == "state":
            self._restore(entry["state"])

    def _begin(self, entry: Mapping[str, Any]) -> None:
        fresh = State(
            life=entry["life"],
            job=entry["job"],
            source=entry["source"],
            began_at=entry["at"],
        )
        self.__dict__.update(fresh.__dict__)

    def _seal(self, entry: Mapping[str, Any]) -> None:
        part = entry["part"]
        self.sealed[part] = SealedPart(entry["round"], entry["rows"], entry["counts"], entry["again"])
        for index in range(part * PART_SIZE, (part + 1) * PART_SIZE):
            self.open.pop(index, None)

    def _restore(self, saved: Mapping[str, Any]) -> None:
        self.__dict__.update(saved)
        self.round = Round(**saved["round"]) if saved["round"] else None
        self.sealed = {int(part): SealedPart(**sealed) for part, sealed in saved["sealed"].items()}
        self.open = {int(index): Progress(**progress) for index, progress in saved["open"].items()}
