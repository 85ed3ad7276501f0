"""Links from a task to its job's input and output in the AWS console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.links.bda import BdaInputLink, BdaOutputLink

__all__ = ["BdaInputLink", "BdaOutputLink"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from airflow_bda.links import bda

        return getattr(bda, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
