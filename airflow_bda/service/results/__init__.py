"""The files that a job leaves, parsed: the metadata, the standard output and the custom output of each segment."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.service.results.job_result import JobResult, SegmentResult, assemble_result

__all__ = ["JobResult", "SegmentResult", "assemble_result"]

_HOMES = {
    "JobResult": "airflow_bda.service.results.job_result",
    "SegmentResult": "airflow_bda.service.results.job_result",
    "assemble_result": "airflow_bda.service.results.job_result",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
