"""
Wait for the jobs of a batch's documents, and return what their rows say.

The likely length of a job is learned from earlier jobs, so that one or two status calls are enough. The number of a
document's pages takes two more small reads: the standard output of its last segment begins with its last page in the
input (https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html). The file may be of any size,
so only its beginning is read, and a number that is not there is not guessed.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import BY_CLEAR, BY_RETRY, FAILED, SUCCEEDED
from airflow_bda.engine.pacing import AdaptiveSchedule, uniform
from airflow_bda.engine.waiting import Wait, wait_for_job
from airflow_bda.service.aws_errors import Failure, classify
from airflow_bda.service.errors import BdaError, BdaRequestError, BdaServiceError
from airflow_bda.service.results.metadata import JobMetadata
from airflow_bda.service.s3 import Modality
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_bda.engine.batch.starting import Jobs, Ready
    from airflow_bda.engine.batch.store import Store
    from airflow_bda.engine.batch.throttle import Gate, Permit
    from airflow_bda.engine.pacing import PollSchedule
    from airflow_bda.engine.waiting import WaitLimits
    from airflow_bda.service.statuses import JobOutcome

# How long to wait for the number of a document's pages, in seconds.
_PAGES_TIMEOUT_SECONDS = 15.0


class Follower:
    """
    Waits for jobs, each with one or two status calls around its likely end.

    :param gate: is notified of each job's end.
    :param deadline: when to give up, timezone-aware.
    :param now: returns the current time.
    """

    def __init__(
        self, jobs: Jobs, gate: Gate, pages: PageCounter, deadline: datetime, now: Callable[[], datetime]
    ) -> None:
        self._jobs = jobs
        self._gate = gate
        self._pages = pages
        self._deadline = deadline
        self._now = now
        self._likely = LikelyEnd(jobs.limits)

    async def follow(self, ready: Ready, permit: Permit) -> dict[str, Any] | None:
        """
        Wait for a job's end.

        :param permit: the gate's permit of the call that started the job.
        :return: the members of the document's row; None for a job that is still running at the deadline.
        :raises BdaError: an error that concerns all jobs.
        """
        age = max(0.0, (self._now() - ready.submitted_at).total_seconds()) if ready.submitted_at else 0.0
        try:
            if not age:
                await self._likely.wait_for_sample()
            outcome = await wait_for_job(self._wait(ready, age))
        except asyncio.CancelledError:
            self._gate.abandoned(permit)
            raise
        if outcome.timed_out:
            self._gate.abandoned(permit)
            return None
        self._gate.ended(permit, in_service_error=isinstance(outcome.error, BdaServiceError))
        return await self._known(ready, outcome)

    def _wait(self, ready: Ready, age: float) -> LikelyWait:
        return LikelyWait(
            invocation_arn=str(ready.arn),
            deadline=self._deadline,
            connection=self._jobs.connection,
            limits=self._jobs.limits,
            submitted_at=ready.submitted_at,
            wall_clock=self._now,
            likely=LikelySchedule(self._likely, age),
        )

    async def _known(self, ready: Ready, outcome: JobOutcome) -> dict[str, Any]:
        state, error = outcome.state, outcome.error
        if error is not None and (state is None or not state.status.is_terminal):
            # The job's end was not seen. An error that says that the job is unknown concerns this document alone.
            if not isinstance(error, BdaRequestError):
                raise error
            return {"status": FAILED, "error_type": error.error_type, "error": str(error), "again": BY_CLEAR}
        assert state is not None, "a job without an error has a state"  # noqa: S101
        seconds = _length(outcome, ready, self._now())
        self._likely.learn(seconds)
        known: dict[str, Any] = {"seconds": round(seconds, 1)}
        if error is None:
            output = outcome.output_metadata_uri
            return known | {"status": SUCCEEDED, "output": output, "pages": await self._pages_of(output)}
        by = BY_RETRY if state.status is JobStatus.SERVICE_ERROR else BY_CLEAR
        error_type = error.error_type or str(state.status)
        return known | {"status": FAILED, "error_type": error_type, "error": error.error_message, "again": by}

    async def _pages_of(self, metadata_uri: str | None) -> int | None:
        try:
            return await asyncio.wait_for(self._pages.pages(metadata_uri), _PAGES_TIMEOUT_SECONDS)
        except asyncio.TimeoutError:
            return None


def _length(outcome: JobOutcome, ready: Ready, now: datetime) -> float:
    """Return how long a job took, in seconds: from the service's times, else until its end was seen."""
    state = outcome.state
    if state is not None and state.completed_at is not None and state.submitted_at is not None:
        return (state.completed_at - state.submitted_at).total_seconds()
    return (now - ready.submitted_at).total_seconds() if ready.submitted_at else 0.0


_REMEMBERED = 64
# Three of five jobs have ended at the first status call; earlier would cost more calls, later more time.
_SHARE_AT_FIRST_LOOK = 0.6
# The pause after a call that was too early, as a share of the likely length; the next ones double.
_FIRST_PAUSE_SHARE = 0.15
# Until a length is known, only so many jobs are polled often; the others wait for their lengths.
_SAMPLE_SIZE = 4
_LONGEST_WAIT_FOR_SAMPLE = 600.0


class LikelyEnd:
    """
    The lengths of the jobs that ended last.

    :param limits: the shortest and the longest pause between polls.
    """

    def __init__(self, limits: WaitLimits) -> None:
        self.limits = limits
        self._lengths: deque[float] = deque(maxlen=_REMEMBERED)
        self._sampled = 0
        self._known = asyncio.Event()

    @property
    def seconds(self) -> float | None:
        """How long a job probably takes, from its submission, in seconds; None while none has ended."""
        if not self._lengths:
            return None
        return sorted(self._lengths)[int(len(self._lengths) * _SHARE_AT_FIRST_LOOK)]

    def learn(self, seconds: float) -> None:
        """Record how long a job took."""
        self._lengths.append(seconds)
        self._known.set()

    async def wait_for_sample(self) -> None:
        """Return at once for the first jobs, for all once a length is known, and else after ten minutes."""
        if self._lengths or self._sampled < _SAMPLE_SIZE:
            self._sampled += 1
            return
        try:
            await asyncio.wait_for(self._known.wait(), _LONGEST_WAIT_FOR_SAMPLE)
        except asyncio.TimeoutError:
            return


@dataclass
class LikelySchedule:
    """
    Poll when the job has probably ended, then after pauses that double.

    :param age: how old the job was when the schedule was made, in seconds.
    """

    likely: LikelyEnd
    age: float
    looks: int = 0

    def first_delay(self) -> float:
        """Return what is left of the likely length."""
        seconds = self.likely.seconds
        if seconds is None:
            return self._adaptive().first_delay()
        return max(0.0, seconds - self.age) + uniform(0.0, 0.02) * seconds

    def next_delay(self, age_seconds: float) -> float:
        """Return a pause twice as long as the one before."""
        seconds = self.likely.seconds
        if seconds is None:
            return self._adaptive().next_delay(age_seconds)
        # The age counts too: the lengths of all jobs may have grown at once.
        pause = _FIRST_PAUSE_SHARE * max(seconds, age_seconds / 2) * 2.0**self.looks
        self.looks = min(self.looks + 1, 3)
        limits = self.likely.limits
        return min(limits.max_poll_interval, max(limits.min_poll_interval, pause))

    def _adaptive(self) -> AdaptiveSchedule:
        limits = self.likely.limits
        return AdaptiveSchedule(floor=limits.min_poll_interval, ceiling=limits.max_poll_interval)


@dataclass(frozen=True)
class LikelyWait(Wait):
    """A wait that polls at the likely end."""

    likely: LikelySchedule | None = field(default=None, compare=False)

    def schedule(self) -> PollSchedule:
        """Return the rule for the pauses between polls."""
        return self.likely or super().schedule()


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
    Return the number, from 1, of a segment's last page, from its standard output.

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
