"""
BDA on one machine: a moto backend, a server, a pytest fixture. Importing it adds BDA to ``mock_aws``.

Importing it is cheap: moto itself is loaded with the first of the names below, or with ``mock_aws``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of
from airflow_bda.emulator.core.registration import register

if TYPE_CHECKING:
    from airflow_bda.emulator.core.emulator import EMULATOR, Emulator, EmulatorSettings
    from airflow_bda.emulator.core.faults import Fault, FaultKind
    from airflow_bda.emulator.server.server import EmulatorServer

__all__ = ["EMULATOR", "Emulator", "EmulatorServer", "EmulatorSettings", "Fault", "FaultKind"]

_MODULE_OF_NAME = {
    "EMULATOR": "core.emulator",
    "Emulator": "core.emulator",
    "EmulatorServer": "server.server",
    "EmulatorSettings": "core.emulator",
    "Fault": "core.faults",
    "FaultKind": "core.faults",
}

register()

__getattr__ = names_of(__name__, _MODULE_OF_NAME)
