"""A whole Airflow as child processes: scheduler with its workers, triggerers and, from Airflow 3 on, what they need."""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from airflow_processes.databases import Sqlite
from airflow_processes.eventually import PATIENCE_SECONDS, eventually
from airflow_processes.processes import AirflowProcess, kill
from airflow_processes.reports import FOLDER_VARIABLE
from airflow_processes.settings import (
    INSTANCES,
    IS_AIRFLOW_2,
    RETRIES_A_KILLED_PROCESS,
    SCHEDULER_SILENCE_SECONDS,
    XCOMS,
    airflow_environment,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_processes.databases import Database

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
OWN_DAGS = HERE / "dags"
OWN_DAG_IDS = frozenset({"has_twins", "is_daily", "waits_4"})
ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class Instance:
    """A task instance, as the database has it."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    max_tries: int


@dataclass(frozen=True)
class Start:
    """One start of a task's process, as the process itself saw it."""

    task_id: str
    map_index: int
    try_number: int
    max_tries: int
    retries: int
    pid: int
    parent_pid: int

    def kill(self) -> None:
        """Kill the task's process, as the kernel does when memory runs out, in a way that Airflow tries again after."""
        if RETRIES_A_KILLED_PROCESS:
            kill(_alive(self.pid))
        else:
            self.kill_with_worker()

    def kill_with_worker(self) -> None:
        """Kill also what watches the task, so that its end is not reported."""
        kill([*_alive(self.parent_pid), *_alive(self.pid)])


def _alive(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


class RunningAirflow:
    """
    One Airflow with a home of its own.

    :param home: an empty folder.
    :param database: a migrated SQLite file that no Airflow has used, which is copied; or a migrated database of another
        kind, which is used.
    :param environment: how its tasks reach AWS, and Airflow's settings where they are not the usual ones.
    :param dags: the folder of its DAGs.
    :param dag_ids: some of those, which have been read when all have.
    :param apps: what of Airflow 3's API server runs; ``core,execution`` has the REST API and the pages too.
    """

    def __init__(
        self,
        home: Path,
        *,
        database: Path | Database,
        environment: Mapping[str, str],
        dags: Path = OWN_DAGS,
        dag_ids: Collection[str] = OWN_DAG_IDS,
        apps: str = "execution",
    ) -> None:
        self._apps = apps
        self._dag_ids = frozenset(dag_ids)
        self._logs = home / "output"
        self.task_logs = home / "logs"
        self._reports = home / "reports"
        for folder in (self._logs, self._reports):
            folder.mkdir(parents=True)
        self._database = Sqlite.copied(database, home / "airflow.db") if isinstance(database, Path) else database
        self._api_port = free_port()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")},
            **airflow_environment(home, dags=dags, database=self._database.url, api_port=self._api_port),
            **environment,
            FOLDER_VARIABLE: str(self._reports),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")])),
            # The scheduler starts processes by their names.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        self.triggerers: list[AirflowProcess] = []
        self._scheduler: AirflowProcess
        self._others: list[AirflowProcess] = []
        reading, writing = os.pipe()
        self._answers = os.fdopen(reading)
        with (self._logs / "nursery.log").open("wb") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, str(HERE / "nursery.py"), str(writing)],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                text=True,
                start_new_session=True,
            )
        os.close(writing)

    def start(self) -> None:
        """Start everything, and return when it is at work."""
        if not IS_AIRFLOW_2:
            self._others.append(self._launch("api-server", "--apps", self._apps, "--host", "127.0.0.1"))
            self._others.append(self._launch("dag-processor"))
        self._scheduler = self._launch("scheduler", "--skip-serve-logs")
        self.start_triggerer()
        eventually(self._has_dags, what="the DAGs are read", describe=self.tell_of_logs)
        if not IS_AIRFLOW_2:
            eventually(self._api_answers, what="the API server answers", describe=self.tell_of_logs)

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"http://127.0.0.1:{self._api_port}"

    def end(self) -> None:
        """End everything."""
        # At the end of its input the nursery ends all that it has started, also when this process was killed.
        self._nursery.communicate()
        self._answers.close()

    def start_triggerer(self) -> AirflowProcess:
        """Start a triggerer, beside those that run."""
        triggerer = self._launch("triggerer", "--skip-serve-logs")
        self.triggerers.append(triggerer)
        return triggerer

    def kill_triggerers(self) -> None:
        """Kill all triggerers."""
        while self.triggerers:
            self.triggerers.pop().kill()

    def trigger(self, dag_id: str, *, run_id: str | None = None, **conf: Any) -> Run:
        """Start a run."""
        self._mend_the_scheduler()
        run = Run(self, dag_id, run_id or f"{dag_id}-{uuid.uuid4()}")
        self._ask(do="trigger", dag_id=dag_id, run_id=run.run_id, conf=conf)
        return run

    def read_dags_again(self) -> None:
        """Have the scheduler go by the DAG files as they are now."""
        self._ask(run=["dags", "reserialize"], log=str(self._logs / "reserialize.log"))

    def backfill(self, dag_id: str, first_day: str, last_day: str) -> None:
        """Run a DAG for days of the past."""
        if IS_AIRFLOW_2:
            command = ["dags", "backfill", "--yes", "--start-date", first_day, "--end-date", last_day, dag_id]
        else:
            command = ["backfill", "create", "--dag-id", dag_id, "--from-date", first_day, "--to-date", last_day]
        for may_fail in (True, True, True, False):
            try:
                self._ask(run=command, log=str(self._logs / "backfill.log"))
            except AssertionError as error:
                # On SQLite a reader that becomes a writer is refused at once when another wrote meanwhile, and the
                # command leaves what it has done so far. Runs that are there already are left alone by the next one.
                if not (may_fail and "database is locked" in str(error)):
                    raise
                self._end_backfills()
            else:
                return

    def _end_backfills(self) -> None:
        assert isinstance(self._database, Sqlite)  # no other refuses a writer
        with closing(sqlite3.connect(self._database.file, timeout=60)) as connection, connection:
            connection.execute("UPDATE backfill SET completed_at = CURRENT_TIMESTAMP WHERE completed_at IS NULL")

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read from the metadata database; ``?`` stands for each value."""
        return self._database.query(statement, *values)

    def starts(self) -> list[dict[str, Any]]:
        """Return every start of a task's process, in the order of their tries."""
        seen = [json.loads(report.read_text()) for report in self._reports.glob("*.json")]
        return sorted(seen, key=lambda start: start["try_number"])

    def _mend_the_scheduler(self) -> None:
        """Replace a scheduler that hangs, as what watches over an Airflow does, so that one fault is not all tests'."""
        ((beat,),) = self.query("SELECT max(latest_heartbeat) FROM job WHERE job_type = 'SchedulerJob'")
        last_seen = datetime.fromisoformat(beat).replace(tzinfo=timezone.utc) if isinstance(beat, str) else beat
        silence = datetime.now(tz=timezone.utc) - last_seen
        if silence.total_seconds() > SCHEDULER_SILENCE_SECONDS:
            log.warning("The scheduler was silent for %s, and is replaced.\n%s", silence, self.tell_of_logs())
            self._scheduler.kill()
            self._scheduler = self._launch("scheduler", "--skip-serve-logs")

    def processor_seconds(self) -> float:
        """Return the processor time that all processes have used, those that have ended included."""
        return sum(process.processor_seconds for process in self._processes)

    def tell_of_logs(self) -> str:
        """Return the ends of all logs, with the stacks of all processes, for the message of a test that fails."""
        for process in self._processes:
            process.tell_where_it_is()
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self._logs.glob("*.log")))

    def delete(self, run: Run) -> None:
        """Delete a run, as a user does."""
        self._ask(do="delete_run", dag_id=run.dag_id, run_id=run.run_id)

    def clear(self, run: Run, task_id: str | None) -> None:
        """Clear a task, or all tasks of a run, as a user does."""
        cleared = self._ask(do="clear", dag_id=run.dag_id, run_id=run.run_id, task_id=task_id)
        assert cleared, f"{run} has no {task_id}"

    def _ask(self, **request: Any) -> Any:
        assert self._nursery.stdin is not None
        print(json.dumps(request), file=self._nursery.stdin, flush=True)
        line = self._answers.readline()
        assert line, f"the nursery ended: {self.tell_of_logs()}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _launch(self, name: str, *arguments: str) -> AirflowProcess:
        log = self._logs / f"{name}.log"
        return AirflowProcess(self._ask(launch=[name, *arguments], log=str(log)), log)

    @property
    def _processes(self) -> list[AirflowProcess]:
        return [*self._others, self._scheduler, *self.triggerers]

    def _has_dags(self) -> bool:
        for process in self._processes:
            assert process.is_alive, f"{process.log.stem} ended at once: {process.log.read_text()[-5000:]}"
        errors = self.query("SELECT stacktrace FROM import_error")
        assert not errors, errors[0][0]
        read = {dag_id for (dag_id,) in self.query("SELECT dag_id FROM serialized_dag")}
        return self._dag_ids <= read

    def _api_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._api_port}/execution/health", timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


@dataclass(frozen=True)
class Run:
    """A DAG run."""

    airflow: RunningAirflow
    dag_id: str
    run_id: str

    def instances(self) -> list[Instance]:
        """Return its task instances as they stand."""
        rows = self.airflow.query(
            f"SELECT task_id, map_index, state, try_number, max_tries FROM {INSTANCES} "
            "WHERE dag_id = ? AND run_id = ? ORDER BY task_id, map_index",
            self.dag_id,
            self.run_id,
        )
        return [Instance(*row) for row in rows]

    def states(self) -> list[str | None]:
        """Return the states of its task instances."""
        return [instance.state for instance in self.instances()]

    def end(self, seconds: float = PATIENCE_SECONDS) -> list[str | None]:
        """Wait until the run and all of its tasks have ended, and give the tasks' states."""
        eventually(
            lambda: self._state() in ENDED,
            what=f"{self.run_id} has ended",
            seconds=seconds,
            describe=lambda: f"It is {self._state()}, {self.instances()}.\n{self.airflow.tell_of_logs()}",
        )
        return self.states()

    def _state(self) -> str:
        ((state,),) = self.airflow.query(
            "SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", self.dag_id, self.run_id
        )
        return str(state)

    def clear(self, task_id: str | None = "invoke") -> None:
        """Clear one of its tasks, or all of them."""
        self.airflow.clear(self, task_id)

    def starts(self) -> list[Start]:
        """Return every start of a process for one of its tasks, resumed ones included, in the order of tries."""
        return [
            Start(**{name: value for name, value in start.items() if name != "run_id"})
            for start in self.airflow.starts()
            if start["run_id"] == self.run_id
        ]

    def start_of_try(self, try_number: int, *, map_index: int = -1) -> Start:
        """Wait until a try has started, and give its start."""
        return eventually(
            lambda: next(
                (start for start in self.starts() if (start.try_number, start.map_index) == (try_number, map_index)),
                None,
            ),
            what=f"try {try_number} of {self.run_id}, map index {map_index}, starts",
            describe=lambda: f"{self.instances()}\n{self.airflow.tell_of_logs()}",
        )

    def xcoms(self, key: str = "return_value") -> list[Any]:
        """Return an XCom of its tasks, in the order of their names and map indexes."""
        rows = self.airflow.query(
            f"SELECT value FROM {XCOMS} WHERE dag_id = ? AND run_id = ? AND key = ? ORDER BY task_id, map_index",
            self.dag_id,
            self.run_id,
            key,
        )
        return [decoded(value) for (value,) in rows]


def decoded(value: Any) -> Any:
    """Return an XCom's value: Airflow 3 puts JSON, as a text, into a column of JSON; Airflow 2 puts it there once."""
    while isinstance(value, bytes) or (isinstance(value, str) and value.startswith(('"', "{", "["))):
        value = json.loads(value)
    return value


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
