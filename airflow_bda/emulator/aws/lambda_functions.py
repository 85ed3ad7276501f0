"""
Lambda functions that really run: what is uploaded to moto's Lambda, in processes of this machine, without Docker.

moto would start a container. What it keeps (functions, versions, event sources, logs) stays moto's; while the
emulator's server runs, an invocation goes to the runner in this module.

A function runs under AWS's own runtime client, with the limits, the time and the environment that it was given, and
its AWS clients lead back to the emulator. Its Python is the emulator's own, whatever version it asks for. It finds the
libraries that Lambda's Python runtime has, from what is installed on this machine, and no others. It runs as the user
who started the emulator, with that user's rights: there is no sandbox. So it runs only where no other machine reaches
the emulator, unless that is asked for.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import logging
import shutil
import tempfile
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from threading import BoundedSemaphore, RLock, Thread
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from airflow_bda.emulator.aws.iam_callers import is_enforced
from airflow_bda.emulator.aws.lambda_process import (
    CodeError,
    ExecutionEnvironment,
    FunctionConfiguration,
    Invocation,
    InvocationResult,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.aws.lambda_process import ClientVariables

logger = logging.getLogger(__name__)

# Each is a Python process with boto3 in it, so one machine has memory for some dozens.
MOST_AT_ONCE = 32
MOST_WARM_OF_A_FUNCTION = 4
# https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-dependencies: the AWS SDK and what it
# needs. Below it, the runtime client and what that needs.
_NAMES = (
    *("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"),
    *("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"),
)

_LOG_TAIL_BYTES = 4096
_SESSION_SECONDS = 3600
_LOCK = RLock()
# As an attribute of a value that is not typed: to replace a method of another's class is what this is about.
_PATCHED: Any = LambdaFunction
_MOTOS_OWN = LambdaFunction.invoke
_RUNNERS: list[Runner] = []


class MissingLibraryError(Exception):
    """Functions cannot be run with what is installed."""


class TooManyInvocationsError(Exception):
    """More invocations at once than the emulator runs; Lambda has such a limit too."""


class FunctionRunner:
    """
    Runs functions. Close it to end their processes.

    :param client_variables: returns the environment variables that lead AWS clients of a region to the emulator.
    """

    def __init__(self, client_variables: ClientVariables) -> None:
        self._client_variables = client_variables
        self._lock = RLock()
        self._places = BoundedSemaphore(MOST_AT_ONCE)
        self._warm: dict[str, list[ExecutionEnvironment]] = defaultdict(list)
        self._open: set[ExecutionEnvironment] = set()
        self._libraries: Path | None = None
        atexit.register(self.close)

    def invoke(self, configuration: FunctionConfiguration, invocation: Invocation) -> InvocationResult:
        """
        Run a function once.

        :raises TooManyInvocationsError: when too many run already.
        """
        if not self._places.acquire(blocking=False):
            raise TooManyInvocationsError(f"{MOST_AT_ONCE} invocations are running")
        try:
            environment = self._take(configuration)
        except (CodeError, MissingLibraryError) as error:
            message = f"The emulator cannot run {configuration.name}: {error}."
            payload = json.dumps({"errorType": "Runtime.InvalidEntrypoint", "errorMessage": message})
            return InvocationResult(payload.encode(), is_error=True, log=f"{message}\n")
        else:
            try:
                return environment.invoke(invocation)
            finally:
                self._give_back(environment)
        finally:
            self._places.release()

    def end_all(self) -> None:
        """End every process; functions that are invoked later get new ones."""
        with self._lock:
            environments = list(self._open)
            self._open.clear()
            self._warm.clear()
        for environment in environments:
            environment.close()

    def close(self) -> None:
        """End every process, and leave nothing behind."""
        self.end_all()
        atexit.unregister(self.close)
        with self._lock:
            if self._libraries is not None:
                shutil.rmtree(self._libraries, ignore_errors=True)
                self._libraries = None

    def _take(self, configuration: FunctionConfiguration) -> ExecutionEnvironment:
        stale = []
        try:
            with self._lock:
                warm = self._warm[configuration.arn + configuration.version]
                while warm:
                    environment = warm.pop()
                    if environment.configuration == configuration and environment.is_alive:
                        return environment
                    stale.append(environment)
                    self._open.discard(environment)
                libraries = self._linked_libraries()
        finally:
            for environment in stale:
                environment.close()
        environment = ExecutionEnvironment(configuration, libraries=libraries, client_variables=self._client_variables)
        with self._lock:
            self._open.add(environment)
        return environment

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            warm = self._warm[environment.configuration.arn + environment.configuration.version]
            # What is not open any more was ended meanwhile, with all others.
            if environment in self._open and environment.is_alive and len(warm) < MOST_WARM_OF_A_FUNCTION:
                warm.append(environment)
                return
            self._open.discard(environment)
        environment.close()

    def _linked_libraries(self) -> Path:
        if self._libraries is None:
            folder = Path(tempfile.mkdtemp(prefix="bda-lambda-libraries-"))
            try:
                link_libraries(folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._libraries = folder
        return self._libraries


def link_libraries(folder: Path) -> None:
    """
    Fill *folder* with links to the libraries.

    :raises MissingLibraryError: names one that is not installed.
    """
    for name in _NAMES:
        source = _source(name)
        # By the name that it is imported by; the end of a native module's file name says what it was built for.
        link = folder / (name + "".join(source.suffixes))
        link.symlink_to(source, target_is_directory=source.is_dir())


def _source(name: str) -> Path:
    """Return a package's folder or a module's file."""
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin)
        # By its file: six, a module, calls itself a package once it is imported.
        return file.parent if file.name == "__init__.py" else file
    if name == "runtime_client":
        return Path(__file__).with_name("lambda_child.py")
    raise MissingLibraryError(f"{name} is not installed; functions need: pip install 'airflow-provider-bda[local]'")


class Runner(Protocol):
    """Runs functions (:class:`~airflow_bda.emulator.aws.lambda_functions.FunctionRunner`), or returns why it cannot."""

    def invoke(self, configuration: FunctionConfiguration, invocation: Invocation) -> InvocationResult:
        """Run a function once."""


class Refusal:
    """
    Runs no function: each invocation fails with the reason.

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
    """Replace moto's own method, with its signature."""
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
    # Before the answer: a caller may read the log right after it.
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
