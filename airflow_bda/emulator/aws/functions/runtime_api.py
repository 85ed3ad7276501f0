"""
Lambda's runtime API for one process: it asks for an invocation, and answers it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from queue import SimpleQueue
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.emulator.aws.functions.configuration import FunctionConfiguration, Invocation

_PATH = re.compile(r"/2018-06-01/runtime/(?:invocation/)?(?P<request_id>[^/]+)/(?P<what>next|response|error)")
_NEXT = "/2018-06-01/runtime/invocation/next"
_ACCEPTED = b'{"status":"OK"}\n'
# How long closing may take; the server looks that often whether it should end.
_CLOSING_SECONDS = 0.05


@dataclass(frozen=True)
class Taken:
    """The process has taken up an invocation."""

    request_id: str


@dataclass(frozen=True)
class Answered:
    """
    The process has answered, or has told why it cannot begin.

    :param request_id: ``init`` where it could not begin.
    """

    request_id: str
    payload: bytes
    is_error: bool


class RuntimeApi:
    """
    The API's server, in threads.

    :param configuration: the function that the process runs.
    """

    def __init__(self, configuration: FunctionConfiguration) -> None:
        self.configuration = configuration
        self.waiting: SimpleQueue[Invocation | None] = SimpleQueue()
        self.told: SimpleQueue[Any] = SimpleQueue()
        api = self

        class Handler(_Handler):
            runtime_api = api

        self._server = _Server(("127.0.0.1", 0), Handler)
        Thread(
            target=self._server.serve_forever, args=(_CLOSING_SECONDS,), name="lambda-runtime-api", daemon=True
        ).start()

    @property
    def address(self) -> str:
        """What the process reads from ``AWS_LAMBDA_RUNTIME_API``."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """End the server, and whatever waits in it for an invocation."""
        self.waiting.put(None)
        self._server.shutdown()
        self._server.server_close()

    def headers(self, invocation: Invocation) -> dict[str, str]:
        """Return what is told about an invocation beside its event; its time runs from now on."""
        deadline = time.time() + self.configuration.timeout_seconds
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.configuration.arn,
        }
        return headers | (
            {"Lambda-Runtime-Client-Context": invocation.client_context} if invocation.client_context else {}
        )


class _Server(ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: processes are ended in the midst of their calls."""


class _Handler(BaseHTTPRequestHandler):
    runtime_api: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path != _NEXT:
            self.send_error(404)
            return
        invocation = self.runtime_api.waiting.get()
        if invocation is None:
            self.close_connection = True
            return
        # Told first: the answer may come before this thread goes on.
        self.runtime_api.told.put(Taken(invocation.request_id))
        self._send(200, invocation.payload, self.runtime_api.headers(invocation))

    def do_POST(self) -> None:
        match = _PATH.fullmatch(self.path)
        payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if match is None or match["what"] == "next":
            self.send_error(404)
            return
        self._send(202, _ACCEPTED, {"Content-Type": "application/json"})
        self.runtime_api.told.put(Answered(match["request_id"], payload, is_error=match["what"] == "error"))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
