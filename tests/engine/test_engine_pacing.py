"""The pauses between polls: within their bounds, and short enough to notice an end in time."""

from __future__ import annotations

import random
from collections import Counter
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pretended_service import FAST

from airflow_bda.engine.pacing import AdaptiveSchedule, FixedSchedule, Pace, PollSchedule, SeekingPace

ADAPTIVE = AdaptiveSchedule(floor=FAST.min_poll_interval, ceiling=FAST.max_poll_interval)
seconds = st.floats(min_value=0.01, max_value=1e5)


def polls_until(length: float, schedule: PollSchedule) -> tuple[float, int]:
    """Return how late the end of a job is noticed, and with how many polls."""
    now, polls = schedule.first_delay(), 1
    while now < length:
        now += schedule.next_delay(now)
        polls += 1
    return now - length, polls


@given(floor=seconds, span=seconds, age=st.floats(min_value=0, max_value=1e7))
def test_an_adaptive_pause_keeps_its_bounds(floor, span, age):
    assert floor <= AdaptiveSchedule(floor, floor + span).next_delay(age) <= floor + span


@given(age=st.floats(min_value=0, max_value=1e5))
def test_an_adaptive_pause_does_not_shrink_with_age_but_for_its_jitter(age):
    assert ADAPTIVE.next_delay(age * 1.3 + 1.0) >= ADAPTIVE.next_delay(age)


@given(interval=seconds, age=seconds)
def test_a_fixed_pause_is_the_interval_give_or_take_a_tenth(interval, age):
    assert FixedSchedule(interval).next_delay(age) == pytest.approx(interval, rel=0.1001)


@pytest.mark.parametrize("schedule", [ADAPTIVE, FixedSchedule(30.0)])
def test_first_polls_come_soon_but_not_in_step(schedule):
    delays = [schedule.first_delay() for _ in range(200)]
    assert 0.0 <= min(delays) < 0.1
    assert max(delays) <= 1.0
    assert len(set(delays)) > 190


@pytest.mark.parametrize("length", [5.0, 7.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 1800.0])
def test_the_end_is_noticed_within_a_tenth_of_the_jobs_length(length):
    random.seed(20)
    lags = [polls_until(length, ADAPTIVE)[0] / length for _ in range(2000)]
    assert mean(lags) < 0.1
    assert max(lags) < 0.2


def test_noticing_takes_at_most_half_the_calls_of_five_seconds():
    random.seed(21)
    lengths = [5.0 * 360.0 ** (number / 2000) for number in range(2000)]
    ours = sum(polls_until(length, ADAPTIVE)[1] for length in lengths)
    fixed = sum(polls_until(length, FixedSchedule(5.0))[1] for length in lengths)
    assert ours <= fixed / 2


@given(
    rate=st.floats(min_value=0.1, max_value=50.0),
    pauses=st.lists(st.floats(min_value=0.0, max_value=2.0), min_size=2, max_size=200),
    refused=st.sets(st.integers(0, 199)),
)
def test_no_second_sees_more_than_the_full_pace_and_no_refusal_stops_it(rate, pauses, refused):
    pace = Pace(rate)
    spent = [100.0]
    pace.spend(100.0)
    for number, pause in enumerate(pauses):
        now = max(spent[-1] + pause, pace.next_at)
        assert now - spent[-1] <= max(1.0, 16 / rate) + pause + 1e-9
        pace.spend(now)
        spent.append(now)
        if number in refused:
            pace.slow_down(now)
    together = max(1, int(rate))
    for earlier, later in zip(spent, spent[together:], strict=False):
        assert later - earlier >= max(1.0, together / rate) - 1e-9


def test_refusals_that_come_together_halve_the_pace_once():
    pace = Pace(8.0)
    for _ in range(10):
        pace.slow_down(50.0)
    assert pace.rate(50.0) == 4.0


def test_a_pace_is_regained_with_time():
    pace = Pace(8.0)
    for at in range(20):
        pace.slow_down(float(at * 2))
    assert pace.rate(38.0) < 2.0
    assert pace.rate(38.0 + 30.0) == 8.0


# -- the pace of a poller, which finds out what the account allows


class Account:
    """Allows a number of requests a second, as a token bucket with one second's worth."""

    def __init__(self, requests_per_second: float) -> None:
        self.rate = self.tokens = requests_per_second
        self.filled_at = 0.0

    def allows(self, now: float) -> bool:
        self.tokens = min(self.rate, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


def share(
    account: Account, paces: list[SeekingPace], starts: list[float], until: float
) -> list[tuple[float, int, bool]]:
    """Ask for ever and find an end each time; give when each request was made, by whom, and whether it was allowed."""
    calls: list[tuple[float, int, bool]] = []
    now = 0.0
    while True:
        at, who = min((max(now, pace.next_at, starts[number]), number) for number, pace in enumerate(paces))
        if at > until:
            return calls
        now = at
        paces[who].spend(now)
        if allowed := account.allows(now):
            paces[who].answered(is_end=True, is_late=True)
        else:
            paces[who].slow_down(now)
        calls.append((now, who, allowed))


def test_a_pace_rises_only_while_answers_are_ends_and_more_is_due():
    pace = SeekingPace(100.0)
    for _ in range(1000):
        pace.answered(is_end=False, is_late=True)
    assert pace.rate(0.0) == 10.0, "looks without a finding do not change the pace"
    for _ in range(1000):
        pace.answered(is_end=True, is_late=False)
    assert pace.rate(0.0) == 10.0, "nothing is late"
    for _ in range(20):
        pace.answered(is_end=True, is_late=True)
    assert 15.0 < pace.rate(0.0) < 20.0
    for _ in range(1000):
        pace.answered(is_end=True, is_late=True)
    assert pace.rate(0.0) == 100.0
    for _ in range(1000):
        pace.answered(is_end=False, is_late=True)
    assert pace.rate(0.0) == 10.0


def test_a_pace_settles_where_one_answer_in_three_is_an_end():
    pace = SeekingPace(1000.0)
    for _ in range(100):
        pace.answered(is_end=True, is_late=True)
    risen = pace.rate(0.0)
    for number in range(3000):
        pace.answered(is_end=number % 3 == 0, is_late=True)
    assert pace.rate(0.0) == pytest.approx(risen, rel=0.05)


def test_a_refusal_slows_down_at_once_and_what_was_good_is_regained():
    pace = SeekingPace(100.0)
    for _ in range(300):
        pace.answered(is_end=True, is_late=True)
    assert pace.rate(100.0) == 100.0
    pace.slow_down(100.0)
    assert pace.rate(100.0) == pytest.approx(80.0)
    pace.slow_down(100.1)
    assert pace.rate(100.1) == pytest.approx(80.0, rel=0.05), "refusals that come together are one"
    assert 99.0 < pace.rate(120.0) <= 100.0


@pytest.mark.parametrize("quota", [5.0, 20.0, 50.0, 90.0])
@pytest.mark.parametrize("triggerers", [1, 2, 5])
def test_paces_find_the_quota_and_share_it(quota, triggerers):
    """The first one has the account to itself for a minute before the others come."""
    random.seed(22)
    starts = [0.0, *(60.0 + 7.0 * number for number in range(triggerers - 1))]
    calls = share(Account(quota), [SeekingPace(100.0) for _ in starts], starts, until=1200.0)
    settled = [call for call in calls if call[0] >= 600.0]
    served = Counter(who for _, who, allowed in settled if allowed)
    assert sum(served.values()) >= 0.85 * quota * 600
    assert max(served.values()) <= 6 * min(served.values()), served
    refused = len(settled) - sum(served.values())
    # A probe is one request at least, and those who have one a second probe with a large share of what they have.
    assert refused <= len(settled) * (0.02 if quota / triggerers >= 10 else 0.3)


@given(
    rate=st.floats(min_value=0.1, max_value=200.0),
    pauses=st.lists(st.floats(min_value=0.0, max_value=2.0), min_size=2, max_size=300),
    refused=st.sets(st.integers(0, 299)),
    in_vain=st.sets(st.integers(0, 299)),
)
def test_no_second_sees_more_than_the_limit_whatever_was_found(rate, pauses, refused, in_vain):
    pace = SeekingPace(rate)
    spent = []
    now = 100.0
    for number, pause in enumerate(pauses):
        now = max(now + pause, pace.next_at)
        pace.spend(now)
        spent.append(now)
        if number in refused:
            pace.slow_down(now)
        else:
            for _ in range(20):
                pace.answered(is_end=number not in in_vain, is_late=True)
    together = max(1, int(rate))
    for earlier, later in zip(spent, spent[together:], strict=False):
        assert later - earlier >= max(1.0, together / rate) - 1e-9
    assert pace.next_at - now <= max(1.0, 16 / min(rate, 10.0)) + 1e-9, "no refusal stops it"
