"""
BDA on a laptop: a moto backend, a server, a pytest fixture. Import it and ``mock_aws`` knows BDA.

Importing it costs next to nothing: moto itself is loaded by whoever asks for a name below, or for ``mock_aws``.
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
