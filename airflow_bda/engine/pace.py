"""How fast one poller may ask: so many requests in any second, half as many after every refusal, regained with time."""

from __future__ import annotations

from collections import deque

# Halving and slow regaining (AIMD) settles near what the service bears, as TCP does.
_SLOWDOWN = 0.5
_REGAIN_SECONDS = 30.0
# Refusals that come together are one event: those in flight when the first came say nothing new.
_ONE_EVENT_SECONDS = 1.0
# Slower than this share of the full pace it would take too long to notice that the service has recovered.
_SLOWEST_SHARE = 1 / 16


class Pace:
    """
    When the next request may go out.

    What is due goes out together, up to a second's worth, and then nothing until that second is over: requests one by
    one, each after a pause, cost the processor nearly twice as much. All times are the event loop's, in seconds.

    :param requests_per_second: the pace while nothing is refused; no second ever sees more.
    """

    def __init__(self, requests_per_second: float) -> None:
        self.next_at = float("-inf")
        self._full_rate = requests_per_second
        self._slowed_rate = requests_per_second
        self._slowed_at = float("-inf")
        self._spent_at: deque[float] = deque(maxlen=max(1, int(requests_per_second)))

    def rate(self, now: float) -> float:
        """Give the pace at this time, in requests per second."""
        regained = self._full_rate * (now - self._slowed_at) / _REGAIN_SECONDS
        return min(self._full_rate, self._slowed_rate + regained)

    def spend(self, now: float) -> None:
        """Note that a request goes out."""
        self._spent_at.append(now)
        rate = self.rate(now)
        together = max(1, int(rate))
        if len(self._spent_at) >= together:
            self.next_at = self._spent_at[-together] + max(1.0, together / rate)

    def slow_down(self, now: float) -> None:
        """Note that the service could not keep up."""
        if now - self._slowed_at < _ONE_EVENT_SECONDS:
            return
        self._slowed_rate = max(self._full_rate * _SLOWEST_SHARE, self.rate(now) * _SLOWDOWN)
        self._slowed_at = now
