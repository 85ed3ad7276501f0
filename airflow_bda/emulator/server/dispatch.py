"""Which part of the emulator a request is for: its own endpoints, BDA, or another of moto's services."""

from __future__ import annotations

import io
import json
import re
import socket
from html import escape
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ConnectionClosedError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Response

from airflow_bda.emulator.control_plane.api import TAG_PATHS, is_path
from airflow_bda.emulator.core.errors import unknown_region
from airflow_bda.emulator.core.registration import BACKEND_NAME, bda_regions
from airflow_bda.emulator.runtime.api import TARGET_PREFIX
from airflow_bda.emulator.server import control

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from airflow_bda.emulator.server.gate import Gate

# moto only needs it to find the backend; a request's own region is read from its signature later.
_BDA_HOST = "bedrock-data-automation-runtime.us-east-1.amazonaws.com"
_CONTROL_HOST = "bedrock-data-automation.us-east-1.amazonaws.com"
_SCOPE = re.compile(r"Credential=[^/,]*/\d+/(?P<region>[^/]*)/(?P<service>[^/]*)/aws4_request")
# The services that answer in XML; the others' clients read JSON.
_XML_SERVICES = frozenset({"s3", "sts", "iam", "ec2", "cloudformation", "sns", "autoscaling", "elasticloadbalancing"})
# Whose things Bedrock itself tags; everything else at those paths is BDA's, odd ARNs too.
_TAGGED_BY_BEDROCK = re.compile(
    r":(agent|agent-alias|async-invoke|custom-model|custom-model-deployment|evaluation-job|flow|guardrail|"
    r"imported-model|inference-profile|knowledge-base|model-[a-z-]+|prompt|prompt-router|provisioned-model)/"
)
# A page that is stored as an object is shown, but runs nothing: its scripts would have the emulator's own origin.
_HEADERS_OF_OBJECTS = [("Content-Security-Policy", "sandbox"), ("X-Content-Type-Options", "nosniff")]
_MOST_TAG_BYTES = 1_000_000


class Dispatcher(DomainDispatcherApplication):
    """
    moto's dispatcher, which also knows BDA, the emulator's own endpoints, and how to break a connection.

    :param control_app: what answers under ``/_bda/``.
    :param gate: decides which requests come in at all.
    """

    def __init__(self, control_app: control.ControlApp, gate: Gate) -> None:
        super().__init__(create_backend_app)
        self._control_app = control_app
        self._gate = gate

    def infer_service_region_host(self, environ: dict[str, Any], path: str) -> str | None:
        """Find BDA by its target: all of Bedrock signs for ``bedrock``, from which moto cannot tell it."""
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith(f"{TARGET_PREFIX}."):
            return _BDA_HOST
        # The control plane has no target; its paths are its own, but for those of tags.
        if "/bedrock/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
            own_path = environ.get("PATH_INFO", "")
            if is_path(own_path) or (own_path in TAG_PATHS and not _TAGGED_BY_BEDROCK.search(_body(environ))):
                return _CONTROL_HOST
        return super().infer_service_region_host(environ, path)

    def get_backend_for_host(self, host: str | None) -> Any:
        """Name the backend; for BDA at once, where moto would first list its own folders on disk for every poll."""
        return BACKEND_NAME if host == _BDA_HOST else super().get_backend_for_host(host)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, or refuse it, or break its connection where a fault says so."""
        if reason := self._gate.refusal(environ):
            return Response(f"{reason}\n", status=403, content_type="text/plain")(environ, start_response)
        # What moto makes of a request's address begins with this header.
        environ["HTTP_HOST"] = environ["HTTP_HOST"].rpartition("://")[2]
        path = environ.get("PATH_INFO", "")
        if path == control.PATH or path.startswith(f"{control.PATH}/"):
            return self._control_app(environ, start_response)
        if refusal := _refuse_unknown_region(environ):
            return refusal(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *_HEADERS_OF_OBJECTS], *rest)

        try:
            answer: Iterable[bytes] = super().__call__(environ, start)
        except ConnectionClosedError as error:
            # The server's socket: closing it without a word is what a client sees as a lost connection.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("dropped on request") from error
        return answer


def _body(environ: WSGIEnvironment) -> str:
    """Read the request's body, and leave it to be read again."""
    try:
        size = min(int(environ.get("CONTENT_LENGTH") or 0), _MOST_TAG_BYTES)
    except ValueError:
        return ""
    body = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    return str(body.decode(errors="replace"))


def _refuse_unknown_region(environ: WSGIEnvironment) -> Response | None:
    """Answer for a region that AWS does not have, in the form that the service's clients read."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None or scope["region"] in bda_regions() or scope["region"].endswith("-global"):
        return None
    error = unknown_region(scope["region"])
    if scope["service"] in _XML_SERVICES:
        inner = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        # S3's errors stand by themselves; the others' in an ErrorResponse.
        document = inner if scope["service"] == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>"
        return Response(document, status=error.http_status, content_type="application/xml")
    return Response(
        json.dumps({"__type": error.code, "message": error.message}),
        status=error.http_status,
        content_type="application/json",
        headers={"x-amzn-ErrorType": error.code},
    )
