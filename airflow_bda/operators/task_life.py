"""
Which life of a task instance this is: what stays the same from try to try, and changes at every clear.

A *life* goes from the creation of a task instance, or from its last clear, to its next clear.
docs/decisions/0002-one-job-for-a-document.md says by which facts it is told, and what cannot be known.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import facts_of_life, loop_position, runs_in_the_caller
from airflow_bda.service.request.tokens import TaskIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

# Tasks that run within `airflow dags test` or `dag.test()`: before Airflow 3.4, nothing that Airflow tells them differs
# from one such run to the next of the same date. All tries of one are in one process.
_lives_in_this_process: dict[tuple[str, str, str, int], str] = {}


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
