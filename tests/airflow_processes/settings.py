"""How an Airflow is set up to notice in seconds what it usually notices in minutes."""

from __future__ import annotations

import base64
import importlib.metadata
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AIRFLOW_VERSION = tuple(int(part) for part in importlib.metadata.version("apache-airflow").split(".")[:2])
IS_AIRFLOW_2 = AIRFLOW_VERSION < (3, 0)
# Airflow 3.0 fails a task for good when its process ends by a signal and what watches over it lives on to tell.
RETRIES_A_KILLED_PROCESS = AIRFLOW_VERSION[0] != 3 or AIRFLOW_VERSION >= (3, 1)
HAS_TASK_STATE_STORE = AIRFLOW_VERSION >= (3, 3)

# What tests read task instances and XComs from. Airflow 3.4 keeps a row for each try, of which one is at work, and
# XComs by the key of that row; mapped tasks are one kind of region to it.
INSTANCES, XCOMS = "task_instance", "xcom"
if AIRFLOW_VERSION >= (3, 4):
    INSTANCES = "(SELECT *, region_index AS map_index FROM task_instance WHERE working_set) AS instance"
    XCOMS = f"(SELECT * FROM xcom_v2 JOIN {INSTANCES} ON instance.id = task_instance_id) AS xcom"

DAGS = "dags"
PARALLEL_TASKS = 4
# A worker, and a triggerer, that has not been heard of for this long is taken for dead.
WORKER_SILENCE_SECONDS = 6
TRIGGERER_SILENCE_SECONDS = 6
# A scheduler beats every second; one that was not heard of for this long hangs.
SCHEDULER_SILENCE_SECONDS = 30

_OF_ALL = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__PARALLELISM": str(PARALLEL_TASKS),
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLEL_TASKS),
    "CORE__KILLED_TASK_CLEANUP_TIME": "1",
    "DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    "LOGGING__LOGGING_LEVEL": "INFO",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
    "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "SCHEDULER__USE_JOB_SCHEDULE": "False",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(TRIGGERER_SILENCE_SECONDS),
    "BDA__MIN_POLL_INTERVAL": "0.2",
    "BDA__MAX_POLL_INTERVAL": "1",
}
_OF_AIRFLOW_2 = {
    # The scheduler's own tests run LocalExecutor on SQLite by this; SequentialExecutor has no worker to kill.
    "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
    "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": str(WORKER_SILENCE_SECONDS),
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "1",
}
_OF_AIRFLOW_3 = {
    # More of them are processes that multiprocessing starts, which runs the nursery's program again.
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    # Airflow 3.0 takes a file for parsed, with no DAG in it, when it has only run a callback for a killed task.
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "3600",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(WORKER_SILENCE_SECONDS),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}


def airflow_environment(home: Path, *, dags: Path, database: str, api_port: int) -> dict[str, str]:
    """
    Return the environment variables of all processes of one Airflow.

    :param database: the address of its metadata database.
    :param api_port: where Airflow 3 serves its tasks.
    """
    of_version = _OF_AIRFLOW_2 if IS_AIRFLOW_2 else _OF_AIRFLOW_3 | _api(api_port)
    return {
        "AIRFLOW_HOME": str(home),
        # As on every real Airflow. Without it, not all processes of 3.0 agree on whether triggers are encrypted.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        **{f"AIRFLOW__{name}": value for name, value in _OF_ALL.items()},
        **of_version,
    }


def _api(port: int) -> dict[str, str]:
    return {
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
    }
