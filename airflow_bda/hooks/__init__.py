"""Call BDA through an Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.hooks.bda import BdaHook

__all__ = ["BdaHook"]

__getattr__ = names_of(__name__, {"BdaHook": "bda"})
