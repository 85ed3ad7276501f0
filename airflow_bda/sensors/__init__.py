"""Sensors that wait for data automation jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.sensors.bda import BdaStatusSensor

__all__ = ["BdaStatusSensor"]

__getattr__ = names_of(__name__, {"BdaStatusSensor": "bda"})
