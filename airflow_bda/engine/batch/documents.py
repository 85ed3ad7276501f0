"""A document of a batch, the row that tells of it, and the client token of its jobs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SUCCEEDED = "succeeded"
FAILED = "failed"
SKIPPED = "skipped"
RUNNING = "running"
NOT_STARTED = "not_started"
STATUSES = (SUCCEEDED, FAILED, SKIPPED, RUNNING, NOT_STARTED)

# Who takes a failed document up again.
BY_RETRY = "retry"
BY_CLEAR = "clear"

Row = dict[str, Any]
# A message of the service's may be of any length; a row is one of thousands.
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class Document:
    """
    One object of S3, as it was at one moment.

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
        """What changes when the object does: its version, or its ETag where there are no versions."""
        return self.version or self.etag


@dataclass(frozen=True)
class PlannedDocument:
    """
    A line of the plan.

    :param index: its place in the batch, from 0.
    :param finished: the row of the earlier batch that finished this very object, if any did.
    """

    index: int
    document: Document
    finished: Row | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the line, without what is not known."""
        line = {"i": self.index, "input": self.document.uri, "etag": self.document.etag}
        optional = {"version": self.document.version, "finished": self.finished}
        return line | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> PlannedDocument:
        """Read a line."""
        return cls(line["i"], Document(line["input"], line["etag"], line.get("version")), line.get("finished"))


def client_token(life: str, document: Document, request_digest: str, generation: int) -> str:
    """
    Return the token of one job of a document, as 64 hex digits: the same in every process that runs the batch.

    :param life: the batch's life; another one for a batch that starts over.
    :param generation: 0 at first, one more for each job of the document that failed and is not the last word.
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
