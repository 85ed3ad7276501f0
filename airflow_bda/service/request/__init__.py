"""The request that starts a job: its arguments, the rules that it is checked by, and its client token."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.service.request.request import InvocationRequest, build_request, request_warnings

__all__ = ["InvocationRequest", "build_request", "request_warnings"]

_HOMES = {
    "InvocationRequest": "airflow_bda.service.request.request",
    "build_request": "airflow_bda.service.request.request",
    "request_warnings": "airflow_bda.service.request.request",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
