"""A queue of job events in memory, in simulated time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from airflow_bda.engine.event_queue import Delivery
from airflow_bda.service.events import JobEvent


def event(name, kind="Succeeded", *, account="111122223333", source="aws.bedrock"):
    job_id = str(name)
    return JobEvent.parse(
        {
            "id": "e",
            "detail-type": f"Bedrock Data Automation Job {kind}",
            "source": source,
            "account": account,
            "region": "us-east-1",
            "detail": {"job_id": job_id, "job_status": "SUCCESS"},
        }
    )


class Queue:
    """An SQS queue in memory: messages come back after a visibility timeout, or at once when they are given back."""

    visibility_seconds = 30.0

    def __init__(self) -> None:
        self.messages: deque[Delivery] = deque()
        self.gone: set[Delivery] = set()
        self.returns: Counter[Delivery] = Counter()
        self.arrived = asyncio.Event()
        self.closed = 0

    def send(self, sent: JobEvent) -> None:
        self._put(Delivery("m", "r", sent, receives=0))

    def send_later(self, sent: JobEvent, at: float) -> None:
        asyncio.get_running_loop().call_at(at, self.send, sent)

    def _show_again(self, delivery: Delivery, receives: int) -> None:
        """Show a message whose visibility timeout is over, unless it was received once more meanwhile."""
        if delivery.receives == receives:
            self._put(delivery)

    def _put(self, delivery: Delivery) -> None:
        if delivery not in self.gone and delivery not in self.messages:
            self.messages.append(delivery)
            self.arrived.set()

    async def receive(self) -> list[Delivery]:
        self.arrived.clear()
        if not self.messages:
            try:
                await asyncio.wait_for(self.arrived.wait(), 20.0)
            except asyncio.TimeoutError:
                return []
        received = [self.messages.popleft() for _ in range(min(10, len(self.messages)))]
        for delivery in received:
            delivery.receives += 1
            asyncio.get_running_loop().call_later(
                self.visibility_seconds, self._show_again, delivery, delivery.receives
            )
        if all(delivery.receives > 1 for delivery in received):
            await asyncio.sleep(1.0)
        return received

    async def delete(self, deliveries) -> None:
        self.gone.update(deliveries)

    async def give_back(self, deliveries) -> None:
        for delivery in deliveries:
            self.returns[delivery] += 1
            self._put(delivery)

    async def close(self) -> None:
        self.closed += 1
