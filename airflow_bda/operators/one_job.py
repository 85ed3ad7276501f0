"""
Exactly one job for a document, however often its task is tried.

The client token is the same in every try of a task instance, so the service answers a repeated request with the
invocation that it already has. Only when that invocation is seen to have ended in ``ServiceError`` does the next token
come into use, and one try uses one new token at most. Clearing a task changes every token: the user asked for a new
job.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import task_state_store
from airflow_bda.service.request.tokens import TaskIdentity, client_token
from airflow_bda.service.safe_values import safe_logger
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

log = safe_logger(__name__)


@dataclass(frozen=True)
class TaskTry:
    """
    One try of one task instance.

    :param earlier_tries: how many tries went before this one since the task was last cleared.
    """

    identity: TaskIdentity
    earlier_tries: int

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> TaskTry:
        """Read it from a task's context."""
        ti = context["ti"]
        # Airflow raises max_tries by what was used up when a task is cleared, and leaves it alone on a retry.
        clears = max((ti.max_tries or 0) - (ti.task.retries or 0), 0)
        map_index = -1 if ti.map_index is None else ti.map_index
        return cls(
            TaskIdentity(ti.dag_id, ti.run_id, ti.task_id, map_index, clears),
            earlier_tries=max(ti.try_number - clears - 1, 0),
        )


class InvocationMemory:
    """
    Which invocation a token led to, kept by Airflow where it can (3.3 and later).

    The service's own memory of tokens is what the promise rests on; how long that lasts is not known, and this outlives
    it. A store that fails costs nothing but that.
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._store = task_state_store(context)

    def recall(self, token: str) -> str | None:
        """Give the invocation that was kept under *token*."""
        if self._store is None:
            return None
        try:
            found = self._store.get(_key(token))
        except Exception:  # whatever a state backend raises, the token still leads to the invocation
            log.warning("The task state store could not be read.", exc_info=True)
            return None
        return str(found) if found else None

    def keep(self, token: str, invocation_arn: str) -> None:
        """Keep the invocation under *token*."""
        if self._store is None:
            return
        try:
            self._store.set(_key(token), invocation_arn)
        except Exception:  # as above
            log.warning("The task state store could not be written.", exc_info=True)


def _key(token: str) -> str:
    return f"bda_invocation_{token}"


def start_once(
    request: InvocationRequest,
    context: Mapping[str, Any],
    *,
    submit: Callable[[InvocationRequest], str],
    last_state: Callable[[str], JobState | None],
) -> str:
    """
    Start the task instance's job, or find the one that an earlier try started.

    :param submit: sends a request, patiently, and gives the invocation's ARN.
    :param last_state: asks for an invocation's state, patiently; None when nobody answers.
    :return: the invocation's ARN.
    """
    attempt = TaskTry.of(context)
    memory = InvocationMemory(context)

    def invocation(generation: int) -> str:
        token = client_token(attempt.identity, request, generation)
        known = memory.recall(token)
        if known:
            return known
        arn = submit(request.with_client_token(token))
        memory.keep(token, arn)
        return arn

    for generation in range(attempt.earlier_tries):
        arn = invocation(generation)
        state = last_state(arn)
        # Only a failure that was seen starts another job.
        if state is None or state.status is not JobStatus.SERVICE_ERROR:
            log.info("Attached to the job that an earlier try started: %s", arn)
            return arn
        log.info("The job of an earlier try ended in ServiceError: %s", arn)
    return invocation(attempt.earlier_tries)


def start_anew(request: InvocationRequest, *, submit: Callable[[InvocationRequest], str]) -> str:
    """Start a job that no other try will find; lost answers within this try still cost nothing."""
    return submit(request.with_client_token(uuid.uuid4().hex))
