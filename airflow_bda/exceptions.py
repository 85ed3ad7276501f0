"""
The exceptions that tasks raise, in the classes that tell Airflow whether to retry.

An error that a retry would repeat fails the task at once, whatever ``retries`` says; a sensor that times out raises
Airflow's own sensor time-out. Each is also the plain error that it stands for: ``except BdaClientError`` catches both.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Iterator

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
