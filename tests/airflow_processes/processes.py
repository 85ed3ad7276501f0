"""One of Airflow's processes: killed with all that it started."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# None that Airflow uses.
TELL_WHERE_YOU_ARE = signal.SIGRTMIN


class AirflowProcess:
    """
    A process, and what it starts.

    :param log: the file that it writes to.
    """

    def __init__(self, pid: int, log: Path) -> None:
        self.log = log
        self._process = psutil.Process(pid)

    @property
    def is_alive(self) -> bool:
        return self._process.is_running()

    @property
    def processor_seconds(self) -> float:
        """The processor time of it and of all that it started, those that have ended included."""
        used = 0.0
        for process in family(self._process):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system + times.children_user + times.children_system
        return used

    def tell_where_it_is(self) -> None:
        """Have it write the stacks of its threads into its log."""
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(TELL_WHERE_YOU_ARE)
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out: at once, with all its children."""
        kill(family(self._process))


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that descend from it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes at once; psutil knows whether a number was given to another one since."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
