"""
What a user does to an Airflow, over JSON lines: a process that stays, because each `airflow` command imports for seconds.

Reads ``{"do": name, ...arguments}`` from standard input and answers each with one line.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.models import TaskInstance
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session

try:  # Airflow 3
    from airflow.utils.types import DagRunTriggeredByType

    BY_A_USER: dict[str, Any] = {"triggered_by": DagRunTriggeredByType.CLI}
except ImportError:
    BY_A_USER = {}


def trigger(*, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    """Start a run, as ``airflow dags trigger`` does."""
    trigger_dag(dag_id=dag_id, run_id=run_id, conf=conf, replace_microseconds=False, **BY_A_USER)


def clear(*, dag_id: str, run_id: str, task_id: str) -> int:
    """Clear a task of a run, as the API and the UI do, and tell how many instances that were."""
    with create_session() as session:
        instances = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id).all()
        clear_task_instances(instances, session=session)
    return len(instances)


def time() -> str:
    """Tell that the process is there."""
    return datetime.now(timezone.utc).isoformat()


ACTIONS = {action.__name__: action for action in (trigger, clear, time)}


def main() -> None:
    """Answer until nobody asks."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": ACTIONS[request.pop("do")](**request)}
        except Exception as error:  # noqa: BLE001  whatever it is, the test must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
