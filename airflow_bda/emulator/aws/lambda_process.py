"""
One execution environment of a Lambda function: a process that serves invocations, one at a time, and stays warm.

The process asks for an invocation and answers it over Lambda's runtime API, which is served here, in threads.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import Empty, SimpleQueue
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    ClientVariables = Callable[[str], Mapping[str, str]]

_PATH = re.compile(r"/2018-06-01/runtime/(?:invocation/)?(?P<request_id>[^/]+)/(?P<what>next|response|error)")
_NEXT = "/2018-06-01/runtime/invocation/next"
_ACCEPTED = b'{"status":"OK"}\n'
# How long closing may take; the server looks that often whether it should end.
_CLOSING_SECONDS = 0.05
# Lambda gives a function ten seconds to import what it needs; a busy machine may be slower than that.
INITIALISATION_SECONDS = 60
_CHILD = Path(__file__).with_name("lambda_child.py")
_INITIALISATION = "init"


@dataclass(frozen=True)
class FunctionConfiguration:
    """
    One version of one function. Two that are equal can share a process.

    :param handler: ``package.module.function``.
    :param timeout_seconds: how long one invocation may take.
    :param memory_mb: how much memory the process may use, in MiB.
    :param variables: the function's environment, as sorted pairs.
    :param credentials: the environment variables of its role's session; empty where it acts as the account itself.
    :param code_sha_256: of the code.
    :param code: the zip.
    """

    arn: str
    name: str
    version: str
    region: str
    runtime: str
    handler: str
    timeout_seconds: int
    memory_mb: int
    variables: tuple[tuple[str, str], ...]
    credentials: tuple[tuple[str, str], ...]
    code_sha_256: str
    code: bytes = field(repr=False, compare=False)


@dataclass(frozen=True)
class Invocation:
    """
    One call of a function.

    :param payload: the event, as JSON text.
    :param client_context: as JSON text.
    """

    request_id: str
    payload: bytes
    client_context: str | None = None


@dataclass(frozen=True)
class InvocationResult:
    """
    How an invocation ended.

    :param payload: what the function returned, or what is said of its failure; JSON text.
    :param is_error: whether the function raised, timed out or ended its process.
    :param log: what it wrote, and Lambda's own lines about it.
    """

    payload: bytes
    is_error: bool
    log: str


@dataclass(frozen=True)
class Taken:
    """The process has taken up an invocation."""

    request_id: str


@dataclass(frozen=True)
class Answered:
    """
    The process has answered, or has sent an error because it cannot begin.

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
        """Return the headers that describe an invocation; its time-out counts from now on."""
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
        """Log nothing: processes are ended during their calls."""


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
        # Before the answer is sent: the process may reply before this thread continues.
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
        """Log nothing."""


@dataclass(frozen=True)
class _Ended:
    """The process has ended."""

    status: int


class CodeError(Exception):
    """A function's code cannot be run here; its text says why."""


class ExecutionEnvironment:
    """
    A process for one version of a function. Close it when it is no longer wanted.

    :param libraries: the folder of the runtime's libraries.
    :param client_variables: returns what leads AWS clients of a region to where they should go.
    :raises CodeError: when there is no code, or it is none for this runtime.
    """

    def __init__(
        self, configuration: FunctionConfiguration, *, libraries: Path, client_variables: ClientVariables
    ) -> None:
        self.configuration = configuration
        self._folder = Path(tempfile.mkdtemp(prefix="bda-function-"))
        try:
            self._unpack()
            self._api = RuntimeApi(configuration)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._log = self._folder / "log"
        self._log_read = 0
        self._process = self._start(libraries, client_variables)
        Thread(target=self._watch, name="lambda-process", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it can serve another invocation."""
        return self._process.poll() is None

    def invoke(self, invocation: Invocation) -> InvocationResult:
        """Serve one invocation. Whatever the function does, there is a result."""
        self._api.waiting.put(invocation)
        began = time.monotonic()
        told = self._wait(INITIALISATION_SECONDS)
        if isinstance(told, Taken):
            began = time.monotonic()
            told = self._wait(self.configuration.timeout_seconds)
        seconds = time.monotonic() - began
        if isinstance(told, Answered):
            payload, is_error = told.payload, told.is_error
            if told.request_id == _INITIALISATION:
                self._kill()
        else:
            # A process that was stopped during its work cannot serve another invocation.
            self._kill()
            payload, is_error = _failure(invocation, told, self.configuration.timeout_seconds), True
        return InvocationResult(payload, is_error, self._new_log(invocation, seconds))

    def close(self) -> None:
        """End the process, and leave nothing behind but what it wrote so far."""
        self._kill()
        self._api.close()
        # Again where needed: a process that the function started may have written once more before its end.
        for _ in range(10):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(0.1)

    def _unpack(self) -> None:
        if not self.configuration.runtime.startswith("python"):
            raise CodeError(f"the emulator runs Python functions only, and the runtime is {self.configuration.runtime}")
        task_root = self._folder / "task"
        task_root.mkdir()
        (self._folder / "tmp").mkdir()
        try:
            with zipfile.ZipFile(io.BytesIO(self.configuration.code)) as archive:
                archive.extractall(task_root)
        except zipfile.BadZipFile as error:
            raise CodeError(f"its code is no zip ({error}); was the object in S3 there when it was created?") from None

    def _start(self, libraries: Path, client_variables: ClientVariables) -> subprocess.Popen[bytes]:
        task_root = self._folder / "task"
        arguments = [str(libraries), str(task_root), self.configuration.handler, str(self.configuration.memory_mb)]
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  running what was uploaded is what this is for
                [sys.executable, "-I", "-S", str(_CHILD), *arguments],
                cwd=task_root,
                env=self._variables(client_variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _variables(self, client_variables: ClientVariables) -> dict[str, str]:
        """Return the process's whole environment: nothing of the emulator's own, which may hold real credentials."""
        configuration = self.configuration
        return {
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "TZ": ":UTC",
            **dict(configuration.variables),
            **client_variables(configuration.region),
            **dict(configuration.credentials),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.runtime}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": configuration.name,
            "AWS_LAMBDA_FUNCTION_VERSION": configuration.version,
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{configuration.name}",
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "HOME": str(self._folder / "tmp"),
            "LAMBDA_TASK_ROOT": str(self._folder / "task"),
            "TMPDIR": str(self._folder / "tmp"),
            "_HANDLER": configuration.handler,
        }

    def _watch(self) -> None:
        self._api.told.put(_Ended(self._process.wait()))

    def _wait(self, seconds: float) -> Taken | Answered | _Ended | None:
        try:
            told: Taken | Answered | _Ended = self._api.told.get(timeout=seconds)
        except Empty:
            return None
        return told

    def _kill(self) -> None:
        if self._process.poll() is None:
            # The whole group: a function may have started processes of its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _new_log(self, invocation: Invocation, seconds: float) -> str:
        """Return what was written since the last time, between the lines that Lambda itself writes."""
        with suppress(FileNotFoundError), self._log.open("rb") as log:
            log.seek(self._log_read)
            written = log.read()
            self._log_read += len(written)
            text = written.decode(errors="replace")
            request, version = f"RequestId: {invocation.request_id}", self.configuration.version
            end = "" if not text or text.endswith("\n") else "\n"
            report = (
                f"REPORT {request}\tDuration: {seconds * 1000:.2f} ms\tMemory Size: {self.configuration.memory_mb} MB"
            )
            return f"START {request} Version: {version}\n{text}{end}END {request}\n{report}\n"
        return ""


def _failure(invocation: Invocation, told: Taken | _Ended | None, timeout_seconds: int) -> bytes:
    if isinstance(told, _Ended):
        said = f"RequestId: {invocation.request_id} Error: Runtime exited with error: exit status {told.status}"
        return json.dumps({"errorType": "Runtime.ExitError", "errorMessage": said}).encode()
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    said = f"{now} {invocation.request_id} Task timed out after {timeout_seconds:.2f} seconds"
    return json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": said}).encode()
