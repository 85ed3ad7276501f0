"""The requests, for a job and for an answer at once: their arguments, and the rules that they are checked by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.service.request.request import InvocationRequest, build_request, request_warnings
    from airflow_bda.service.request.sync_request import SyncRequest, build_sync_request

__all__ = ["InvocationRequest", "SyncRequest", "build_request", "build_sync_request", "request_warnings"]

_MODULE_OF_NAME = dict.fromkeys(__all__, "request") | dict.fromkeys(
    ("SyncRequest", "build_sync_request"), "sync_request"
)

__getattr__ = names_of(__name__, _MODULE_OF_NAME)
