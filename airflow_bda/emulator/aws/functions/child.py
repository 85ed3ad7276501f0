"""
What a function's process runs: AWS's runtime client, with nothing to import but what Lambda has too.

It is run as a file by an isolated interpreter (``-I -S``), so it can import nothing of this package or its environment.
Arguments: the folder of the runtime's libraries, the function's folder, its handler, and its memory in MiB.
"""

from __future__ import annotations

import sys


def main(libraries: str, task_root: str, handler: str, memory_mb: str) -> None:
    """Serve the function's invocations until the process is ended."""
    _limit_memory(int(memory_mb) * 1024 * 1024)
    # The function's own copy of a library goes before the runtime's, as on Lambda.
    sys.path.insert(0, task_root)
    sys.path.append(libraries)
    # Importable from the folder above only.
    from awslambdaric.__main__ import main as serve  # type: ignore[import-not-found, unused-ignore]

    serve(["bootstrap", handler])


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    # What is written to and not shared. The address space would be the wrong measure: libraries reserve far more of it
    # than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main(*sys.argv[1:])
