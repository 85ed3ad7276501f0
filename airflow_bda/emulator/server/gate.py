"""
Who may reach the emulator over HTTP: programs that call it by one of its names, and no web page of another site.

The emulator checks no signatures, holds people's documents and may run functions, and a browser on the same machine
can reach it. Three doors are closed here, before any request is dispatched:

- A name of the attacker's that leads to this machine (DNS rebinding) makes his page the same site: the ``Host`` header
  must be one of the emulator's own names.
- A page of another site sends requests without being able to read the answers: ``Origin``, ``Sec-Fetch-Site`` and
  ``Referer`` tell such a page.
- Where a browser sends none of the three (a plain GET to an address that is not this machine's loopback), nothing may
  change: AWS's query protocol, which changes things by GET too, needs a signature in a header, which no image or link
  can send.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_LOOPBACK_NAMES = frozenset({"localhost"})
# What Docker Desktop calls this machine from within a container; nobody can register a name under .internal.
_DOCKERS_NAME = "host.docker.internal"
_READING = frozenset({"GET", "HEAD"})
# Some clients send the whole address: AWS's guidance for multimodal data does. No browser does.
_HOST = re.compile(r"(?:https?://)?(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]/@?#\s]+)(:\d+)?")


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
        """Whether nobody but this machine can reach the server."""
        address = _address(self.host)
        return address.is_loopback if address is not None else self.host.lower() == "localhost"

    def refusal(self, environ: Mapping[str, Any]) -> str | None:
        """
        Say why a request is refused; None for one that may pass.

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
            # No page can be given an address that is not its server's own, so one is no trick; but who listens on
            # loopback only is called by a loopback address only.
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
