"""Results as tables: JSON Lines, CSV and Parquet files with the rows of ``segments`` and ``fields``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.tables.athena import athena_table
    from airflow_bda.tables.writers import TableWriter, open_table

__all__ = ["TableWriter", "athena_table", "open_table"]

_HOMES = {
    "TableWriter": "airflow_bda.tables.writers",
    "athena_table": "airflow_bda.tables.athena",
    "open_table": "airflow_bda.tables.writers",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
