"""
The demo's Airflow: a process that runs a DAG once for each document and reports progress.

It takes the DAG's file as its argument and Airflow's settings from its environment. The runs to make arrive as one line
of JSON on standard input; progress leaves as lines of JSON on standard output; everything else that is printed goes to
standard error. The process exits when its standard input closes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Tell = Callable[[Mapping[str, Any]], None]


def main() -> None:
    """Load the DAG, read the list of runs, and run them."""
    tell = _take_standard_output()
    dag = _load_dag(Path(sys.argv[1]))
    order = json.loads(sys.stdin.readline() or "null")
    if order is None:
        return
    Thread(target=_end_with_standard_input, daemon=True).start()
    os.environ.update(order["environment"])
    for number, conf in enumerate(order["confs"]):
        tell_of_run = partial(tell, number)
        tell_of_run({"news": "finished"} | _run(dag, conf, tell_of_run))


def _take_standard_output() -> Callable[[int, Mapping[str, Any]], None]:
    """
    Reserve standard output for progress: Airflow, tasks and libraries print to it as well.

    :return: writes facts about a run, by the run's number.
    """
    news = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(number: int, facts: Mapping[str, Any]) -> None:
        news.write(f"{json.dumps({**facts, 'number': number})}\n")
        news.flush()

    return tell


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(1)


def _load_dag(file: Path) -> Any:
    try:
        dagbag = import_module("airflow.dag_processing.dagbag")
    except ImportError:  # before Airflow 3.2
        dagbag = import_module("airflow.models.dagbag")
    bag = dagbag.DagBag(str(file))
    if bag.import_errors:
        raise RuntimeError("\n".join(bag.import_errors.values()))
    (dag,) = bag.dags.values()
    return dag


def _run(dag: Any, conf: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Run the DAG once, to its end."""
    errors: list[str] = []
    began: list[float] = []
    for task in dag.tasks:
        # Before its first task runs, Airflow sets itself up, which takes longer than a document.
        task.on_execute_callback = [lambda _: began.append(time.monotonic()), partial(_tell_of_task, tell, "started")]
        task.on_success_callback = [partial(_tell_of_task, tell, "succeeded")]
        task.on_failure_callback = [partial(_note_error, errors)]
    try:
        run = dag.test(run_conf=dict(conf))
    except Exception as error:  # noqa: BLE001  whatever one document does, the others are run
        return {"state": "failed", "error": _one_line(error)}
    ended = time.monotonic()
    instances = run.get_task_instances()
    return {
        "state": str(getattr(run.state, "value", run.state)),
        "seconds": ended - began[0] if began else None,
        "invocation_arn": _returned(instances, "invoke"),
        "metadata_uri": _returned(instances, "wait"),
        "error": "; ".join(errors) or None,
    }


def _tell_of_task(tell: Tell, news: str, context: Mapping[str, Any]) -> None:
    tell({"news": news, "task": context["ti"].task_id})


def _note_error(errors: list[str], context: Mapping[str, Any]) -> None:
    # Airflow 3.0 does not say what went wrong.
    if error := context.get("exception"):
        errors.append(_one_line(error))


def _returned(instances: Any, task_id: str) -> Any:
    """Return a task's XCom; None where it returned none."""
    (ti,) = (ti for ti in instances if ti.task_id == task_id)
    return ti.xcom_pull(task_ids=task_id)


def _one_line(error: object) -> str:
    """Describe an error in one line, with the service's own message where a job failed."""
    from airflow_bda.exceptions import BdaError, BdaRequestError

    if isinstance(error, BdaRequestError) and error.problems:
        text = "; ".join(error.problems)
    elif isinstance(error, BdaError) and error.error_message:
        text = ": ".join(filter(None, (error.status, error.error_message)))
    elif isinstance(error, BdaError):
        text = error.message
    else:
        text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
    return " ".join(text.split())


if __name__ == "__main__":
    main()
