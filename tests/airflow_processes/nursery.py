"""
The parent of all processes of one Airflow: imports once what each of them would import for seconds, and forks them.

A program of its own, ``nursery.py FD``. Reads JSON lines from standard input, does each in a fork, and answers it with
one line on the file descriptor FD, since Airflow writes to the usual ones what it likes:

- ``{"launch": ["scheduler"], "log": "scheduler.log"}`` starts ``airflow scheduler`` and gives its process id; the
  signal ``TELL_WHERE_YOU_ARE`` has it write the stacks of its threads into its log;
- ``{"run": ["backfill", …], "log": …}`` runs an ``airflow`` command to its end;
- ``{"do": "trigger", …}`` calls one of the functions below.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
import psutil
from airflow.__main__ import main as airflow
from airflow.api.common.trigger_dag import trigger_dag
from airflow.models import DagRun, TaskInstance
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from airflow_processes.cheap_clients import make_clients_cheap
from airflow_processes.processes import TELL_WHERE_YOU_ARE

if TYPE_CHECKING:
    from collections.abc import Callable

try:  # Airflow 3
    from airflow.utils.types import DagRunTriggeredByType

    BY_A_USER: dict[str, Any] = {"triggered_by": DagRunTriggeredByType.CLI}
except ImportError:
    BY_A_USER = {}

ANSWERS = int(sys.argv[1])

# What Airflow's processes and the tasks import; no version has all of it.
IMPORTED_BY_MANY = (
    "aiobotocore.session",
    "airflow.api_fastapi.app",
    "airflow.dag_processing.manager",
    "airflow.executors.local_executor",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.models.dagbag",
    "airflow.providers.fab.auth_manager.models",  # whose tables those of Airflow 2's runs refer to
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.task.standard_task_runner",
    "airflow_bda.hooks.bda",
    "airflow_bda.operators.bda",
    "airflow_bda.sensors.bda",
    "airflow_bda.triggers.bda",
)
USED_BY_MANY = ("bedrock-data-automation-runtime", "s3", "sts")


def trigger(*, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    """Start a run, as ``airflow dags trigger`` does."""
    trigger_dag(dag_id=dag_id, run_id=run_id, conf=conf, replace_microseconds=False, **BY_A_USER)


def clear(*, dag_id: str, run_id: str, task_id: str | None) -> int:
    """Clear a task of a run, or all of them, as the API and the UI do, and tell how many instances that were."""
    wanted = {"dag_id": dag_id, "run_id": run_id, **({"task_id": task_id} if task_id else {})}
    if hasattr(TaskInstance, "working_set"):  # Airflow 3.4: a row for each try, of which one is at work
        wanted["working_set"] = True
    with create_session() as session:
        instances = session.query(TaskInstance).filter_by(**wanted).all()
        clear_task_instances(instances, session=session)
    return len(instances)


def delete_run(*, dag_id: str, run_id: str) -> None:
    """Delete a run with all that belongs to it, as the API and the UI do."""
    with create_session() as session:
        session.delete(session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one())


ACTIONS = {action.__name__: action for action in (trigger, clear, delete_run)}


def launch(command: list[str], log: str) -> int:
    """Start an ``airflow`` command in a process of its own, and give its id."""
    pid = os.fork()
    if not pid:
        _be_a_child(lambda: _run_airflow(command, log))
    return pid


def do(work: Callable[[], Any]) -> dict[str, Any]:
    """Do something in a process of its own, and give what it comes to."""
    reading, writing = os.pipe()
    if not os.fork():
        _be_a_child(lambda: os.write(writing, json.dumps(_outcome(work)).encode()))
    os.close(writing)
    with os.fdopen(reading) as answer:
        return json.loads(answer.read() or '{"error": "the process ended without a word"}')


def _be_a_child(work: Callable[[], object]) -> None:
    status = 1
    try:
        # The children wait for their own children, which the nursery does not.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.close(ANSWERS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        work()
        status = 0
    except BaseException:  # noqa: BLE001  a fork never returns into its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_airflow(command: list[str], log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    faulthandler.register(TELL_WHERE_YOU_ARE, file=output)
    sys.argv = ["airflow", *command]
    with suppress(SystemExit):
        airflow()


def _outcome(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": work()}
    except Exception:  # noqa: BLE001  whatever it is, the test must hear of it
        return {"error": traceback.format_exc()}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    if "launch" in request:
        return {"result": launch(request["launch"], request["log"])}
    if "run" in request:
        return do(lambda: _run_airflow(request["run"], request["log"]))
    action = ACTIONS[request.pop("do")]
    return do(lambda: action(**request))


def main() -> None:
    """Serve until there are no more requests."""
    for module in IMPORTED_BY_MANY:
        with suppress(ModuleNotFoundError):
            importlib.import_module(module)
    make_clients_cheap()
    for service in USED_BY_MANY:
        boto3.Session().client(service, region_name="us-east-1")
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        answer = json.dumps(_answer(json.loads(line)))
        os.write(ANSWERS, f"{answer}\n".encode())
    # The test run has ended, however it did: nothing of it stays.
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    main()
