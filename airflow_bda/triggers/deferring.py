"""Deferring a task until its job has ended: the same for the operator and the sensor."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_bda.service.errors import BdaRequestError
from airflow_bda.triggers.bda import BdaStatusTrigger, check_storable

if TYPE_CHECKING:
    from collections.abc import Mapping

# How long before Airflow's time-out the trigger ends the wait: time for its event, and for the task to run again.
_SHARE_BEFORE_TIMEOUT = 0.1
_LONGEST_BEFORE_TIMEOUT = timedelta(seconds=30)
# A trigger is made and thrown away before the job is known, to see whether Airflow could store it.
_NO_INVOCATION = "arn:aws:bedrock:us-east-1:000000000000:data-automation-invocation/none"


def check_deferral(task: Any, *, poll_interval: float | None) -> None:
    """
    Refuse arguments that Airflow could not store while *task* is deferred. Call it before a job is submitted.

    :raises BdaRequestError: names each argument that cannot be stored, or that holds a secret.
    """
    _, arguments = _trigger(task, _NO_INVOCATION, datetime.now(timezone.utc), poll_interval).serialize()
    problems = [
        # Not the value itself, which may hold a password.
        f"{name}: a task that defers needs plain data here (text, numbers, lists, dictionaries), not {type(value)}."
        for name, value in arguments.items()
        if not _is_plain(value)
    ]
    if problems:
        raise BdaRequestError("The task cannot be deferred; nothing was submitted.", problems=problems)
    check_storable(task.botocore_config)


def defer_until_ended(
    task: Any,
    context: Mapping[str, Any],
    *,
    invocation_arn: str,
    deadline: datetime,
    poll_interval: float | None,
) -> NoReturn:
    """
    Defer an operator or a sensor until a job has ended. It is resumed in its ``execute_complete``.

    :param task: has the four connection parameters of the amazon provider's operators.
    :param deadline: when to give up, timezone-aware.
    :param poll_interval: seconds between polls; None lets the pauses grow with the job's age.
    """
    deadline = _within_execution_timeout(task, context, deadline)
    task.defer(
        trigger=_trigger(task, invocation_arn, deadline, poll_interval),
        method_name="execute_complete",
        kwargs={"deferred_in_try": context["ti"].try_number},
        # Airflow 3 does not hold a deferred task to its execution_timeout.
        timeout=task.execution_timeout,
    )
    raise AssertionError  # defer always raises


def _within_execution_timeout(task: Any, context: Mapping[str, Any], deadline: datetime) -> datetime:
    """
    Move a deadline up to the task's ``execution_timeout``.

    Airflow's own time-out of a deferred task names no job. So the trigger ends the wait a little before: Airflow 2
    counts the time until the task runs again as well, and would fail it before it can say anything.
    """
    allowed: timedelta | None = task.execution_timeout
    if allowed is None:
        return deadline
    started = getattr(context["ti"], "start_date", None) or datetime.now(timezone.utc)
    return min(deadline, started + allowed - min(allowed * _SHARE_BEFORE_TIMEOUT, _LONGEST_BEFORE_TIMEOUT))


def _trigger(task: Any, invocation_arn: str, deadline: datetime, poll_interval: float | None) -> BdaStatusTrigger:
    return BdaStatusTrigger(
        invocation_arn=invocation_arn,
        deadline=deadline.isoformat(),
        poll_interval=poll_interval,
        aws_conn_id=task.aws_conn_id,
        region_name=task.region_name,
        verify=task.verify,
        botocore_config=task.botocore_config,
    )


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
