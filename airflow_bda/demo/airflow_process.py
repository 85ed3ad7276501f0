"""
The demo's Airflow: its folder, its environment, and both ends of the process that runs documents in it.

The process runs this module. It takes the DAG's file as its argument and Airflow's settings from its environment. The
runs to make arrive as one line of JSON on standard input; progress leaves as lines of JSON on standard output;
everything else that is printed goes to standard error. It exits when its standard input closes.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

    Tell = Callable[[Mapping[str, Any]], None]

DAG_FILE = "bda_document.py"
_PACKAGE = Path(__file__).parents[1]
# Prefixes of the user's own Airflow and AWS settings, which the demo must neither use nor change.
_USERS_OWN = ("AIRFLOW_", "_AIRFLOW_", "AWS_", "BOTO_")


class WorkplaceError(Exception):
    """The folder cannot be used; the text says why and what to do."""


class Workplace:
    """
    Where one demo at a time keeps its files.

    :param root: an absolute path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.airflow_version = metadata.version("apache-airflow")
        # Each Airflow version has its own home, since a migrated database does not go back to an older version.
        self.airflow_home = root / f"airflow-{self.airflow_version}"
        self.database = self.airflow_home / "airflow.db"
        self.dag_file = self.airflow_home / "dags" / DAG_FILE
        self.log = root / "airflow.log"
        # The results are copied to it, a folder for each document.
        self.results = root / "results"
        self.report = root / "report.html"
        self._migrated = self.airflow_home / "migrated"

    @property
    def is_migrated(self) -> bool:
        """Whether Airflow's database is ready."""
        return self._migrated.exists()

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """
        Create the folder and lock it against other demos.

        :raises WorkplaceError: when it cannot be written to, or another demo runs there.
        """
        try:
            self.dag_file.parent.mkdir(parents=True, exist_ok=True)
            # None of these files belong into a repository around the folder.
            (self.root / ".gitignore").write_text("*\n")
            # Inside an installed wheel, or beside the package in a checkout.
            packaged = _PACKAGE / "example_dags"
            examples = packaged if packaged.is_dir() else _PACKAGE.parent / "dags"
            shutil.copyfile(examples / DAG_FILE, self.dag_file)
            self.log.write_bytes(b"")
            lock = (self.root / "lock").open("w")
        except OSError as error:
            raise WorkplaceError(f"Cannot work in {self.root}: {error}. Name another folder with --state.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WorkplaceError(
                    f"Another demo is running in {self.root}. Wait for its end, or name another folder with --state."
                ) from error
            yield

    def forget_database(self) -> None:
        """Remove a database whose migration was interrupted: Airflow cannot resume it."""
        for file in self.airflow_home.glob("airflow.db*"):
            file.unlink()

    def remember_migration(self) -> None:
        """Record that the database is ready."""
        self._migrated.touch()

    def environment(self) -> dict[str, str]:
        """Return the environment of Airflow's processes, without the user's own Airflow and AWS settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_USERS_OWN)}
        nothing = str(self.airflow_home / "none")
        return (
            inherited
            | _bytecode_cache(self.airflow_home)
            | {
                "AIRFLOW_HOME": str(self.airflow_home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.dag_file.parent),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
                "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
                "AWS_CONFIG_FILE": nothing,
                "AWS_SHARED_CREDENTIALS_FILE": nothing,
                # A proxy cannot reach this machine's own emulator.
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                "PYTHONUNBUFFERED": "1",
            }
        )


def _bytecode_cache(airflow_home: Path) -> dict[str, str]:
    """
    Return settings that let Airflow's processes keep bytecode in the demo's folder, where none was installed.

    Compiling Airflow takes as long as all the rest of a run.
    """
    airflow = importlib.util.find_spec("airflow")
    if not sys.dont_write_bytecode or airflow is None or airflow.cached is None or Path(airflow.cached).exists():
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(airflow_home / "pycache")}


# This module, which is `__main__` where it is run.
_RUNNER = "airflow_bda.demo.airflow_process"
_PATIENCE = 5.0


class AirflowFailedError(Exception):
    """Airflow ended before its work was done; its log says why."""


class AirflowProcess:
    """
    Runs documents, in one process for all of them: importing Airflow takes seconds.

    ``with`` starts it, so that it loads while the caller does something else, and makes sure of its end.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._log = workplace.log.open("ab")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if self._workplace.is_migrated:
            self._start_runner()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._log.close()

    def migrate(self) -> None:
        """
        Make Airflow's database, unless it is there.

        :raises AirflowFailedError: when that cannot be done.
        """
        if self._workplace.is_migrated:
            return
        self._workplace.forget_database()
        process = self._start("airflow", "db", "migrate")
        if status := process.wait():
            raise AirflowFailedError(f"`airflow db migrate` failed with status {status}")
        self._workplace.remember_migration()
        self._start_runner()

    def run(self, confs: Sequence[Mapping[str, Any]], *, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """
        Run the DAG once for each configuration, one after the other, and yield the news as they come.

        :param environment: what makes Airflow use the emulator.
        :raises AirflowFailedError: when Airflow ends early; what was yielded until then holds.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise AirflowFailedError("Airflow was not started")
        try:
            process.stdin.write(json.dumps({"environment": dict(environment), "confs": list(confs)}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            # It is gone; the end of its output says so as well.
            pass
        for line in process.stdout:
            yield json.loads(line)
        if status := process.wait():
            raise AirflowFailedError(f"Airflow ended with status {status}")

    def _start_runner(self) -> None:
        self._start(_RUNNER, str(self._workplace.dag_file))

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if module != "airflow" else self._log,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=self._workplace.environment(),
            # Not the user's folder: what lies there must not be imported.
            cwd=self._workplace.airflow_home,
            # Ctrl-C is for the command, which then ends this.
            start_new_session=True,
        )
        return self._process

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        # The runner ends with its input, even where Airflow puts off the signal.
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Be that process: load the DAG, read the list of runs, and run them."""
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
