"""
Results as one HTML page: pages with boxes over fields and words, texts, transcripts, changes.

The page is self-contained: styles, script, data and pictures are in the file, and its content security policy allows no
more than those, by their digests. Texts from documents are JSON that the script reads, never markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from airflow_bda.report.data import LOW, SURE, ReportedJob, report_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
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
    return Template(_asset("report.html")).substitute(
        title=escape(title),
        policy=content_security_policy(),
        style=_asset("report.css"),
        script=_asset("report.js"),
        data=_json(data),
    )


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


@cache
def content_security_policy() -> str:
    """Return the policy of every report, for servers that send it as a header as well."""
    style, script = (_digest(_asset(name)) for name in ("report.css", "report.js"))
    return (
        f"default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script element around it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escaped in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(character, escaped)
    return text


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return (resources.files("airflow_bda.report") / "assets" / name).read_text(encoding="utf-8")
