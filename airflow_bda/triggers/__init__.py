"""Triggers that wait for data automation jobs, or for their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.triggers.bda import BdaStatusTrigger
    from airflow_bda.triggers.bda_batch import BdaBatchTrigger
    from airflow_bda.triggers.bda_events import BdaJobEventTrigger

__all__ = ["BdaBatchTrigger", "BdaJobEventTrigger", "BdaStatusTrigger"]

_MODULES = {"BdaBatchTrigger": "bda_batch", "BdaJobEventTrigger": "bda_events", "BdaStatusTrigger": "bda"}

__getattr__ = names_of(__name__, _MODULES)
