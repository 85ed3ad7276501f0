"""Settings that make no sense are errors that name them, when they are first used."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import product

import pytest

from airflow_bda.hooks import BdaHook
from airflow_bda.hooks.task_arguments import deadline_after, in_seconds, job_events_queue, seconds_of, wait_limits
from airflow_bda.service.errors import BdaRequestError

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e360000-1111-2222-3333-444455556666"
OPTIONS = ("max_status_requests_per_second", "min_poll_interval", "max_poll_interval")
NONSENSE = ("0", "-1", "nan", "inf", "-inf", "abc", "1,5")
LIMITS = {"deadline": datetime(2030, 1, 1, tzinfo=timezone.utc)}


# So few requests would notice no job in time.
@pytest.mark.parametrize(
    ("option", "value"), [*product(OPTIONS, NONSENSE), ("max_status_requests_per_second", "1e-320")]
)
def test_an_option_without_sense_is_named(monkeypatch, option, value):
    monkeypatch.setenv(f"AIRFLOW__BDA__{option.upper()}", value)

    with pytest.raises(BdaRequestError, match=option) as caught:
        wait_limits()
    assert value in str(caught.value)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", None),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "https://sqs.eu-west-1.amazonaws.com/123456789012/q"),
        ("arn:aws:sqs:eu-west-1:123456789012:q", "https://sqs.eu-west-1.amazonaws.com/123456789012/q"),
        ("arn:aws-cn:sqs:cn-north-1:123456789012:q", "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q"),
    ],
)
def test_the_queue_of_job_events_is_an_url_or_an_arn(monkeypatch, value, url):
    monkeypatch.setenv("AIRFLOW__BDA__JOB_EVENTS_QUEUE", value)
    assert job_events_queue() == url


@pytest.mark.parametrize(
    "value", ["bda-hints", "arn:aws:sns:eu-west-1:123456789012:q", "arn:aws:sqs:::q", "https://sqs"]
)
def test_what_is_no_queue_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv("AIRFLOW__BDA__JOB_EVENTS_QUEUE", value)
    with pytest.raises(BdaRequestError, match="job_events_queue"):
        job_events_queue()


@pytest.mark.parametrize("value", ["0.001", "0.5", "1e6"])
def test_an_option_with_sense_is_read(monkeypatch, value):
    monkeypatch.setenv("AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND", value)

    assert wait_limits().max_requests_per_second == float(value)


def test_the_longest_pause_is_no_shorter_than_the_shortest(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BDA__MIN_POLL_INTERVAL", "10")
    monkeypatch.setenv("AIRFLOW__BDA__MAX_POLL_INTERVAL", "1")

    with pytest.raises(BdaRequestError, match="max_poll_interval = 1 is less than min_poll_interval = 10"):
        wait_limits()


def test_a_wait_ends_with_the_option_that_is_wrong(monkeypatch, bda_emulator):
    monkeypatch.setenv("AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND", "0")

    outcome = BdaHook().outcome(ARN, **LIMITS)

    assert isinstance(outcome.error, BdaRequestError)
    assert "max_status_requests_per_second = 0" in str(outcome.error)


@pytest.mark.parametrize(
    "value",
    [0, -5, float("nan"), float("inf"), "60", "{{ params.x }}", True, timedelta(0), timedelta(days=-1), [], 1e300],
)
def test_a_duration_without_sense_is_named(value):
    for name in ("poll_interval", "timeout", "max_wait"):
        with pytest.raises(BdaRequestError, match=name):
            seconds_of(name, value)
    with pytest.raises(BdaRequestError, match="poll_interval"):
        in_seconds(value)


def test_a_duration_is_seconds_or_a_timedelta():
    assert seconds_of("max_wait", 90) == seconds_of("max_wait", timedelta(seconds=90)) == 90.0
    assert in_seconds(None) is None
    in_an_hour = datetime.now(timezone.utc) + timedelta(hours=1)
    assert abs(deadline_after("max_wait", 3600) - in_an_hour) < timedelta(minutes=1)


def test_a_hook_may_be_asked_to_wait_for_no_time_at_all():
    with pytest.raises(BdaRequestError, match="max_wait"):
        BdaHook().wait(ARN, max_wait=-1)
    assert deadline_after("max_wait", 0, may_be_zero=True)
