"""
Job events as hints: an event of a job that is waited for lets the poller look at that job now.

Nothing that an event says is believed: whether a job has ended, only BDA's own answer tells. An event that is lost,
late, doubled or forged changes how soon that is seen, and nothing else. While nearly every end is told of by an event,
the poller looks by itself only when a job is older than jobs usually get; when ends come untold, it polls as without.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from airflow_bda.service.safe_values import safe_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_bda.engine.event_queue import Delivery
    from airflow_bda.service.events import JobEvent

# A message for somebody else's job goes back at once so often; then it is left to the queue's visibility timeout, so
# that triggerers do not hand a message that no one waits for to and fro.
_MOST_RETURNS = 3
# Events are taken to flow while so large a share of the ends is told of, by an average over the last ten or so.
_FLOWING_SHARE = 0.85
_CHANGE_PER_END = 0.1
# How long after an end was seen its event may come and still count; EventBridge mostly takes less than a second.
_LATE_SECONDS = 30.0
# So many jobs are remembered that ended here, and that were told of before anybody waited for them here.
_MOST_REMEMBERED = 1000

_log = safe_logger(__name__)


class HintQueue(Protocol):
    """What the hints are read from: :class:`airflow_bda.engine.event_queue.EventQueue`."""

    async def receive(self) -> list[Delivery]:
        """Return what there is, some seconds later when there is nothing."""

    async def delete(self, deliveries: Sequence[Delivery]) -> None:
        """Take messages out of the queue."""

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let another reader have messages at once."""

    async def close(self) -> None:
        """Close the client."""


class Hints:
    """
    Reads events for one poller, and judges whether they can be relied on.

    :param look_now: told the ARN of a job that has probably ended; returns whether it is waited for here.
    :param on_stop: called when events have stopped to flow.
    """

    def __init__(self, queue: HintQueue, look_now: Callable[[str], bool], on_stop: Callable[[], object]) -> None:
        self._queue = queue
        self._look_now = look_now
        self._on_stop = on_stop
        self._clock = asyncio.get_running_loop().time
        self._told_share = 0.0
        # Jobs whose end was seen here, with the time; None once the event was counted.
        self._ended: dict[str, float | None] = {}
        self._announced: dict[str, None] = {}

    @property
    def flow(self) -> bool:
        """Whether nearly every end is told of by an event."""
        return self._told_share >= _FLOWING_SHARE

    def was_announced(self, invocation_arn: str) -> bool:
        """Whether an event came for a job before it was waited for here."""
        return self._announced.pop(invocation_arn, self) is None

    def ended(self, invocation_arn: str) -> None:
        """Note that a job's end was seen."""
        _remember(self._ended, invocation_arn, self._clock())

    async def read(self) -> None:
        """Read events until cancelled."""
        try:
            while True:
                deliveries = await self._queue.receive()
                self._judge_the_untold()
                ours = [delivery for delivery in deliveries if self._take(delivery.event)]
                others = [delivery for delivery in deliveries if delivery not in ours]
                await self._queue.delete(ours)
                await self._queue.give_back([each for each in others if each.receives <= _MOST_RETURNS])
        except Exception:  # noqa: BLE001  the waits continue without
            _log.exception("Job events are read no more; waits continue by polling.")
            self._told_share = 0.0
            self._on_stop()
        finally:
            await self._queue.close()

    def _take(self, event: JobEvent) -> bool:
        """Take in an event; return whether it concerns a job of this poller, now or a while ago."""
        arn = event.invocation_arn
        if arn is None:
            return False
        if arn in self._ended:
            if event.is_final and self._ended[arn] is not None:
                self._ended[arn] = None
                self._count(told=True)
            return True
        if event.is_final:
            if self._look_now(arn):
                return True
            _remember(self._announced, arn, None)
        return False

    def _judge_the_untold(self) -> None:
        long_ago = self._clock() - _LATE_SECONDS
        for arn, at in list(self._ended.items()):
            if at is not None and at <= long_ago:
                self._ended[arn] = None
                self._count(told=False)

    def told(self, invocation_arn: str) -> None:
        """Note that a job's end was seen after its event had come."""
        _remember(self._ended, invocation_arn, None)
        self._count(told=True)

    def _count(self, *, told: bool) -> None:
        flowed = self.flow
        self._told_share += _CHANGE_PER_END * (told - self._told_share)
        if flowed and not self.flow:
            self._on_stop()


def _remember(memory: dict[str, float | None] | dict[str, None], name: str, value: float | None) -> None:
    memory[name] = value  # type: ignore[assignment]  # the caller's memory takes the caller's value
    if len(memory) > _MOST_REMEMBERED:
        del memory[next(iter(memory))]
