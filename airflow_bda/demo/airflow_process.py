"""The demo's Airflow: its folder, its environment, and the child process that runs documents in it."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from typing_extensions import Self

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
        """Remove a database whose migration was interrupted: Airflow cannot go on from there."""
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
        self._start("airflow_bda.demo.airflow_runner", str(self._workplace.dag_file))

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
