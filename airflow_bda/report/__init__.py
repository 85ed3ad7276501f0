"""Results as one HTML page: pages with boxes over fields and words, texts, transcripts, changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda.report.data import LOW, SURE, ReportedJob, report_data
from airflow_bda.report.page import build_page

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["LOW", "SURE", "ReportedJob", "build_report", "write_report"]


def build_report(jobs: Iterable[ReportedJob], *, title: str | None = None, sure: float = SURE, low: float = LOW) -> str:
    """
    Return a report on jobs as one HTML page, which loads nothing from anywhere.

    :param jobs: what to show, each with its result.
    :param title: the heading; None takes the document's name, or how many documents there are.
    :param sure: confidences from here on are shown as sure (0 to 1).
    :param low: confidences below are shown as low (0 to 1).
    """
    data = report_data(jobs, sure=sure, low=low)
    documents = data["documents"]
    if title is None:
        title = documents[0]["name"] if len(documents) == 1 else f"{len(documents)} documents"
    return build_page(title, data)


def write_report(
    file: Path, jobs: Iterable[ReportedJob], *, title: str | None = None, sure: float = SURE, low: float = LOW
) -> None:
    """
    Write a report to a file, as a whole or not at all; see :func:`build_report`.

    :raises OSError: where the file cannot be written.
    """
    text = build_report(jobs, title=title, sure=sure, low=low)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
