"""The HTML pages under ``/_bda/``: the jobs, and one job with its results. All that users wrote is escaped."""

from __future__ import annotations

import json
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airflow_bda.emulator.server.views import JobView

_REFRESH_SECONDS = 2
# A page that refreshes itself stays small; /_bda/jobs has them all.
MOST_ROWS = 500
# A browser has trouble with the results of a thousand pages; S3 has the whole file.
_MOST_CHARACTERS = 200_000
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1c2330; background: #fff }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin-top: 2rem } a { color: #0b5cad }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .35rem .7rem .35rem 0 }
td, th { border-bottom: 1px solid #dde2ea; vertical-align: top } td { overflow-wrap: anywhere }
pre { background: #f4f6f9; padding: .8rem; overflow: auto; max-height: 40rem } .quiet { color: #5a6474 }
.status { font-weight: 600; white-space: nowrap } .Success { color: #19733a } .InProgress { color: #0b5cad }
.ClientError, .ServiceError { color: #b3261e }
@media (max-width: 700px) { body { margin: 1rem } table { display: block; overflow-x: auto } td { min-width: 5rem } }
@media (prefers-color-scheme: dark) {
  body { color: #e6e9ef; background: #14181f } td, th { border-color: #333b48 } pre { background: #1e242e }
  a, .InProgress { color: #7db7f5 } .Success { color: #6fd08c } .ClientError, .ServiceError { color: #ff8a80 }
  .quiet { color: #9aa5b5 }
}
"""


def jobs_page(jobs: Iterable[JobView], calls: Mapping[str, int]) -> str:
    """Return the page that lists the jobs, newest first; it refreshes itself."""
    rows = "".join(_job_row(job) for job in reversed(list(jobs)[-MOST_ROWS:]))
    if not rows:
        rows = '<tr><td colspan="6" class="quiet">No jobs yet. They appear here as they are invoked.</td></tr>'
    counts = "".join(f"<tr><td>{escape(name)}</td><td>{count}</td></tr>" for name, count in calls.items())
    return _page(
        "BDA emulator",
        f"""<h1>BDA emulator</h1>
<p class="quiet">Bedrock Data Automation on this machine. Inputs are really read; fields are found by simple rules, not
by a model. The same as JSON: <a href="/_bda/jobs">jobs</a>, <a href="/_bda/faults">faults</a>,
<a href="/_bda/health">health</a>.</p>
<table><thead><tr><th>Status</th><th>Input</th><th>Modality</th><th>Created</th><th>Seconds</th><th>Polls</th></tr>
</thead><tbody>{rows}</tbody></table>
<h2>Calls</h2><table><tbody>{counts or '<tr><td class="quiet">None yet.</td></tr>'}</tbody></table>""",
        refresh=True,
    )


def _job_row(job: JobView) -> str:
    seconds = f"{(job.ended_at - job.created_at).total_seconds():.1f}" if job.ended_at else ""
    problem = f'<br><span class="quiet">{escape(_problem(job))}</span>' if job.error_type else ""
    return (
        f"<tr><td>{_status(job)}{problem}</td>"
        f'<td><a href="/_bda/jobs/{escape(job.job_id)}">{escape(job.input_s3_uri)}</a></td>'
        f"<td>{escape(job.modality)}</td><td>{_time(job.created_at)}</td><td>{seconds}</td>"
        f"<td>{job.polls}</td></tr>"
    )


def job_page(job: JobView, files: Mapping[str, str]) -> str:
    """Return the page of one job, with its results."""
    facts = {
        "Invocation": job.invocation_arn,
        "Input": job.input_s3_uri,
        "Output": job.output_s3_uri,
        "Modality": job.modality,
        "Project": job.project_arn,
        "Blueprints": ", ".join(job.blueprint_arns),
        "Client token": job.client_token,
        "Tags": json.dumps(dict(job.tags), ensure_ascii=False) if job.tags else None,
        "Notes": " ".join(job.notes),
        "Error": _problem(job) if job.error_type else None,
    }
    rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts.items() if value)
    times = (("Created", job.created_at), ("Started", job.started_at), ("Ended", job.ended_at))
    rows += "".join(f"<tr><th>{name}</th><td>{_time(moment)}</td></tr>" for name, moment in times if moment)
    report = f'<p><a href="/_bda/jobs/{escape(job.job_id)}/report">Report: pages, fields and text</a></p>'
    results = ""
    for uri, text in files.items():
        shown = text
        with suppress(ValueError):
            shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        if len(shown) > _MOST_CHARACTERS:
            shown = f"{shown[:_MOST_CHARACTERS]}\n… (cut here)"
        results += f"<details open><summary>{escape(uri)}</summary><pre>{escape(shown)}</pre></details>"
    return _page(
        f"{job.status}: {job.input_s3_uri}",
        f"""<p><a href="/_bda/">All jobs</a></p><h1>{_status(job)}</h1>
{report if job.output_metadata_uri else ""}<table><tbody>{rows}</tbody></table>
<h2>Results</h2>{results or '<p class="quiet">No files.</p>'}""",
        refresh=job.ended_at is None,
    )


def _page(title: str, body: str, *, refresh: bool) -> str:
    again = f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _status(job: JobView) -> str:
    return f'<span class="status {escape(job.status)}">{escape(job.status)}</span>'


def _problem(job: JobView) -> str:
    return f"{job.error_type}: {job.error_message}"


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
