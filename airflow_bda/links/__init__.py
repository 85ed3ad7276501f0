"""Links from a task to its job's input and output in the AWS console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.links.bda import BdaInputLink, BdaOutputLink, BdaReportLink

__all__ = ["BdaInputLink", "BdaOutputLink", "BdaReportLink"]

__getattr__ = names_of(__name__, dict.fromkeys(__all__, "bda"))
