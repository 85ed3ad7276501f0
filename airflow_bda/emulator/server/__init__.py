"""The emulator as a server: one endpoint for BDA and moto's services, its own pages, and the command that starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.emulator.server.server import EmulatorServer, EmulatorStartError, SeedBucket

__all__ = ["EmulatorServer", "EmulatorStartError", "SeedBucket"]

# Late: the command's options are read without moto.
__getattr__ = names_of(__name__, dict.fromkeys(__all__, "server"))
