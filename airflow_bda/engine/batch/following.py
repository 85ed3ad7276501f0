"""Follow the jobs of a batch's documents to their ends, and tell what their rows say of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import BY_CLEAR, BY_RETRY, FAILED, SUCCEEDED
from airflow_bda.engine.batch.likely_end import LikelyEnd, LikelySchedule, LikelyWait
from airflow_bda.engine.waiting import wait_for_job
from airflow_bda.service.errors import BdaRequestError, BdaServiceError
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_bda.engine.batch.pages import PageCounter
    from airflow_bda.engine.batch.starting import Jobs, Ready
    from airflow_bda.engine.batch.throttle import Gate
    from airflow_bda.service.statuses import JobOutcome

# Longer than this the number of a document's pages is not waited for, in seconds.
_PATIENCE_WITH_PAGES = 15.0


class Follower:
    """
    Waits for jobs, each with a look or two at its likely end.

    :param gate: is told how jobs end.
    :param deadline: when to give up, timezone-aware.
    :param now: tells the time of day.
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

    async def follow(self, ready: Ready, *, is_probe: bool) -> dict[str, Any] | None:
        """
        Wait for a job's end.

        :param is_probe: whether the gate lets no other job start before this one has ended.
        :return: what the document's row says of it; None for a job that goes on at the deadline.
        :raises BdaError: what concerns all jobs.
        """
        age = max(0.0, (self._now() - ready.submitted_at).total_seconds()) if ready.submitted_at else 0.0
        try:
            if not age:
                await self._likely.wait_for_scouts()
            outcome = await wait_for_job(self._wait(ready, age))
        except asyncio.CancelledError:
            if is_probe:
                self._gate.probe_abandoned()
            raise
        if outcome.timed_out:
            if is_probe:
                self._gate.probe_abandoned()
            return None
        self._gate.ended(in_service_error=isinstance(outcome.error, BdaServiceError))
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
            # The job's end was not seen. If the service does not know the job, that is this document's matter alone.
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
            return await asyncio.wait_for(self._pages.pages(metadata_uri), _PATIENCE_WITH_PAGES)
        except asyncio.TimeoutError:
            return None


def _length(outcome: JobOutcome, ready: Ready, now: datetime) -> float:
    """Return how long a job took, in seconds: as the service says, else until its end was seen."""
    state = outcome.state
    if state is not None and state.completed_at is not None and state.submitted_at is not None:
        return (state.completed_at - state.submitted_at).total_seconds()
    return (now - ready.submitted_at).total_seconds() if ready.submitted_at else 0.0
