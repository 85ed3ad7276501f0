"""Waiting for data automation jobs in a task of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.sensors.bda import BdaStatusSensor

__all__ = ["BdaStatusSensor"]


def __getattr__(name: str) -> Any:
    if name == "BdaStatusSensor":
        from airflow_bda.sensors.bda import BdaStatusSensor

        return BdaStatusSensor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
