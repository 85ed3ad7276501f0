"""The emulator as a server: one endpoint for BDA and moto's services, its own pages, and the command that starts it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.emulator.server.server import EmulatorServer, EmulatorStartError, SeedBucket

__all__ = ["EmulatorServer", "EmulatorStartError", "SeedBucket"]


def __getattr__(name: str) -> Any:
    # Late: the command's options are read without moto.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.server"), name)
