"""What the tests of events share."""

from __future__ import annotations

import logging

import pytest
from job_event_queue import Queue

from airflow_bda.triggers import BdaJobEventTrigger


@pytest.fixture
def queue(bda_emulator):
    """Return an empty queue."""
    return Queue(bda_emulator)


@pytest.fixture
def log(monkeypatch, caplog):
    """Airflow 3 logs through structlog, past pytest."""
    monkeypatch.setattr(BdaJobEventTrigger, "log", logging.getLogger("trigger"))
    caplog.set_level(logging.INFO, "trigger")
    return caplog
