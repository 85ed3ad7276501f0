"""Read and check the settings of a wait: the ``[bda]`` section of Airflow's configuration, and durations."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from airflow_bda._compat import conf
from airflow_bda.engine.waiting import WaitLimits
from airflow_bda.service.errors import BdaRequestError

SECTION = "bda"
# Not known: how many status requests per second an account may make. The pace finds that out; this bounds what it takes
# of the triggerer. A call costs some 2 ms of processor time, so 100 a second are a quarter of a core, and ten
# connections, which botocore's pool has, carry no more at a tenth of a second each.
MAX_STATUS_REQUESTS_PER_SECOND = 100.0
# With a longer pause the end of the shortest jobs, of 5 seconds, would be noticed more than a tenth of that too late.
MIN_POLL_INTERVAL = 0.75
MAX_POLL_INTERVAL = 120.0
# One request in a quarter of an hour: with fewer, no job of a day is noticed in time, and the option is a mistake.
_LEAST_REQUESTS_PER_SECOND = 0.001
# Longer is a mistake too, and times beyond the year 9999 cannot be written.
_LONGEST = timedelta(days=36_500)
_PARTS_OF_ARN = 6
_NOT_BEGUN = "The wait was not begun."


def wait_limits() -> WaitLimits:
    """
    Read the limits from the ``[bda]`` section.

    :raises BdaRequestError: names the option that has no number that makes sense.
    """
    # The fallbacks serve Airflow 2.11, which reads a provider's defaults late.
    rate = _option("max_status_requests_per_second", MAX_STATUS_REQUESTS_PER_SECOND, _LEAST_REQUESTS_PER_SECOND)
    shortest = _option("min_poll_interval", MIN_POLL_INTERVAL)
    longest = _option("max_poll_interval", MAX_POLL_INTERVAL)
    if longest < shortest:
        problem = f"max_poll_interval = {longest:g} is less than min_poll_interval = {shortest:g}."
        raise BdaRequestError("Airflow's configuration is not valid.", problems=[f"[{SECTION}] {problem}"])
    return WaitLimits(max_requests_per_second=rate, min_poll_interval=shortest, max_poll_interval=longest)


def job_events_queue() -> str | None:
    """
    Read the URL of the queue of job events from the ``[bda]`` section; None where there is none.

    :raises BdaRequestError: when it is neither a queue's URL nor its ARN.
    """
    text = (conf.get(SECTION, "job_events_queue", fallback=None) or "").strip()
    if not text:
        return None
    if text.startswith("arn:"):
        parts = text.split(":")
        if len(parts) == _PARTS_OF_ARN and parts[2] == "sqs" and all(parts[3:]):
            _, partition, _, region, account, name = parts
            domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
            return f"https://sqs.{region}.{domain}/{account}/{name}"
    elif (url := urlsplit(text)).scheme in {"http", "https"} and url.hostname and url.path.strip("/"):
        return text
    raise BdaRequestError(
        "Airflow's configuration is not valid.",
        problems=[f"[{SECTION}] job_events_queue = {text} must be the URL or the ARN of a queue of SQS."],
    )


def _option(name: str, default: float, least: float = 0.0) -> float:
    text = conf.get(SECTION, name, fallback=None)
    try:
        value = default if text in (None, "") else float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and 0.0 < value >= least):
        wanted = f"at least {least:g}" if least else "more than 0"
        raise BdaRequestError(
            "Airflow's configuration is not valid.",
            problems=[f"[{SECTION}] {name} = {text} must be a number, {wanted}."],
        )
    return value


def in_seconds(poll_interval: float | timedelta | None) -> float | None:
    """
    Return a pause between polls in seconds; None stays None.

    :raises BdaRequestError: when it is not a number of seconds, or not more than zero.
    """
    return None if poll_interval is None else seconds_of("poll_interval", poll_interval)


def seconds_of(name: str, value: Any, *, may_be_zero: bool = False) -> float:
    """
    Return a duration in seconds.

    :param name: the argument's name, for the error.
    :param value: a number of seconds, or a timedelta.
    :raises BdaRequestError: when it is neither, or makes no sense.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not may_be_zero):
        wanted = "0 or more" if may_be_zero else "more than 0"
        problem = f"{name}={value!r}: pass seconds as a number, or a timedelta, of {wanted}."
    elif seconds > _LONGEST.total_seconds():
        problem = f"{name}={value!r}: the longest is {_LONGEST.days} days."
    else:
        return float(seconds)
    raise BdaRequestError(_NOT_BEGUN, problems=[problem])


def deadline_after(name: str, value: Any, *, may_be_zero: bool = False) -> datetime:
    """
    Return the time, with a zone, at which a duration from now has passed.

    :raises BdaRequestError: as :func:`seconds_of`.
    """
    return datetime.now(timezone.utc) + timedelta(seconds=seconds_of(name, value, may_be_zero=may_be_zero))
