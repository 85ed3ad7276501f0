"""A stack of docker-compose.yaml, as a project of its own beside the user's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rows import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT = "airflow-bda-test"
PATIENCE_SECONDS = 600
_MEBIBYTES = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 2.0**10}


class StackError(Exception):
    """The stack did not do what it should; the text says what and, where it is known, how to correct it."""


class ComposedStack:
    """
    Starts and ends the stack.

    :param profiles: which of the file's profiles are up.
    :param settings: variables of ``.env``; the user's own file and shell are not looked at.
    """

    def __init__(self, *profiles: str, settings: Mapping[str, str]) -> None:
        self._command = _compose_command()
        self._profiles = [f"--profile={profile}" for profile in profiles]
        self._folder = tempfile.TemporaryDirectory(prefix="airflow-bda-stack-")
        self._env_file = Path(self._folder.name) / "env"
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def compose(self, *arguments: str, profiles: Sequence[str] | None = None) -> None:
        """
        Run a command of compose, whose words go to the terminal.

        :param profiles: options of profiles that differ from the stack's own.
        """
        chosen = self._profiles if profiles is None else profiles
        own = [f"--project-name={PROJECT}", f"--env-file={self._env_file}", *chosen]
        ended = subprocess.run([*self._command, *own, *arguments], cwd=ROOT, env=_environment(), check=False)
        if ended.returncode:
            raise StackError(f"`{' '.join([*self._command, *arguments])}` failed; what it says stands above")

    def build(self) -> None:
        """Build the image from the source tree; all services have the same one."""
        self.compose("build", "migrate")

    def up(self) -> float:
        """Start everything, and give the seconds until all of it was healthy."""
        began = time.monotonic()
        self.compose("up", "--detach")
        while waiting := self._not_ready():
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise StackError(f"not healthy after {PATIENCE_SECONDS} s: {', '.join(waiting)}")
            time.sleep(1)
        return time.monotonic() - began

    def down(self) -> None:
        """Remove containers, networks and volumes, whatever state they are in."""
        self.compose("down", "--volumes", "--remove-orphans", profiles=["--profile=celery", "--profile=events"])
        self._folder.cleanup()

    def write_logs(self, file: Path) -> None:
        """Keep what all containers said."""
        with file.open("wb") as stream:
            for container in self._containers():
                stream.write(f"\n=== {_service(container)}\n".encode())
                stream.flush()
                said = ["docker", "logs", "--timestamps", container["Id"]]
                subprocess.run(said, stdout=stream, stderr=subprocess.STDOUT, check=False)

    def memory(self) -> dict[str, float]:
        """Return the memory that each container's processes use, in MiB, without the files that Linux keeps cached."""
        ids = [container["Id"] for container in self._containers() if container["State"]["Running"]]
        lines = _docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *ids).splitlines()
        return {name: _mebibytes(used) for name, used, *_ in map(str.split, lines)}

    def users(self) -> dict[str, str]:
        """Return the user of each container's first process."""
        running = [container for container in self._containers() if container["State"]["Running"]]
        return {_service(found): found["Config"]["User"] for found in running}

    def _not_ready(self) -> list[str]:
        """
        List the services that still begin, with their state.

        :raises StackError: for one that has failed.
        """
        waiting = []
        for container in self._containers():
            name, state = _service(container), container["State"]
            health = state.get("Health", {}).get("Status")
            if state["Status"] == "exited" and state["ExitCode"]:
                raise StackError(f"{name} ended with status {state['ExitCode']}")
            if state["Status"] != "exited" and health != "healthy":
                waiting.append(f"{name} is {health or state['Status']}")
        return waiting

    def _containers(self) -> list[dict[str, Any]]:
        ids = _docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        return json.loads(_docker("inspect", *ids)) if ids else []


def free_port() -> int:
    """Find a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _compose_command() -> list[str]:
    """
    Find compose.

    :raises StackError: where there is none, or no Docker to work with.
    """
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        raise StackError(
            "Docker is not there or does not answer to you: `docker info` should work. Start or install it"
        )
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    raise StackError("There is neither `docker compose` nor `docker-compose`: install Docker's compose plugin")


def _environment() -> dict[str, str]:
    """Leave out what would be taken for settings of the stack."""
    settings = ("AIRFLOW_", "AWS_", "BDA_", "COMPOSE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def _service(container: Mapping[str, Any]) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def _mebibytes(text: str) -> float:
    number = text.rstrip("BGKMi")
    return float(number) * _MEBIBYTES[text.removeprefix(number)]
