"""Results as tables: JSON Lines, CSV and Parquet files with the rows of ``segments`` and ``fields``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.tables.writers import TableWriter, athena_table, open_table

__all__ = ["TableWriter", "athena_table", "open_table"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.writers"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
