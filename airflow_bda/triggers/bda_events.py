"""Start DAG runs by the events of jobs, which come from EventBridge through a queue to an ``AssetWatcher``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import (
    HAS_EVENT_TRIGGERS,
    HAS_TRIGGER_QUEUES,
    BaseEventTrigger,
    SharedStreamProducer,
    safe_event,
)
from airflow_bda.engine.event_queue import LONGEST_POLL_SECONDS, Delivery, EventQueue
from airflow_bda.hooks.connection import AsyncAwsHook
from airflow_bda.service.arns import Queue
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.events import STATUS_OF_DETAIL_TYPE, JobEvent
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.triggers.bda import check_storable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from airflow.triggers.base import TriggerEvent
    from airflow.triggers.shared_stream import AdvanceItem

ENDED = ("Success", "ClientError", "ServiceError")
# Before Airflow 3.3 nothing shows that an event was stored; the triggerer does it within a second or two.
_SECONDS_UNTIL_STORED = 5.0
_PAYLOAD = (
    "key",
    "status",
    "invocation_arn",
    "job_id",
    "modality",
    "input_s3_uri",
    "output_s3_uri",
    "output_metadata_uri",
    "time",
    "duration_seconds",
    "account",
    "region",
)


class BdaJobEventTrigger(SafeLogging, BaseEventTrigger):
    """
    Fire for each event of a job that comes through a queue, for an ``AssetWatcher`` of Airflow 3.0 or later.

    Jobs send events when they are started with ``event_bridge_enabled=True``; a rule of EventBridge, for the
    source ``aws.bedrock``, passes it on to the queue as it is.
    https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring-eventbridge-how-it-works.html

    Every event may come more than once, and then has the same ``key`` in its payload: make its consumer idempotent.
    EventBridge delivers by best effort; where a lost event would hurt, a sensor waits for sure.

    A message is deleted when its event was stored. What this watcher does not want, and what is not an event of BDA,
    stays in the queue, so give the queue a dead-letter queue and let the rule match what is wanted only. From Airflow
    3.3 on the watchers of one queue share one poller in each triggerer, and each of them gets the event. Before that,
    and wherever several triggerers run, each message reaches one watcher only: give each watcher a queue of its own.

    The arguments are a stored format: Airflow keeps them, in clear. They hold no secrets.

    :param sqs_queue_url: the queue, as ``https://sqs.<region>.amazonaws.com/<account>/<name>``.
    :param statuses: which events fire: ``Created``, ``Success``, ``ClientError``, ``ServiceError``; the ends of jobs
        unless said otherwise.
    :param output_prefix: only jobs that write under this ``s3://bucket/prefix``; None for all.
    :param output_buckets: only jobs that write into these buckets; None for all. Everyone who may send to the queue can
        name any bucket in a message, so list those that your projects write to.
    :param accounts: only jobs of these accounts; None takes the queue's own.
    :param regions: only jobs of these regions; None takes the queue's own.
    :param queue: the trigger queue, which decides what triggerers run this watcher. Airflow 3.4 or later.
    :param aws_conn_id: the Airflow connection; it needs sqs:ReceiveMessage and sqs:DeleteMessage, and
        sqs:ChangeMessageVisibility to hide what cannot be read.
    :param region_name: the region; None takes the one in the queue's URL.
    :param verify: whether, or with which bundle, TLS certificates are verified.
    :param botocore_config: botocore's configuration, as a dictionary. Not the place for a proxy's password.
    :raises BdaRequestError: for arguments that cannot work, and on Airflow 2, which has no event triggers.
    """

    def __init__(  # noqa: PLR0913  the connection's four belong to every AWS trigger
        self,
        *,
        sqs_queue_url: str,
        statuses: Iterable[str] = ENDED,
        output_prefix: str | None = None,
        output_buckets: Iterable[str] | None = None,
        accounts: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
        queue: str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        # Airflow keeps the trigger queue beside the arguments, not among them.
        super().__init__(**({"queue": queue} if HAS_TRIGGER_QUEUES else {}))  # type: ignore[no-untyped-call]
        _check(sqs_queue_url, statuses := _listed(statuses), output_prefix)
        _check_queue(queue)
        check_storable(botocore_config)
        self.sqs_queue_url = sqs_queue_url
        self._place = Queue.parse(sqs_queue_url)
        self.statuses = statuses
        self.output_prefix = output_prefix
        self.output_buckets = None if output_buckets is None else _listed(output_buckets)
        self.accounts = None if accounts is None else _listed(accounts)
        self.regions = None if regions is None else _listed(regions)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make it from again; what was not set is left out."""
        arguments = {
            "output_prefix": self.output_prefix,
            "output_buckets": self.output_buckets,
            "accounts": self.accounts,
            "regions": self.regions,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "sqs_queue_url": self.sqs_queue_url,
            "statuses": self.statuses,
            # None means "no connection" here, not "not set".
            "aws_conn_id": self.aws_conn_id,
            **{name: value for name, value in arguments.items() if value is not None},
        }

    def wants(self, event: JobEvent) -> bool:
        """Whether an event is one to fire for."""
        if str(event.status) not in self.statuses or self.refusal(event) is not None:
            return False
        prefix = self.output_prefix
        return prefix is None or f"{event.output_s3_uri}/".startswith(f"{prefix.rstrip('/')}/")

    def refusal(self, event: JobEvent) -> str | None:
        """Return why an event is not trusted: every sender to the queue can write any account, region or bucket."""
        own_account, own_region = self._place.account, self._place.region
        accounts = self.accounts if self.accounts is not None else [own_account] if own_account else None
        regions = self.regions if self.regions is not None else [own_region] if own_region else None
        if accounts is not None and event.account not in accounts:
            return f"it is about account {event.account}, and this watcher takes {', '.join(accounts)}"
        if regions is not None and event.region not in regions:
            return f"it is about region {event.region}, and this watcher takes {', '.join(regions)}"
        bucket = S3Uri.parse(event.output_s3_uri).bucket if event.output_s3_uri else None
        if self.output_buckets is not None and bucket not in self.output_buckets:
            return f"its output is in bucket {bucket}, and this watcher takes {', '.join(self.output_buckets)}"
        return None

    # -- Airflow 3.0 to 3.2: each watcher polls for itself

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire for each message; delete it a little later, when it must have been stored."""
        queue = self._queue()
        given = _Given(queue)
        try:
            while True:
                for delivery in await queue.receive(given.seconds_to_wait()):
                    if self.wants(delivery.event):
                        yield safe_event(payload_of(delivery.event))
                        given.add(delivery)
                    elif reason := self.refusal(delivery.event):
                        queue.refuse(delivery, reason)
                await given.delete_stored()
        finally:
            await queue.close()

    # -- Airflow 3.3 and later: watchers of one queue share a poller, which learns what was stored

    def shared_stream_key(self) -> tuple[str, ...]:
        """Return the key by which watchers share a poller: one queue, one connection."""
        return shared_key(self.sqs_queue_url, self.aws_conn_id, self.region_name, self.verify, self.botocore_config)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> QueueProducer:
        """Make the poller that this watcher shares."""
        return QueueProducer(cls(**kwargs)._queue())  # noqa: SLF001  its own class's

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Delivery]) -> AsyncIterator[TriggerEvent]:
        """Fire for those of the shared messages that this watcher wants."""
        async for delivery in shared_stream:
            if self.wants(delivery.event):
                delivery.offered += 1
                yield safe_event(payload_of(delivery.event))
                # Not reached when the watcher is stopped before Airflow has taken the event: it will come again.
                delivery.taken += 1
            else:
                delivery.refused = self.refusal(delivery.event)

    def _queue(self) -> EventQueue:
        return EventQueue(self.sqs_queue_url, lambda: self._hook().async_client(), self.log)

    def _hook(self) -> AsyncAwsHook:
        # A new one for each client: the connection may have been corrected since the last one.
        return AsyncAwsHook(
            client_type="sqs",
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name or self._place.region,
            verify=self.verify,
            config=self.botocore_config,
        )


class _Given:
    """Messages whose events were passed to Airflow, until it must have stored them."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue
        self._clock = asyncio.get_running_loop().time
        self._given: deque[tuple[float, Delivery]] = deque()

    def add(self, delivery: Delivery) -> None:
        """Record that an event was passed on just now."""
        self._given.append((self._clock() + _SECONDS_UNTIL_STORED, delivery))

    def seconds_to_wait(self) -> float:
        """Return how long to poll: until the next message is to be deleted."""
        if not self._given:
            return LONGEST_POLL_SECONDS
        return max(1.0, self._given[0][0] - self._clock())

    async def delete_stored(self) -> None:
        """Delete what was passed on long enough ago; wait for that when too many are kept."""
        if len(self._given) >= MOST_OUTSTANDING:
            await asyncio.sleep(self._given[0][0] - self._clock())
        stored: list[Delivery] = []
        while self._given and self._given[0][0] <= self._clock():
            stored.append(self._given.popleft()[1])
        await self._queue.delete(stored)


def payload_of(event: JobEvent) -> dict[str, Any]:
    """
    Return what a DAG run reads in its triggering event: ids, URIs and statuses; None for what the event does not say.

    The error of a failed job is not in it: get the invocation's status for that.
    """
    known = event.to_dict()
    return {name: known.get(name) for name in _PAYLOAD}


def _listed(statuses: Iterable[str]) -> list[str]:
    # Written as a list, in one order: Airflow takes triggers whose arguments differ for different ones.
    return sorted({str(status) for status in ((statuses,) if isinstance(statuses, str) else statuses)})


def _check_queue(queue: str | None) -> None:
    if queue is not None and not HAS_TRIGGER_QUEUES:
        raise BdaRequestError(
            "BdaJobEventTrigger cannot be placed on a trigger queue by this release of Airflow.",
            problems=[f"queue: {queue!r}; event triggers have queues from Airflow 3.4 on."],
            remedy="Leave queue out: any triggerer then runs this watcher.",
        )


def _is_url_of_queue(text: str) -> bool:
    try:
        return Queue.parse(text).url == text
    except ValueError:
        return False


def _check(sqs_queue_url: str, statuses: list[str], output_prefix: str | None) -> None:
    if not HAS_EVENT_TRIGGERS:
        raise BdaRequestError(
            "BdaJobEventTrigger needs Airflow 3.0 or later, which can start runs by events from outside.",
            remedy="On Airflow 2, wait in the DAG that starts the job: BdaStatusSensor(..., deferrable=True).",
        )
    problems = []
    if not _is_url_of_queue(sqs_queue_url):
        problems.append(
            f"sqs_queue_url: {sqs_queue_url!r} is not the URL of a queue; that reads https://sqs.<region>.amazonaws.com/"
            "<account>/<name>, and a watcher's arguments are not rendered as templates."
        )
    known = [str(status) for status in STATUS_OF_DETAIL_TYPE.values()]
    if not statuses or not set(statuses) <= set(known):
        problems.append(f"statuses: {statuses!r}; the known ones are {', '.join(known)}.")
    if output_prefix is not None:
        try:
            S3Uri.parse(output_prefix)
        except ValueError as error:
            problems.append(f"output_prefix: {error}.")
    if problems:
        raise BdaRequestError("This watcher could never fire.", problems=problems)


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
        """Return a lane for each message, so that none waits for another one to be stored."""
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
