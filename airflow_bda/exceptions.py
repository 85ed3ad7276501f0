"""
The exceptions that tasks raise, in classes by which Airflow decides whether to retry.

An error that a retry would repeat fails the task at once, whatever ``retries`` says; a sensor that times out raises
Airflow's own sensor time-out. Each is also the plain error of its kind: ``except BdaClientError`` catches both.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import AirflowFailException, AirflowSensorTimeout
from airflow_bda.service.errors import (
    BdaClientError,
    BdaConnectionError,
    BdaError,
    BdaPermissionError,
    BdaRequestError,
    BdaServiceError,
    BdaTimeoutError,
)
from airflow_bda.service.safe_values import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "BdaClientError",
    "BdaClientFailException",
    "BdaConnectionError",
    "BdaError",
    "BdaPermissionError",
    "BdaRequestError",
    "BdaRequestFailException",
    "BdaSensorTimeout",
    "BdaServiceError",
    "BdaTimeoutError",
    "alert_text",
    "as_sensor_error",
    "task_errors",
]


class BdaRequestFailException(BdaRequestError, AirflowFailException):  # noqa: N818  as Airflow names its own
    """A :class:`BdaRequestError` that fails the task without a retry."""


class BdaClientFailException(BdaClientError, AirflowFailException):  # noqa: N818  as above
    """A :class:`BdaClientError` that fails the task without a retry."""


class BdaSensorTimeout(BdaTimeoutError, AirflowSensorTimeout):  # noqa: N818  as above
    """A :class:`BdaTimeoutError` of a sensor, which Airflow does not retry."""


_FAIL_AT_ONCE: dict[type[BdaError], type[BdaError]] = {
    BdaRequestError: BdaRequestFailException,
    BdaClientError: BdaClientFailException,
}


@contextmanager
def task_errors() -> Iterator[None]:
    """Raise errors in the classes that tell Airflow whether a retry makes sense."""
    try:
        yield
    except BdaError as error:
        raise _recast(error, _FAIL_AT_ONCE) from error.__cause__


def as_sensor_error(error: BdaError) -> BdaError:
    """Return *error* as a sensor raises it: like a task's, and a time-out as Airflow's own."""
    return _recast(error, {**_FAIL_AT_ONCE, BdaTimeoutError: BdaSensorTimeout})


def _recast(error: BdaError, classes: dict[type[BdaError], type[BdaError]]) -> BdaError:
    error_class = classes.get(type(error))
    return error.recast(error_class) if error_class else error


# Chat services cut long messages, and the task and its log come last.
_LONGEST_REASON = 1000


def alert_text(context: Mapping[str, Any]) -> str:
    """
    Return the message of an ``on_failure_callback`` about a failed task: the document and the reason first.

    :param context: what Airflow passes to the callback.
    :return: some lines of plain text; a reason is cut after 1000 characters.
    """
    error, ti = context.get("exception"), context.get("ti") or context.get("task_instance")
    facts: tuple[str | None, ...] = ()
    if isinstance(error, BdaError):
        document = error.input_s3_uri or _input_of(context.get("task"))
        reason = error.reason()
        facts = (error.remedy, error.invocation_arn and f"Invocation: {error.invocation_arn}")
    else:
        # A worker that was killed leaves a text or nothing, and Airflow's own errors are no BdaError.
        document = _input_of(context.get("task"))
        reason = str(error or "The task ended without an error of its own: see its log.")
    place = f"Task: {ti.dag_id}.{ti.task_id}, run {ti.run_id}" if ti is not None else None
    log_url = getattr(ti, "log_url", None)
    lines = [
        f"{document or 'A task'}: {safe_text(reason, _LONGEST_REASON)}",
        *facts,
        place,
        log_url and f"Log: {log_url}",
    ]
    return safe_text("\n".join(filter(None, lines)))


def _input_of(task: Any) -> str | None:
    """Return what a task works on: a document, or the prefix of a batch."""
    return getattr(task, "input_s3_uri", None) or getattr(task, "input_s3_prefix", None)
