"""One of Airflow's processes: started in a group of its own, ended or killed with all its children."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_SECONDS_TO_END = 10.0


class AirflowProcess:
    """
    A process, and what it starts.

    :param command: the program and its arguments.
    :param log: the file that its output is added to.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._process = psutil.Process(self._popen.pid)

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        """End it as the kernel does when memory runs out: at once, with all its children."""
        kill(family(self._process))
        self._popen.wait()

    def end(self) -> None:
        """Ask it to end, and see to it that nothing of it stays."""
        members = family(self._process)
        if self.is_alive:
            self._popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(_SECONDS_TO_END)
        kill(members)
        self._popen.wait()


def family(process: psutil.Process) -> list[psutil.Process]:
    """Give a process and all that descend from it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes at once; psutil knows whether a number was given to another one since."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
