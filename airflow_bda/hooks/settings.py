"""How hard one process may ask for statuses: the ``[bda]`` section of Airflow's configuration."""

from __future__ import annotations

from datetime import timedelta

from airflow_bda._compat import conf
from airflow_bda.engine.waiter import WaitLimits
from airflow_bda.service.errors import BdaRequestError

SECTION = "bda"
# Not known: how many status requests per second an account may make. Ten leaves room for other callers, and is what one
# triggerer needs for some thousand jobs of minutes each.
MAX_STATUS_REQUESTS_PER_SECOND = 10.0
# With a longer pause the end of the shortest jobs, of 5 seconds, would be noticed more than a tenth of that too late.
MIN_POLL_INTERVAL = 0.75
MAX_POLL_INTERVAL = 120.0


def wait_limits() -> WaitLimits:
    """Read the limits; the fallbacks serve Airflow 2.11, which reads a provider's defaults late."""
    return WaitLimits(
        max_requests_per_second=conf.getfloat(
            SECTION, "max_status_requests_per_second", fallback=MAX_STATUS_REQUESTS_PER_SECOND
        ),
        min_poll_interval=conf.getfloat(SECTION, "min_poll_interval", fallback=MIN_POLL_INTERVAL),
        max_poll_interval=conf.getfloat(SECTION, "max_poll_interval", fallback=MAX_POLL_INTERVAL),
    )


def in_seconds(poll_interval: float | timedelta | None) -> float | None:
    """
    Give a pause between polls in seconds.

    :raises BdaRequestError: when it is not more than zero.
    """
    if poll_interval is None:
        return None
    seconds = poll_interval.total_seconds() if isinstance(poll_interval, timedelta) else float(poll_interval)
    if not seconds > 0:
        raise BdaRequestError(
            "The wait was not begun.", problems=[f"poll_interval={poll_interval!r}: give more than 0 seconds, or None."]
        )
    return seconds
