"""
What runs inside a Lambda function's process. It imports nothing of this package, and nothing but what Lambda has too.

As a file, run by an isolated interpreter (``-I -S``), it starts AWS's runtime client. Arguments: the folder of the
runtime's libraries, the function's folder, its handler, and its memory in MiB.

As the module ``runtime_client`` it stands in for the part of AWS's runtime client that exists as native code for Linux
only, so that functions run on other systems too. It speaks Lambda's runtime API
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import Any

_ROOT = "/2018-06-01/runtime/invocation"


def initialize_client(_user_agent: str) -> None:
    """Do nothing: a connection is made when it is needed."""


def next() -> tuple[bytes, dict[str, str]]:  # noqa: A001  the client calls it so
    """Wait for an invocation, and return its event and the headers that describe it."""
    return _call("GET", f"{_ROOT}/next")


def post_invocation_result(request_id: str, result: bytes, content_type: str, *_: Any) -> None:
    """Answer an invocation."""
    _call("POST", f"{_ROOT}/{request_id}/response", result, {"Content-Type": content_type})


def post_error(request_id: str, error: str, _xray_fault: str, *_: Any) -> None:
    """Answer an invocation whose function raised."""
    _call("POST", f"{_ROOT}/{request_id}/error", error.encode(), {"Content-Type": "application/json"})


def _call(
    method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.read(), dict(response.getheaders())
    finally:
        connection.close()


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
