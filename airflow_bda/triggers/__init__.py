"""Waiting for data automation jobs in the triggerer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.triggers.bda import BdaStatusTrigger
    from airflow_bda.triggers.bda_batch import BdaBatchTrigger
    from airflow_bda.triggers.bda_events import BdaJobEventTrigger

__all__ = ["BdaBatchTrigger", "BdaJobEventTrigger", "BdaStatusTrigger"]

_MODULES = {"BdaBatchTrigger": "bda_batch", "BdaJobEventTrigger": "bda_events", "BdaStatusTrigger": "bda"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
