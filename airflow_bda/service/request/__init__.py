"""The request that starts a job: its arguments, the rules that it is checked by, and its client token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.service.request.request import InvocationRequest, build_request, request_warnings
    from airflow_bda.service.request.sync_request import SyncRequest, build_sync_request

__all__ = ["InvocationRequest", "SyncRequest", "build_request", "build_sync_request", "request_warnings"]

__getattr__ = names_of(__name__, dict.fromkeys(__all__, "request"))
