"""
Send the package's metrics with Airflow's own, to where ``[metrics]`` of Airflow's configuration says.

The kind of a failure is part of a metric's name, because plain StatsD drops tags. A metric that cannot be sent is no
reason to fail a task, so nothing here raises.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import stats
from airflow_bda.service.aws_errors import Failure, classify
from airflow_bda.service.errors import (
    BdaClientError,
    BdaConnectionError,
    BdaError,
    BdaPermissionError,
    BdaRequestError,
    BdaServiceError,
    BdaTimeoutError,
)
from airflow_bda.service.safe_values import safe_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobOutcome, JobState

log = safe_logger(__name__)

STARTED = "bda.started"
ATTACHED = "bda.attached"
SUCCEEDED = "bda.succeeded"
FAILED = "bda.failed"
SECONDS = "bda.seconds"
POLLS = "bda.polls"
THROTTLES = "bda.throttles"
IN_FLIGHT = "bda.in_flight"
BATCH = "bda.batch"

_KINDS: Mapping[type[BdaError], str] = {
    BdaClientError: "client",
    BdaServiceError: "service",
    BdaTimeoutError: "timeout",
    BdaPermissionError: "permission",
    BdaRequestError: "request",
    BdaConnectionError: "connection",
}
_in_flight = 0
_lock = Lock()


class Starts:
    """
    Counts a job that a task starts, or an earlier try's that it goes on with.

    Without Airflow 3.3's task state, a retry finds its job by sending the same request again, which counts as a start:
    the service does not tell the two apart.

    :param submit: sends a request, and returns the invocation's ARN.
    """

    def __init__(self, submit: Callable[[InvocationRequest], str]) -> None:
        self._submit = submit
        self._submits = 0

    def submit(self, request: InvocationRequest) -> str:
        """Send a request; count it when it was taken."""
        arn = self._submit(request)
        self._submits += 1
        _send("incr", STARTED)
        return arn

    def found_a_job(self) -> None:
        """Count a job that was found without a submit."""
        if not self._submits:
            _send("incr", ATTACHED)


def ended(outcome: JobOutcome) -> None:
    """Count how a sensor's job ended."""
    _send("incr", SUCCEEDED if outcome.error is None else f"{FAILED}.{_kind_of(outcome.error)}")


@contextmanager
def failures() -> Iterator[None]:
    """Count what a task fails with, by its kind: a job that failed, and a request that never became one."""
    try:
        yield
    except BdaError as error:
        _send("incr", f"{FAILED}.{_kind_of(error)}")
        raise


def started() -> None:
    """Count a call that is answered at once."""
    _send("incr", STARTED)


def succeeded() -> None:
    """Count a job that succeeded."""
    _send("incr", SUCCEEDED)


def batch_ended(counts: Mapping[str, int]) -> None:
    """
    Report the documents of a batch by status, as gauges, since every try reports all documents.

    :param counts: of its manifest.
    """
    for status, number in counts.items():
        _send("gauge", f"{BATCH}.{status}", number)


class Poll:
    """One status call for a job."""

    def answered(self, state: JobState) -> JobState:
        """Record the answer, and return it; for a job that has ended, report how many seconds it took."""
        if state.status.is_terminal and state.duration_seconds is not None:
            # Airflow's timings are milliseconds.
            _send("timing", SECONDS, float(state.duration_seconds) * 1000)
        return state


@contextmanager
def one_poll() -> Iterator[Poll]:
    """Count a question for a job's state, and whether it was throttled."""
    _send("incr", POLLS)
    with throttles():
        yield Poll()


@contextmanager
def throttles() -> Iterator[None]:
    """Count a call that failed by throttling, by a quota or on the side of the service."""
    try:
        yield
    except Exception as error:
        if classify(error) is Failure.BUSY:
            _send("incr", THROTTLES)
        raise


@contextmanager
def one_in_flight() -> Iterator[None]:
    """Report how many waits go on in this process."""
    _change_in_flight(1)
    try:
        yield
    finally:
        _change_in_flight(-1)


def _change_in_flight(by: int) -> None:
    global _in_flight  # noqa: PLW0603  of the process, as the waits are
    with _lock:
        _in_flight += by
        now = _in_flight
    _send("gauge", IN_FLIGHT, now, tags={"host": socket.gethostname()})


def _kind_of(error: BdaError) -> str:
    return next((kind for error_class, kind in _KINDS.items() if isinstance(error, error_class)), "other")


def _send(what: str, metric: str, *values: Any, **options: Any) -> None:
    try:
        getattr(stats(), what)(metric, *values, **options)
    except Exception:  # whatever a metrics client raises
        log.warning("The metric %s could not be sent.", metric, exc_info=True)
