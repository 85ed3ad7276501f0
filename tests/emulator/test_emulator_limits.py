from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.emulator.core.answering import RateLimiter


def test_without_a_rate_everything_goes():
    limiter = RateLimiter(clock=lambda: 0.0)
    assert all(limiter.allows("Get", None) for _ in range(1000))


def test_each_operation_has_its_own_rate():
    limiter = RateLimiter(clock=lambda: 0.0)
    assert limiter.allows("Get", 1)
    assert not limiter.allows("Get", 1)
    assert limiter.allows("Invoke", 1)


@given(
    rate=st.floats(min_value=0.1, max_value=100),
    gaps=st.lists(st.floats(min_value=0, max_value=2), max_size=200),
)
def test_never_more_than_a_burst_and_the_rate_over_any_time(rate, gaps):
    now = 0.0
    limiter = RateLimiter(clock=lambda: now)
    allowed = 0
    for gap in gaps:
        now += gap
        allowed += limiter.allows("Get", rate)
    assert allowed <= max(rate, 1) + rate * now + 1e-6


def test_a_second_later_the_rate_is_there_again():
    now = 0.0
    limiter = RateLimiter(clock=lambda: now)
    assert [limiter.allows("Get", 2) for _ in range(3)] == [True, True, False]
    now = 1.0
    assert [limiter.allows("Get", 2) for _ in range(3)] == [True, True, False]
