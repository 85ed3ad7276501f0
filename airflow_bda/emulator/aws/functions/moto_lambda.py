"""
All that this package changes in moto's Lambda: while the emulator's server runs, an invocation goes to our runner.

moto would start a container. What it keeps (functions, versions, event sources, logs) stays moto's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from airflow_bda.emulator.aws.functions.configuration import FunctionConfiguration, Invocation, InvocationResult
from airflow_bda.emulator.aws.functions.running import TooManyInvocationsError
from airflow_bda.emulator.aws.permissions.enforcement import is_enforced

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

_LOG_TAIL_BYTES = 4096
_SESSION_SECONDS = 3600
_LOCK = RLock()
# As an attribute of a value that is not typed: to replace a method of another's class is what this is about.
_PATCHED: Any = LambdaFunction
_MOTOS_OWN = LambdaFunction.invoke
_RUNNERS: list[Runner] = []


class Runner(Protocol):
    """Runs functions (:class:`~airflow_bda.emulator.aws.functions.running.FunctionRunner`), or says why it cannot."""

    def invoke(self, configuration: FunctionConfiguration, invocation: Invocation) -> InvocationResult:
        """Run a function once."""


class Refusal:
    """
    Runs nothing.

    :param reason: why.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def invoke(self, configuration: FunctionConfiguration, invocation: Invocation) -> InvocationResult:  # noqa: ARG002
        """Return a result that says why functions are not run."""
        payload = json.dumps({"errorType": "Emulator.FunctionsDisabled", "errorMessage": self._reason})
        return InvocationResult(payload.encode(), is_error=True, log=f"{self._reason}\n")

    def end_all(self) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Do nothing: nothing runs."""


def install(runner: Runner) -> None:
    """Run the functions of this process's moto with *runner* from now on."""
    with _LOCK:
        _RUNNERS.append(runner)
        _PATCHED.invoke = _invoke


def uninstall(runner: Runner) -> None:
    """Undo :func:`install`; moto's own way comes back when no other runner is left."""
    with _LOCK:
        if runner in _RUNNERS:
            _RUNNERS.remove(runner)
        if not _RUNNERS:
            _PATCHED.invoke = _MOTOS_OWN


def _invoke(
    function: LambdaFunction, body: str | bytes, request_headers: Mapping[str, str], response_headers: dict[str, str]
) -> bytes:
    """Stand for moto's own method, by its signature."""
    headers = {name.lower(): value for name, value in dict(request_headers).items()}
    event = body.encode() if isinstance(body, str) else body or b""
    context = headers.get("x-amz-client-context")
    invocation = Invocation(str(uuid4()), event or b"{}", base64.b64decode(context).decode() if context else None)
    runner = _RUNNERS[-1]
    kind = headers.get("x-amz-invocation-type", "RequestResponse")
    if kind == "DryRun":
        return b""
    if kind == "Event":
        Thread(target=_run, args=(runner, function, invocation), name="lambda-event", daemon=True).start()
        return b""
    result = _run(runner, function, invocation)
    response_headers["x-amz-executed-version"] = str(function.version)
    response_headers["x-amz-log-result"] = base64.b64encode(result.log.encode()[-_LOG_TAIL_BYTES:]).decode()
    if result.is_error:
        response_headers["x-amz-function-error"] = "Unhandled"
    return result.payload


def _run(runner: Runner, function: LambdaFunction, invocation: Invocation) -> InvocationResult:
    try:
        result = runner.invoke(_configuration(function), invocation)
    except TooManyInvocationsError as error:
        raise LambdaClientError("TooManyRequestsException", str(error)) from error
    # Whoever asks for the log right after the answer must find it.
    function.logs_backend.ensure_log_group(function.logs_group_name)
    function.save_logs(result.log)
    if result.is_error:
        logger.warning("Function %s failed: %s", function.function_name, result.payload.decode(errors="replace"))
    return result


def _configuration(function: LambdaFunction) -> FunctionConfiguration:
    code = getattr(function, "code_bytes", b"") or b""
    return FunctionConfiguration(
        arn=function.function_arn,
        name=function.function_name,
        version=str(function.version),
        region=function.region,
        runtime=str(function.run_time or function.package_type),
        handler=str(function.handler),
        timeout_seconds=int(function.timeout),
        memory_mb=int(function.memory_size),
        variables=tuple(sorted((str(name), str(value)) for name, value in function.environment_vars.items())),
        credentials=_credentials(function),
        code_sha_256=hashlib.sha256(code).hexdigest(),
        code=code,
    )


def _credentials(function: LambdaFunction) -> tuple[tuple[str, str], ...]:
    """Return the credentials of the function's role where roles are held to their policies; one session serves it."""
    if not is_enforced():
        return ()
    sts = sts_backends[function.account_id][get_partition(function.region)]
    name = function.function_name
    sessions = (each for each in sts.assumed_roles if (each.session_name, each.role_arn) == (name, function.role))
    session = next(sessions, None) or sts.assume_role(function.region, name, function.role, "", _SESSION_SECONDS, "")
    return (
        ("AWS_ACCESS_KEY_ID", session.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", session.secret_access_key),
        ("AWS_SESSION_TOKEN", session.session_token),
    )
