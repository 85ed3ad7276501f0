"""
Running functions: each in processes of its own, of which some stay warm.

They find the libraries that Lambda's Python runtime has, and no others, from this machine's installed ones. A function
that imports anything else must bring it in its zip, here as on AWS.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from threading import BoundedSemaphore, RLock
from typing import TYPE_CHECKING

from airflow_bda.emulator.aws.functions.configuration import FunctionConfiguration, Invocation, InvocationResult
from airflow_bda.emulator.aws.functions.environment import CodeError, ExecutionEnvironment

if TYPE_CHECKING:
    from airflow_bda.emulator.aws.functions.environment import ClientVariables

# Each is a Python process with boto3 in it, so a laptop has room for some dozens.
MOST_AT_ONCE = 32
MOST_WARM_OF_A_FUNCTION = 4
# https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-dependencies: the AWS SDK and what it
# needs. Below it, the runtime client and what that needs.
_NAMES = (
    *("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"),
    *("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"),
)


class MissingLibraryError(Exception):
    """Functions cannot be run with what is installed."""


class TooManyInvocationsError(Exception):
    """More invocations at once than a laptop should have; Lambda has such a limit too."""


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
        link = folder / (source.name if source.suffix else name)
        link.symlink_to(source, target_is_directory=source.is_dir())


def _source(name: str) -> Path:
    """Return a package's folder or a module's file."""
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin)
        # By its file: six, a module, calls itself a package once it is imported.
        return file.parent if file.name == "__init__.py" else file
    if name == "runtime_client":
        return Path(__file__).with_name("runtime_client.py")
    raise MissingLibraryError(f"{name} is not installed; functions need: pip install 'airflow-provider-bda[local]'")
