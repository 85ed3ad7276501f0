"""What the tests of the hook share."""

from __future__ import annotations

import pytest


@pytest.fixture
def quick_pauses(monkeypatch):
    """Make the pauses between tries of a submit a thousandth of what they are."""
    from airflow_bda.engine import submitting

    monkeypatch.setattr(submitting, "_FIRST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(submitting, "_LONGEST_PAUSE_SECONDS", 0.3)
