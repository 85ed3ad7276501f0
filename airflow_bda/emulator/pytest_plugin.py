"""
The fixture ``bda_emulator``: BDA, S3 and the rest of AWS on this machine, for the tests of one's own DAGs.

Every pytest run where this package is installed imports this module: it loads nothing until a test uses the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.emulator.server.server import EmulatorServer
    from airflow_bda.emulator.testing import EmulatorForTests


@pytest.fixture(scope="session")
def bda_emulator_server() -> Iterator[EmulatorServer]:
    """One server for all tests of the run, on a free port of this machine."""
    try:
        from airflow_bda.emulator.server.server import EmulatorServer
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}. The fixture bda_emulator needs: pip install 'airflow-provider-bda[local]'")
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def bda_emulator(bda_emulator_server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorForTests]:
    """
    Return an emulator that is empty, with default settings and no faults.

    While the test runs, the AWS SDKs and Airflow's connection ``aws_default`` lead to it, by environment variables.
    """
    from airflow_bda.emulator.testing import EmulatorForTests, misleading_environment

    for name in misleading_environment():
        monkeypatch.delenv(name)
    emulator = EmulatorForTests(bda_emulator_server)
    emulator.reset()
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    yield emulator
    emulator.reset()
