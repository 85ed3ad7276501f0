"""The files that a job leaves, parsed: the metadata, the standard output and the custom output of each segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.service.results.job_result import JobResult, SegmentResult, assemble_result

__all__ = ["JobResult", "SegmentResult", "assemble_result"]

__getattr__ = names_of(__name__, dict.fromkeys(__all__, "job_result"))
