"""
Events of jobs from a queue of SQS: received by long polling, deleted when they were stored.

A message that is not deleted comes back when the queue's visibility timeout has passed, as often as the queue's redrive
policy allows, and then goes to its dead-letter queue:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.service.events import JobEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

# What one call may receive or delete, and how long it may wait: the service's own limits.
_MOST_MESSAGES = 10
LONGEST_POLL_SECONDS = 20
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# A queue whose visibility timeout is short returns the same messages again at once: those that no watcher wants, or can
# read, must not keep the loop and SQS busy.
_PAUSE_AFTER_KNOWN_SECONDS = 1.0
_LONGEST_PAUSE_AFTER_KNOWN_SECONDS = 8.0
# So many messages are remembered: how often each came, and whether it was complained of.
_REMEMBERED_MESSAGES = 1000
# A message that cannot be read is hidden when it has come so often. A redrive policy mostly sends it to the
# dead-letter queue before that.
MOST_RECEIVES = 6
# The limit is 12 hours in all, from the receipt on: 12 more, asked for a moment later, are refused.
_PUT_ASIDE_SECONDS = 11 * 60 * 60


@dataclass(eq=False)
class Delivery:
    """
    One message that holds an event of BDA's.

    :param receipt_handle: what it is deleted by; another one each time that the message is received.
    :param receives: how often it has come, to any reader, as far as is known.
    :param offered: how often its event was passed on.
    :param taken: how many of those who were given it came back for the next one, which means that they have it.
    :param refused: why one of those who looked at it did not trust it.
    """

    message_id: str
    receipt_handle: str
    event: JobEvent
    receives: int = 1
    offered: int = 0
    taken: int = 0
    refused: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the event was given to at least one watcher, and all of those have kept it."""
        return self.offered > 0 and self.offered == self.taken


class EventQueue:
    """
    One queue, read for as long as it takes: whatever AWS answers, neither receiving nor deleting raises.

    :param url: the queue's URL.
    :param open_client: makes an async client of SQS; called again after every trouble, as the connection may have been
        corrected meanwhile.
    :param log: the standard library's logger or Airflow's: it gets problems once per change, and messages that are
        not BDA's once each.
    """

    def __init__(
        self,
        url: str,
        open_client: Callable[[], Awaitable[AbstractAsyncContextManager[Any]]],
        log: Any,
    ) -> None:
        self.url = url
        self._open_client = open_client
        self._log = log
        self._client: Any = None
        self._resources = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._tries_in_vain = 0
        self._trouble: str | None = None
        self._complaints: dict[str, None] = {}
        self._receives: dict[str, int] = {}
        self._known_in_a_row = 0

    async def receive(self, wait_seconds: float = LONGEST_POLL_SECONDS) -> list[Delivery]:
        """
        Return what there is, after *wait_seconds* at most when there is nothing; later in times of trouble.

        Messages that hold no event of BDA's are left in the queue.
        """
        while (messages := await self._try_to_receive(wait_seconds)) is None:
            pause = full_jitter(self._tries_in_vain, first=_FIRST_PAUSE_SECONDS, longest=_LONGEST_PAUSE_SECONDS)
            self._tries_in_vain += 1
            await asyncio.sleep(pause)
        read = [(message, self._count(message), self._read(message)) for message in messages]
        await self._put_aside(
            [message for message, receives, found in read if found is None and receives >= MOST_RECEIVES]
        )
        deliveries = [found for _, _, found in read if found is not None]
        for _, receives, found in read:
            if found is not None:
                found.receives = receives
        if messages and all(found is None or receives > 1 for _, receives, found in read):
            pause = min(_PAUSE_AFTER_KNOWN_SECONDS * 2**self._known_in_a_row, _LONGEST_PAUSE_AFTER_KNOWN_SECONDS)
            self._known_in_a_row = min(self._known_in_a_row + 1, 10)
            await asyncio.sleep(pause)
        elif messages:
            self._known_in_a_row = 0
        return deliveries

    def _count(self, message: Mapping[str, Any]) -> int:
        """Return how often a message has come; SQS's own count knows of other readers and earlier processes too."""
        message_id = str(message.get("MessageId"))
        receives = self._receives[message_id] = self._receives.pop(message_id, 0) + 1
        if len(self._receives) > _REMEMBERED_MESSAGES:
            del self._receives[next(iter(self._receives))]
        counted = str((message.get("Attributes") or {}).get("ApproximateReceiveCount", ""))
        return max(receives, int(counted) if counted.isdecimal() and len(counted) < 10 else 0)  # noqa: PLR2004

    async def _put_aside(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Hide messages that cannot be read, so that others are received; they are not deleted."""
        for message in messages:
            self._log.warning(
                "Message %s of queue %s was received %d times and cannot be read: it is hidden for 11 hours.",
                message.get("MessageId"),
                self.url,
                self._receives.pop(str(message.get("MessageId")), MOST_RECEIVES),
            )
            await self._hide(message.get("MessageId"), message.get("ReceiptHandle"), _PUT_ASIDE_SECONDS)

    async def _hide(self, message_id: Any, receipt_handle: Any, seconds: int) -> None:
        try:
            client = await self._opened()
            await client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
        except Exception as error:  # noqa: BLE001  without the permission it stays where it is, and is paused for
            self._log.warning(
                "Message %s could not be %s: %s.", message_id, "hidden" if seconds else "given back", _describe(error)
            )

    async def delete(self, deliveries: Sequence[Delivery]) -> None:
        """Take messages out of the queue. Those that stay come again, with the same keys as before."""
        for start in range(0, len(deliveries), _MOST_MESSAGES):
            await self._delete(deliveries[start : start + _MOST_MESSAGES])

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let another reader of the queue have messages at once, instead of when their visibility timeout is over."""
        for delivery in deliveries:
            await self._hide(delivery.message_id, delivery.receipt_handle, 0)

    async def close(self) -> None:
        """Close the client."""
        self._client = None
        resources, self._resources = self._resources, AsyncExitStack()
        try:
            await resources.aclose()
        except Exception:  # noqa: BLE001  whatever it is, this client is not used again
            self._log.debug("A client of SQS could not be closed properly.", exc_info=True)

    async def _try_to_receive(self, wait_seconds: float) -> list[Mapping[str, Any]] | None:
        try:
            client = await self._opened()
            # Not so long that the client's own timeout comes first.
            longest = min(LONGEST_POLL_SECONDS, int(client.meta.config.read_timeout) // 2)
            answer = await client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=_MOST_MESSAGES,
                WaitTimeSeconds=max(0, min(longest, round(wait_seconds))),
                AttributeNames=["ApproximateReceiveCount"],
            )
        except Exception as error:  # noqa: BLE001  a watcher outlives whatever connections, networks and AWS do
            if (trouble := _describe(error)) != self._trouble:
                self._trouble = trouble
                self._log.warning("Queue %s cannot be read: %s. It is tried again until it can.", self.url, trouble)
            await self.close()
            return None
        self._tries_in_vain = 0
        if self._trouble is not None:
            self._trouble = None
            self._log.info("Queue %s can be read again.", self.url)
        return list(answer.get("Messages") or ())

    async def _opened(self) -> Any:
        # Deleting continues beside receiving.
        async with self._opening:
            if self._client is None:
                self._client = await self._resources.enter_async_context(await self._open_client())
            return self._client

    def _read(self, message: Mapping[str, Any]) -> Delivery | None:
        try:
            event = JobEvent.parse(message["Body"])
            delivery = Delivery(str(message["MessageId"]), str(message["ReceiptHandle"]), event)
        except Exception:  # noqa: BLE001  no message may stop the watcher
            self._complain(message, "it is no EventBridge event")
            return None
        if not (event.is_known and event.job_id):
            self._complain(message, "it is not one of the events that BDA is known to send")
            return None
        return delivery

    def refuse(self, delivery: Delivery, reason: str) -> None:
        """Say, once for each message, why an event is not taken; it stays in the queue."""
        self._complain({"MessageId": delivery.message_id}, reason)

    def _complain(self, message: Mapping[str, Any], reason: str) -> None:
        message_id = str(message.get("MessageId"))
        if message_id in self._complaints:
            return
        self._complaints[message_id] = None
        if len(self._complaints) > _REMEMBERED_MESSAGES:
            del self._complaints[next(iter(self._complaints))]
        # Not its contents: they may be confidential.
        self._log.warning(
            "Message %s is left in queue %s, whose redrive policy decides on it: %s.", message_id, self.url, reason
        )

    async def _delete(self, deliveries: Iterable[Delivery]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": delivery.receipt_handle} for number, delivery in enumerate(deliveries)
        ]
        try:
            client = await self._opened()
            answer = await client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            reason, left = "refused", len(answer.get("Failed") or ())
        except Exception as error:  # noqa: BLE001  the events are kept: a duplicate is the worst that can happen
            reason, left = _describe(error), len(entries)
        if left:
            self._log.warning(
                "%d messages could not be deleted from queue %s (%s); their events come again, with the same keys.",
                left,
                self.url,
                reason,
            )


def _describe(error: Exception) -> str:
    code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code")
    return f"{type(error).__name__} {code}" if code else f"{type(error).__name__}: {error}"
