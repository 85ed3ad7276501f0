"""
What happens to a request first: whether it may come in, and which part of the emulator answers it.

The parts are the emulator's own endpoints, BDA, and the other services of moto.

The emulator checks no signatures, holds people's documents and may run functions, and a browser on the same machine
can reach it. So programs may call it by one of its names, and no web page of another site may. Three ways are closed
before any request is dispatched:

- A name of the attacker's that leads to this machine (DNS rebinding) makes the attacker's page the same site: the
  ``Host`` header must be one of the emulator's own names.
- A page of another site sends requests without being able to read the answers: ``Origin``, ``Sec-Fetch-Site`` and
  ``Referer`` show that a request comes from such a page.
- Where a browser sends none of the three (a plain GET to an address that is not this machine's loopback), nothing may
  change: AWS's query protocol, which changes things by GET too, needs a signature in a header, which no image or link
  can send.
"""

from __future__ import annotations

import io
import ipaddress
import json
import re
import socket
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import ConnectionClosedError
from flask import request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Response

from airflow_bda.emulator.control_plane.control_api import TAG_PATHS, is_path
from airflow_bda.emulator.core.api_errors import ApiError, unknown_operation, unknown_region
from airflow_bda.emulator.core.registration import BACKEND_NAME, bda_regions
from airflow_bda.emulator.runtime.runtime_api import TARGET_PREFIX
from airflow_bda.emulator.server.own_endpoints import PATH, ControlApp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

_LOOPBACK_NAMES = frozenset({"localhost"})
# What Docker Desktop calls this machine from within a container; no one can register a name under .internal.
_DOCKERS_NAME = "host.docker.internal"
_READING = frozenset({"GET", "HEAD"})
# Some clients send the whole address: AWS's guidance for multimodal data does. No browser does.
_HOST = re.compile(r"(?:https?://)?(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]/@?#\s]+)(:\d+)?")
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


@dataclass(frozen=True)
class Gate:
    """
    The checks of one server.

    :param host: the address or name that the server listens on.
    :param allowed_hosts: further names that it is called by, as ``--allow-host`` gives them; so are their subdomains.
    :param own_path: the path of the pages that a link of another site may lead to.
    :param has_moto_api: whether moto's own endpoints, which show and change all that it holds, are open.
    """

    host: str
    allowed_hosts: Iterable[str] = ()
    own_path: str = "/_bda"
    has_moto_api: bool = False
    _names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        names = {*_LOOPBACK_NAMES, *(name.lower().rstrip(".") for name in self.allowed_hosts)}
        if not self.only_local:
            names |= {socket.gethostname().lower(), _DOCKERS_NAME}
        if _address(self.host) is None:
            names.add(self.host.lower())
        object.__setattr__(self, "_names", frozenset(names))

    @property
    def only_local(self) -> bool:
        """Whether only this machine can reach the server."""
        address = _address(self.host)
        return address.is_loopback if address is not None else self.host.lower() == "localhost"

    def refusal(self, environ: Mapping[str, Any]) -> str | None:
        """
        Return why a request is refused; None for one that is allowed.

        :param environ: the request, as WSGI has it.
        """
        host = _HOST.fullmatch(environ.get("HTTP_HOST", "").strip().rstrip("/"))
        if host is None or not self._is_own_name(host["name"].strip("[]").lower().rstrip(".")):
            allowed = ", ".join(sorted(self._names))
            return f"The Host header is not a name of this emulator ({allowed}); --allow-host NAME adds one."
        if not self._is_same_site(environ):
            return "Requests from web pages of other sites are refused."
        if environ["REQUEST_METHOD"] in _READING and not environ.get("HTTP_AUTHORIZATION"):
            names = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            if any(name.lower() == "action" for name in names) or "HTTP_X_AMZ_TARGET" in environ:
                return "A GET with an Action needs a signature in its Authorization header; or send it as a POST."
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith("/moto-api") and not self.has_moto_api:
            return "moto's own endpoints are closed; --moto-api opens them."
        return None

    def _is_own_name(self, name: str | None) -> bool:
        if name is None:
            return False
        if (address := _address(name)) is not None:
            # An address in a page's URL is always that of its server, so it needs no check; but a server that listens
            # on loopback only is reached by a loopback address only.
            return address.is_loopback or not self.only_local
        return any(name == own or name.endswith(f".{own}") for own in self._names)

    def _is_same_site(self, environ: Mapping[str, Any]) -> bool:
        site, method = environ.get("HTTP_SEC_FETCH_SITE"), environ["REQUEST_METHOD"]
        path = str(environ.get("PATH_INFO", ""))
        if method in _READING and (path == self.own_path or path.startswith(f"{self.own_path}/")):
            # A link from another site, Airflow's for one, may be followed: the page that has it cannot read what it
            # leads to, and reading these changes nothing.
            if environ.get("HTTP_SEC_FETCH_MODE") == "navigate":
                return True
        elif site is None and "HTTP_ORIGIN" not in environ and not self._is_own_url(environ.get("HTTP_REFERER")):
            return False
        if site == "cross-site":
            return False
        return self._is_own_url(environ.get("HTTP_ORIGIN"))

    def _is_own_url(self, url: str | None) -> bool:
        """Whether a header that names a page is not there, or names one of this machine's."""
        if url is None:
            return True
        try:
            name = urlsplit(url).hostname
        except ValueError:
            return False
        if name is not None and (address := _address(name)) is not None:
            return address.is_loopback or name == self.host
        return self._is_own_name(name)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


class Dispatcher(DomainDispatcherApplication):
    """
    moto's dispatcher, with BDA, the emulator's own endpoints, and connections that faults close.

    :param control_app: what answers under ``/_bda/``.
    :param gate: decides which requests come in at all.
    """

    def __init__(self, control_app: ControlApp, gate: Gate) -> None:
        super().__init__(_create_backend_app)
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
        if path == PATH or path.startswith(f"{PATH}/"):
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
    """Read the request's body, and make it readable again."""
    try:
        size = min(int(environ.get("CONTENT_LENGTH") or 0), _MOST_TAG_BYTES)
    except ValueError:
        return ""
    body = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    return str(body.decode(errors="replace"))


def _refuse_unknown_region(environ: WSGIEnvironment) -> Response | None:
    """Answer for a region that AWS does not have."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None or scope["region"] in bda_regions() or scope["region"].endswith("-global"):
        return None
    return _error_answer(unknown_region(scope["region"]), scope["service"])


def _create_backend_app(service: Any) -> Any:
    """Make moto's app of a service; what moto does not have ends there in a traceback, and here in an error."""
    app = create_backend_app(service)
    app.register_error_handler(NotImplementedError, _refuse_unknown_operation)
    return app


def _refuse_unknown_operation(error: NotImplementedError) -> Response:
    scope = _SCOPE.search(request.headers.get("Authorization", ""))
    return _error_answer(unknown_operation(str(error)), scope["service"] if scope else "")


def _error_answer(error: ApiError, service: str) -> Response:
    """Write an error in the form that the service's clients read."""
    if service in _XML_SERVICES:
        inner = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        # S3's errors stand by themselves; the others' in an ErrorResponse.
        document = inner if service == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>"
        return Response(document, status=error.http_status, content_type="application/xml")
    return Response(
        json.dumps({"__type": error.code, "message": error.message}),
        status=error.http_status,
        content_type="application/json",
        headers={"x-amzn-ErrorType": error.code},
    )
