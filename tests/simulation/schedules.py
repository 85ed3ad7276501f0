"""The schedules by their seeds: three of four are batches, the fourth has tasks with one document each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_schedule import run_batch
from one_job_schedule import run_one_job

if TYPE_CHECKING:
    from schedule import Result


def run_seed(seed: int) -> Result:
    """Run one schedule in this process."""
    return run_one_job(seed) if seed % 4 == 3 else run_batch(seed)
