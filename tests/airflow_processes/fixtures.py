"""What the tests on real processes share: one emulator at a fixed port and one Airflow that is pointed at it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow_processes.documents import PlainProcessor
from airflow_processes.eventually import eventually
from airflow_processes.running import RunningAirflow, free_port

from airflow_bda.emulator import EMULATOR, EmulatorSettings
from airflow_bda.emulator.server.server import EmulatorServer, SeedBucket
from airflow_bda.emulator.testing import EmulatorForTests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_bda.emulator.core.faults import FaultPlan
    from airflow_bda.emulator.runtime.job_records import Job
    from airflow_bda.emulator.server.views import JobView

SETTINGS = EmulatorSettings(created_seconds=0, in_progress_seconds=0)


class Service:
    """
    BDA, as a test arranges it.

    :param server: stopped and started again, it keeps its jobs.
    """

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self._emulator = EmulatorForTests(server)
        self._listeners: list[_Listener] = []

    @property
    def environment(self) -> dict[str, str]:
        """How a process is led here."""
        return dict(self._emulator.environment)

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong."""
        return self._emulator.faults

    @property
    def jobs(self) -> list[JobView]:
        """All jobs, oldest first."""
        return self._emulator.jobs

    @property
    def jobs_of_documents(self) -> dict[str, int]:
        """How many jobs each document has."""
        return dict(Counter(job.input_s3_uri.rpartition("/")[2] for job in self.jobs))

    @property
    def calls(self) -> dict[str, int]:
        """How often each operation was called."""
        return self._emulator.calls

    def upload(self, *keys: str) -> None:
        """Put documents into the bucket for inputs."""
        for key in keys:
            self._emulator.upload(b"a document", key, bucket="inputs")

    def configure(self, **settings: Any) -> None:
        """Change how jobs go."""
        EMULATOR.configure(replace(SETTINGS, **settings), processor=self._processor)

    def hold_jobs(self) -> None:
        """Keep jobs in progress until they are let go."""
        self._processor.gate.clear()

    def let_jobs_go(self) -> None:
        """Let jobs end."""
        self._processor.gate.set()

    def on_job_created(self, do: Callable[[Job], None]) -> None:
        """Do something when a job exists, before the caller has the answer."""
        listener = _Listener(do)
        self._listeners.append(listener)
        EMULATOR.listeners.append(listener)

    def wait_for_jobs(self, count: int) -> list[JobView]:
        """Wait until there are that many jobs."""
        eventually(lambda: len(self.jobs) >= count, what=f"{count} jobs exist")
        return self.jobs

    def wait_for_polls(self, job: JobView, more_than: int = 0) -> None:
        """Wait until a job's status was asked for."""
        eventually(
            lambda: any(other.polls > more_than for other in self.jobs if other.job_id == job.job_id),
            what=f"{job.invocation_arn} is asked for",
        )

    def reset(self) -> None:
        """Be empty and healthy."""
        for listener in self._listeners:
            EMULATOR.listeners.remove(listener)
        self._listeners.clear()
        self.server.reset()
        self._processor = PlainProcessor()
        self.configure()


class _Listener:
    def __init__(self, do: Callable[[Job], None]) -> None:
        self._do = do

    def job_created(self, job: Job) -> None:
        self._do(job)

    def job_ended(self, job: Job) -> None:
        """No status is asked for."""


@pytest.fixture(scope="session")
def bda_server() -> Iterator[EmulatorServer]:
    """Run an emulator that can be stopped and found again at the same port."""
    with EmulatorServer(port=free_port(), seed_buckets=(SeedBucket("inputs"), SeedBucket("outputs"))) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, bda_server: EmulatorServer
) -> Iterator[RunningAirflow]:
    """Start an Airflow, shared by the tests of a file: that takes a quarter of a minute, and its idling costs too."""
    running = RunningAirflow(
        tmp_path_factory.mktemp("airflow"), database=migrated_database, environment=Service(bda_server).environment
    )
    try:
        running.start()
        yield running
    finally:
        running.end()


@pytest.fixture
def service(bda_server: EmulatorServer) -> Iterator[Service]:
    """BDA, empty and healthy."""
    service = Service(bda_server)
    service.reset()
    yield service
    service.let_jobs_go()
    service.reset()
    EMULATOR.configure()
