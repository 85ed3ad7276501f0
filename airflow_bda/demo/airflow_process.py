"""Airflow as the demo's child process."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from typing_extensions import Self

    from airflow_bda.demo.workplace import Workplace

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

        :param environment: what leads Airflow to the emulator.
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
        self._start("airflow_bda.demo.runner", str(self._workplace.dag_file))

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
