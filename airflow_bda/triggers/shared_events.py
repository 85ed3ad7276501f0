"""One poller for all the watchers of a queue in one triggerer, as Airflow 3.3 and later share it out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import SharedStreamProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from airflow.triggers.shared_stream import AdvanceItem

    from airflow_bda.engine.event_queue import Delivery, EventQueue

# Airflow stores some fifty events a second. What waits for that must be stored before its visibility timeout passes, 30
# seconds unless the queue says otherwise, and must fit into the 1024 places of a watcher's queue.
MOST_OUTSTANDING = 100


class QueueProducer(SharedStreamProducer):
    """
    Hands out the messages of one queue, and deletes each when Airflow has stored what came of it.

    A message that no watcher here wanted stays: a watcher of another triggerer may want it.
    """

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue
        self._outstanding: dict[str, Delivery] = {}
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def open_stream(self) -> AsyncIterator[tuple[Delivery, Delivery]]:
        """Return each message, and the same once more for :meth:`advance`; for ever."""
        while True:
            await self._has_room.wait()
            for delivery in await self._queue.receive():
                if self._is_new(delivery):
                    yield delivery, delivery

    def get_advance_lane(self, broker_payload: Delivery) -> str:
        """Let no message wait for another one to be stored."""
        return broker_payload.message_id

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Delete what was wanted and stored; leave the rest to come again. What it raised would end all watchers."""
        kept: list[Delivery] = []
        for item in batch:
            delivery: Delivery = item.broker_payload
            self._outstanding.pop(delivery.message_id, None)
            if delivery.is_kept and not item.outcome.failed:
                kept.append(delivery)
            elif delivery.refused and not delivery.offered:
                self._queue.refuse(delivery, delivery.refused)
        if len(self._outstanding) < MOST_OUTSTANDING:
            self._has_room.set()
        await self._queue.delete(kept)

    async def aclose(self) -> None:
        """Close the client."""
        await self._queue.close()

    def _is_new(self, delivery: Delivery) -> bool:
        known = self._outstanding.get(delivery.message_id)
        if known is not None:
            # Its visibility timeout passed while it waits to be stored; only the newest handle deletes it for sure.
            known.receipt_handle = delivery.receipt_handle
            return False
        self._outstanding[delivery.message_id] = delivery
        if len(self._outstanding) >= MOST_OUTSTANDING:
            self._has_room.clear()
        return True


def shared_key(*parts: Any) -> tuple[str, ...]:
    """Return a key that is the same for watchers of one queue by one connection."""
    return tuple(map(repr, parts))
