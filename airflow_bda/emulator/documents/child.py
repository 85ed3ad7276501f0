"""
What a reader process runs, as a file: it takes inputs from a pipe and answers with their results, or their errors.

Arguments: the folder that holds the package, and the number of the pipe's file descriptor.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from typing import Any

# A process without work for this long ends; the next input starts another one.
_IDLE_SECONDS = 300.0


def main(file_descriptor: int) -> None:
    """Answer inputs until the pipe is closed or no more come."""
    from multiprocessing.connection import Connection

    pipe = Connection(file_descriptor)
    while pipe.poll(_IDLE_SECONDS):
        try:
            work, data = pipe.recv(), pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_answer(replace(work, request=replace(work.request, data=data))))


def _answer(work: Any) -> bytes:
    """Return the pickled results of an input, or the error that it ends in."""
    from airflow_bda.emulator.documents.pipeline import process
    from airflow_bda.emulator.documents.reading.input_limits import STEP_CLOCK, limit_memory

    limit_memory(len(work.request.data))
    STEP_CLOCK.start()
    try:
        return pickle.dumps(process(work))
    except MemoryError:
        # Whoever waits for the answer is told by the end of this process, which has no more use.
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


if __name__ == "__main__":
    # Instead of this file's own folder, whose modules are no top-level ones.
    sys.path[0] = sys.argv[1]
    main(int(sys.argv[2]))
