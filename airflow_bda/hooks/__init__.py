"""Talking to BDA through an Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.hooks.bda import BdaHook

__all__ = ["BdaHook"]


def __getattr__(name: str) -> Any:
    if name == "BdaHook":
        from airflow_bda.hooks.bda import BdaHook

        return BdaHook
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
