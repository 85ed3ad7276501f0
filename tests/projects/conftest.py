"""A folder of files, and an empty account in the emulator."""

from __future__ import annotations

import pytest
from project_repository import Repository


@pytest.fixture
def repository(tmp_path, bda_emulator):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    return Repository(tmp_path, bda_emulator)
