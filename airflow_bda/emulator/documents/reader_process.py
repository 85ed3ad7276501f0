"""
Inputs are read in processes of their own, with limits: a small file can need much memory and time.

A process reads one input after another and stays for the next, so that only the first one waits for its start. One that
reaches its limits, or crashes in a parser, ends the job with it and nothing else.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import airflow_bda
from airflow_bda.emulator.documents.pipeline import Work, process
from airflow_bda.emulator.documents.reading.input_limits import (
    LIMIT_EXCEEDED,
    MAX_CPU_SECONDS,
    MAX_MEMORY_BYTES,
    STEP_CLOCK,
    InputError,
    limit_memory,
)

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.contract import ProcessedInput

# Not as a file or by -m: only with the folder of this very package in front of all others.
_CHILD = "import sys; sys.path[0] = sys.argv[1]; from {module} import main; main(int(sys.argv[2]))"
_PACKAGE_ROOT = Path(airflow_bda.__file__).parents[1]
# More would only keep memory: the emulator reads few inputs at once.
_MOST_IDLE = 2
# The engine that reads pictures keeps a quarter of a gigabyte, so only one of those that wait may have it.
_ENGINE = "rapidocr"
# What a parser keeps of the inputs that it has read goes with its process.
_MOST_INPUTS = 200
# A process without work for this long ends; the next input starts another one.
_IDLE_SECONDS = 300.0


class ReaderPool:
    """The processes of this process that read inputs; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: list[_ReaderProcess] = []
        # A fork has copies of the pipes, which only one of the two may use.
        os.register_at_fork(after_in_child=self._forget)

    def warm_up(self) -> None:
        """Start a process, where none waits, without waiting for it."""
        with self._lock:
            if not self._idle:
                self._idle.append(_ReaderProcess())

    def read(self, work: Work) -> ProcessedInput:
        """
        Read an input and build its results.

        :raises InputError: when the input cannot be processed or needs more than the limits allow.
        """
        while True:
            with self._lock:
                reader = self._idle.pop() if self._idle else _ReaderProcess()
            try:
                return reader.read(work)
            except _NotRunningError:
                # It had waited for too long and ended as this input came.
                continue
            finally:
                self._give_back(reader)

    def close(self) -> None:
        """End the processes that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.stop()

    def _give_back(self, reader: _ReaderProcess) -> None:
        with self._lock:
            is_spare = reader.has_engine and any(other.has_engine for other in self._idle)
            if reader.is_usable and not is_spare and len(self._idle) < _MOST_IDLE:
                self._idle.append(reader)
                return
        reader.stop()

    def _forget(self) -> None:
        self._lock = Lock()
        self._idle = []


class _NotRunningError(Exception):
    """The process ended before it took the input."""


class _ReaderProcess:
    """One process, and the pipe to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _CHILD.format(module=__name__), str(_PACKAGE_ROOT), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # A Ctrl-C is for the emulator, which ends its readers by closing their pipes.
                start_new_session=True,
            )
            self._pipe = Connection(os.dup(ours.fileno()))
        self._inputs = 0
        self.has_engine = False

    @property
    def is_usable(self) -> bool:
        return self._inputs < _MOST_INPUTS and self._process.poll() is None and not self._pipe.closed

    def read(self, work: Work) -> ProcessedInput:
        self._inputs += 1
        try:
            # The content apart: it is passed as it is, without another copy of it.
            self._pipe.send(replace(work, request=replace(work.request, data=b"")))
            self._pipe.send_bytes(work.request.data)
            answer = pickle.loads(self._pipe.recv_bytes())  # noqa: S301 - from our own program
            self.has_engine = self._pipe.recv()
        except (EOFError, OSError):
            raise self._reason_of_end() from None
        except BaseException:
            # What was sent and not read would be taken for the next answer.
            self.stop()
            raise
        if isinstance(answer, Exception):
            raise answer
        result: ProcessedInput = answer
        return result

    def stop(self) -> None:
        self._pipe.close()
        if self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
            self._process.kill()
        self._process.wait()

    def _reason_of_end(self) -> Exception:
        self._pipe.close()
        code = self._process.wait()
        if code == 0:
            return _NotRunningError()
        if code == -signal.SIGPROF:
            return InputError(
                LIMIT_EXCEEDED, f"Reading a page of the file took more than {MAX_CPU_SECONDS} s of processor time."
            )
        return InputError(
            LIMIT_EXCEEDED,
            f"Reading the file needs more than {MAX_MEMORY_BYTES // 1_000_000:,} MB of memory, or broke the reader.",
        )


def main(file_descriptor: int) -> None:
    """
    Answer inputs with their results, or their errors, until the pipe is closed or no more come: the child's program.

    :param file_descriptor: of the pipe.
    """
    pipe = Connection(file_descriptor)
    while pipe.poll(_IDLE_SECONDS):
        try:
            work, data = pipe.recv(), pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_answer(replace(work, request=replace(work.request, data=data))))
        pipe.send(_ENGINE in sys.modules)


def _answer(work: Work) -> bytes:
    """Return the pickled results of an input, or the error that it ends in."""
    limit_memory(len(work.request.data))
    STEP_CLOCK.start()
    try:
        return pickle.dumps(process(work))
    except MemoryError:
        # The end of this process is the answer; it cannot be used again.
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - it is raised where the input came from
        return _picklable(error)
    finally:
        STEP_CLOCK.stop()


def _picklable(error: Exception) -> bytes:
    try:
        answer = pickle.dumps(error)
        pickle.loads(answer)  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - an error of a library may hold anything
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return answer


READERS = ReaderPool()
atexit.register(READERS.close)
