"""What a batch has done, all in all: the entries of its ledger, taken in one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import BY_CLEAR, BY_RETRY, FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.engine.batch.documents import Row

# How many documents a part of the plan has.
PART_SIZE = 500


@dataclass
class Progress:
    """
    How far a document has come whose part is not complete.

    :param generation: which of its jobs this is, from 0.
    :param etag: the object's, as it was when the job's request was made.
    :param arn: None while it is not known that the job was started.
    :param row: its row, once it has ended.
    :param earlier: the row of the job before this one, which counts until this one is known to have been started.
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
    :param again: how many failed documents a retry, or a clear, would take up.
    """

    round_number: int
    rows: str
    counts: dict[str, int]
    again: dict[str, int]


@dataclass
class Round:
    """
    One go at the batch: a try of the task.

    :param deadline: an ISO 8601 time with a zone.
    :param owner: the task; this and the four that follow are those of the attempt that began the round.
    :param key: names the try, so that a runner that is started again within it goes on with the same round.
    :param cleared_in: the number of the last round that a clear began; 0 for none.
    """

    number: int
    deadline: str
    owner: str
    life: str
    key: str
    run_started: str | None = None
    run_clears: int | None = None
    cleared_in: int = 0
    is_finished: bool = False


@dataclass
class State:
    """
    What the ledger says, all in all.

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
        """Whether this round gives a document that ended in an earlier one another job."""
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
        """Take one entry in."""
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
