"""Waiting for what other processes do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Far longer than anything takes, even on a busy machine: it only ends a wait for what will not come.
PATIENCE_SECONDS = 120.0


def eventually(
    look: Callable[[], T], *, what: str, seconds: float = PATIENCE_SECONDS, describe: Callable[[], str] = str
) -> T:
    """
    Look until something true is seen, and give it.

    :param what: what is waited for, for the failure's message.
    :param describe: tells how things stand, for that message.
    """
    give_up_at = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"{what}: not within {seconds:.0f} s. {describe()}")
        time.sleep(0.05)
    return seen
