"""
The emulator's own endpoints, under ``/_bda/``: the page, the jobs as JSON, faults, reset.

No bucket can be in their way: a bucket's name has no underscore.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from airflow_bda.emulator.core.objects import StorageError
from airflow_bda.emulator.core.state import EMULATOR
from airflow_bda.emulator.server.page import MOST_ROWS, job_page, jobs_page
from airflow_bda.emulator.server.views import call_counts, job_files, job_report, job_views
from airflow_bda.report import content_security_policy
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from airflow_bda.emulator.server.views import JobView

PATH = "/_bda"
_JOB_PATH = f"{PATH}/jobs/"
_FAULTS_ALLOWED = ("DELETE", "GET", "PUT")
_MOST_FAULT_BYTES = 1_000_000
_HEADERS = {
    # The pages run no scripts and load nothing; whatever a document's text says, a browser stays with that.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


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
    Put the faults of a document in force, in the place of all others.

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
    job_id, _, page = path.partition("/")
    job = next((job for job in job_views() if job.job_id == job_id), None)
    if job is None or page not in {"", "report"}:
        raise NotFound("No such job.")
    return _report(job) if page else _html(job_page(job, job_files(job)))


def _report(job: JobView) -> Response:
    try:
        report = job_report(job)
    except (BdaError, StorageError) as error:
        raise NotFound(f"The results cannot be read: {error}") from error
    if report is None:
        raise NotFound("The job has no results.")
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
