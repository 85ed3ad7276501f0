"""
The emulator's own endpoints, under ``/_bda/``: the pages, the jobs as JSON, faults, reset.

No bucket can be in their way: a bucket's name has no underscore. All that users wrote is escaped in the pages.
"""

from __future__ import annotations

import json
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.core.objects import StorageError
from airflow_bda.emulator.server.views import call_counts, job_files, job_report, job_views
from airflow_bda.report import content_security_policy
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from wsgiref.types import StartResponse, WSGIEnvironment

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
@media (max-width: 700px) {
  body { margin: 1rem } .jobs thead { display: none } .jobs, .jobs tbody { display: block }
  .jobs tr { display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: .5rem 0; border-bottom: 1px solid #dde2ea }
  .jobs td { border: 0; padding: 0 } .jobs td:nth-child(2) { order: -1; flex-basis: 100% }
  .jobs td[data-name]::before { content: attr(data-name) " " }
}
@media (prefers-color-scheme: dark) {
  body { color: #e6e9ef; background: #14181f } td, th, .jobs tr { border-color: #333b48 } pre { background: #1e242e }
  a, .InProgress { color: #7db7f5 } .Success { color: #6fd08c } .ClientError, .ServiceError { color: #ff8a80 }
  .quiet { color: #9aa5b5 }
}
"""
PATH = "/_bda"
_JOB_PATH = f"{PATH}/jobs/"
_FAULTS_ALLOWED = ("DELETE", "GET", "PUT")
_MOST_FAULT_BYTES = 1_000_000
# As many as a task reports on. The ids stand in the address, with commas between them.
_MOST_REPORTED = 20
_HEADERS = {
    # The pages run no scripts and load nothing; whatever a document's text says, a browser stays with that.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


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
<table class="jobs"><thead><tr><th>Status</th><th>Input</th><th>Modality</th><th>Created</th><th>Seconds</th>
<th>Polls</th></tr></thead><tbody>{rows}</tbody></table>
<h2>Calls</h2><table><tbody>{counts or '<tr><td class="quiet">None yet.</td></tr>'}</tbody></table>""",
        refresh=True,
    )


def _job_row(job: JobView) -> str:
    seconds = f"{(job.ended_at - job.created_at).total_seconds():.1f}" if job.ended_at else ""
    problem = f'<br><span class="quiet">{escape(_problem(job))}</span>' if job.error_type else ""
    return (
        f"<tr><td>{_status(job)}{problem}</td>"
        f'<td><a href="/_bda/jobs/{escape(job.job_id)}">{escape(job.input_s3_uri)}</a></td>'
        f'<td>{escape(job.modality)}</td><td>{_time(job.created_at)}</td><td data-name="Seconds">{seconds}</td>'
        f'<td data-name="Polls">{job.polls}</td></tr>'
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


class ControlApp:
    """
    The WSGI application behind ``/_bda/``.

    :param reset: empties the emulator.
    """

    def __init__(self, reset: Callable[[], None]) -> None:
        self._reset = reset

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        try:
            response = self._answer(request)
        except HTTPException as error:
            response = _json({"error": error.description}, status=error.code or 500)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path == f"{PATH}/faults":
            return _faults(request)
        if path == f"{PATH}/reset":
            _require(request, "POST")
            self._reset()
            return _json({"status": "reset"})
        _require(request, "GET", "HEAD")
        if path == PATH:
            return _html(jobs_page(job_views(newest=MOST_ROWS), call_counts()))
        if path == f"{PATH}/jobs":
            jobs = [job.to_json() for job in job_views()]
            return _json({"job_count": len(jobs), "calls": call_counts(), "jobs": jobs})
        if path == f"{PATH}/health":
            return _json({"status": "ok", "settings": EMULATOR.settings.to_json()})
        if path.startswith(_JOB_PATH):
            return _job(path.removeprefix(_JOB_PATH))
        raise NotFound(f"Nothing at {path}; there are /_bda/, jobs, jobs/<id>, faults, reset and health.")


def _faults(request: Request) -> Response:
    _require(request, *_FAULTS_ALLOWED)
    if request.method == "DELETE":
        EMULATOR.faults.clear()
    elif request.method == "PUT":
        _set_faults(request)
    return _json(EMULATOR.faults.to_json())


def _set_faults(request: Request) -> None:
    # A web page may send plain text anywhere without asking first; JSON it may not.
    if request.mimetype != "application/json":
        raise BadRequest("Send the faults as Content-Type: application/json.")
    if (request.content_length or 0) > _MOST_FAULT_BYTES:
        raise RequestEntityTooLarge(f"Faults may have {_MOST_FAULT_BYTES} bytes.")
    try:
        set_faults(json.loads(request.get_data()))
    except RecursionError as error:
        raise BadRequest("The faults are nested too deeply.") from error
    except ValueError as error:
        raise BadRequest(str(error)) from error


def set_faults(document: Any) -> None:
    """
    Replace all faults in force by those of a document.

    :param document: ``{"seed": 0, "faults": [{"kind": "throttling", "times": 3}, …]}``.
    :raises ValueError: when it is not such a document.
    """
    faults = document.get("faults") if isinstance(document, dict) else None
    if not isinstance(faults, list) or not all(isinstance(fault, dict) for fault in faults):
        raise ValueError('faults must be an object such as {"seed": 0, "faults": [{"kind": "throttling"}]}')
    try:
        EMULATOR.faults.set(faults, seed=document.get("seed", 0))
    except TypeError as error:
        raise ValueError(f"a member of a fault has the wrong type: {error}") from error


def _job(path: str) -> Response:
    ids, _, page = path.partition("/")
    known = {job.job_id: job for job in job_views()}
    if page == "report":
        jobs = [known[job_id] for job_id in dict.fromkeys(ids.split(",")) if job_id in known]
        if 0 < len(jobs) <= _MOST_REPORTED:
            return _report(jobs)
    elif not page and ids in known:
        return _html(job_page(known[ids], job_files(known[ids])))
    raise NotFound("No such job.")


def _report(jobs: Sequence[JobView]) -> Response:
    try:
        report = job_report(jobs)
    except (BdaError, StorageError) as error:
        raise NotFound(f"The results cannot be read: {error}") from error
    if report is None:
        raise NotFound("There are no results.")
    response = _html(report)
    response.headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-ancestors 'none'"
    return response


def _require(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(methods, f"{request.path} takes {', '.join(methods)}.")


def _json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document, indent=2), status=status, content_type="application/json")


def _html(text: str) -> Response:
    return Response(text, content_type="text/html; charset=utf-8")
