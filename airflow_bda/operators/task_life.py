"""
Which life of a task instance this is, and the client token that makes its document one job.

The service answers a second call with the same token with the first one's invocation
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html).

A *life* goes from the creation of a task instance, or from its last clear, to its next clear.
docs/decisions/0002-one-job-for-a-document.md says by which facts it is told, and what cannot be known.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import facts_of_life, loop_position, runs_in_the_caller

if TYPE_CHECKING:
    from collections.abc import Mapping

# Tasks that run within `airflow dags test` or `dag.test()`: before Airflow 3.4, nothing that Airflow tells them differs
# from one such run to the next of the same date. All tries of one are in one process.
_lives_in_this_process: dict[tuple[str, str, str, int], str] = {}


@dataclass(frozen=True)
class TaskIdentity:
    """
    Which piece of work a task instance is, whichever of its tries is running.

    :param map_index: -1 for a task that is not mapped.
    :param life: facts that stay the same from try to try, and differ after a clear or in a run that was made anew.
    :param loop: the region and the iteration of a Task Loop (Airflow 3.4); None outside of loops.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    life: tuple[str, ...] = ()
    loop: tuple[str, int] | None = None

    def digest(self, *more: object) -> str:
        """
        Return the SHA-256 of the identity, as 64 hex digits.

        :param more: what else to digest with it.
        """
        parts: list[object] = [self.dag_id, self.run_id, self.task_id, self.map_index, list(self.life)]
        if self.loop is not None:
            # Left out where there is none, so that tokens are the same on versions without loops.
            parts.append(list(self.loop))
        # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") are different texts.
        return hashlib.sha256(json.dumps([*parts, *more]).encode()).hexdigest()

    def client_token(self, request_digest: str, generation: int) -> str:
        """
        Return the client token for this piece of work, as 64 hex digits.

        :param request_digest: :meth:`InvocationRequest.digest` of what is asked for.
        :param generation: 0 at first, one more for each invocation that was seen to end in ``ServiceError``.
        """
        return self.digest(request_digest, generation)


def task_identity(context: Mapping[str, Any]) -> TaskIdentity:
    """
    Return the identity of the work that a task does, whichever of its tries is running.

    :param context: what Airflow gives ``execute``.
    """
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    facts = facts_of_life(context)
    if runs_in_the_caller(ti):
        key = (ti.dag_id, ti.run_id, ti.task_id, map_index)
        if ti.try_number <= 1 or key not in _lives_in_this_process:
            _lives_in_this_process[key] = uuid.uuid4().hex
        facts["process"] = _lives_in_this_process[key]
    return TaskIdentity(
        ti.dag_id,
        ti.run_id,
        ti.task_id,
        map_index,
        life=tuple(f"{name}={fact}" for name, fact in sorted(facts.items())),
        loop=loop_position(ti),
    )
