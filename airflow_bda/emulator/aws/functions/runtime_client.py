"""
The part of AWS's runtime client that it has as native code for Linux only, in Python.

It speaks Lambda's runtime API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). It is put beside the
client under this very name where the native one is missing, so that functions run on other systems too; so it imports
nothing of this package.
"""

from __future__ import annotations

import http.client
import os
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
