"""Waiting for data automation jobs in the triggerer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.triggers.bda import BdaStatusTrigger

__all__ = ["BdaStatusTrigger"]


def __getattr__(name: str) -> Any:
    if name == "BdaStatusTrigger":
        from airflow_bda.triggers.bda import BdaStatusTrigger

        return BdaStatusTrigger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
