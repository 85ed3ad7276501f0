"""Which part of the emulator a request is for: its own endpoints, BDA, or another of moto's services."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ConnectionClosedError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Response

from airflow_bda.emulator.control_plane.responses import is_path
from airflow_bda.emulator.core.registration import BACKEND_NAME
from airflow_bda.emulator.runtime.responses import TARGET_PREFIX
from airflow_bda.emulator.server import control

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# moto only needs it to find the backend; a request's own region is read from its signature later.
_BDA_HOST = "bedrock-data-automation-runtime.us-east-1.amazonaws.com"
_CONTROL_HOST = "bedrock-data-automation.us-east-1.amazonaws.com"


class Dispatcher(DomainDispatcherApplication):
    """
    moto's dispatcher, which also knows BDA, the emulator's own endpoints, and how to break a connection.

    :param control_app: what answers under ``/_bda/``.
    :param only_local: whether the server listens on loopback only, so that other host names are a trick.
    """

    def __init__(self, control_app: control.ControlApp, *, only_local: bool) -> None:
        super().__init__(create_backend_app)
        self._control_app = control_app
        self._only_local = only_local

    def infer_service_region_host(self, environ: dict[str, Any], path: str) -> str | None:
        """Find BDA by its target: all of Bedrock signs for ``bedrock``, from which moto cannot tell it."""
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith(f"{TARGET_PREFIX}."):
            return _BDA_HOST
        # The control plane has no target; its paths are its own.
        if "/bedrock/aws4_request" in environ.get("HTTP_AUTHORIZATION", "") and is_path(environ.get("PATH_INFO", "")):
            return _CONTROL_HOST
        return super().infer_service_region_host(environ, path)

    def get_backend_for_host(self, host: str | None) -> Any:
        """Name the backend; for BDA at once, where moto would first list its own folders on disk for every poll."""
        return BACKEND_NAME if host == _BDA_HOST else super().get_backend_for_host(host)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, or refuse it, or break its connection where a fault says so."""
        # moto lets every web page read what it holds. Here it holds people's documents.
        if not _is_same_site(environ, only_local=self._only_local):
            return _refuse("Requests from web pages of other sites are refused.", environ, start_response)
        path = environ.get("PATH_INFO", "")
        if path == control.PATH or path.startswith(f"{control.PATH}/"):
            # A name that was made to lead here would make any web page the same site.
            if self._only_local and _host_name(environ) not in _LOOPBACK_NAMES:
                return _refuse("Call this machine by its own name, localhost or 127.0.0.1.", environ, start_response)
            return self._control_app(environ, start_response)
        try:
            answer: Iterable[bytes] = super().__call__(environ, start_response)
        except ConnectionClosedError as error:
            # The server's socket: closing it without a word is what a client sees as a lost connection.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("dropped on request") from error
        return answer


def _is_same_site(environ: WSGIEnvironment, *, only_local: bool) -> bool:
    # A link from another site, Airflow's for one, may be followed: the page that has it cannot read what it leads to.
    is_followed_link = environ["REQUEST_METHOD"] == "GET" and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    if environ.get("HTTP_SEC_FETCH_SITE") == "cross-site" and not is_followed_link:
        return False
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return True
    origin_name = urlsplit(origin).hostname
    # Any web page can be given a name that leads to this machine; it must not be able to run a function here.
    own_names = _LOOPBACK_NAMES if only_local else {*_LOOPBACK_NAMES, _host_name(environ)}
    return origin_name is not None and origin_name in own_names


def _host_name(environ: WSGIEnvironment) -> str | None:
    return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname


def _refuse(reason: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return Response(f"{reason}\n", status=403, content_type="text/plain")(environ, start_response)
