"""
Chance, so that thousands of waits do not go in step.

https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

import random

# Beyond this many doublings any pause has reached its limit; a larger exponent would only overflow.
_MOST_DOUBLINGS = 32


def uniform(low: float, high: float) -> float:
    """Give any number of seconds between *low* and *high*."""
    return random.uniform(low, high)  # noqa: S311  spreads calls over time, keeps no secret


def full_jitter(tries: int, *, first: float, longest: float) -> float:
    """
    Give the pause before another try: any time up to a limit that doubles with every try in vain.

    :param tries: how many tries in vain came before this one; 0 for the first pause.
    :param first: the limit of the first pause, in seconds.
    :param longest: what the limit grows to, in seconds.
    """
    return uniform(0.0, min(longest, first * 2.0 ** min(tries, _MOST_DOUBLINGS)))
