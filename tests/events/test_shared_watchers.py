"""On Airflow 3.3: watchers of one queue share a poller, and a message goes when what came of it was stored."""

from __future__ import annotations

import asyncio

import pytest
from job_event_queue import Queue, until

from airflow_bda.triggers import BdaJobEventTrigger, bda_events

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow 3.3 shares streams")


class Triggerer:
    """Runs watchers as Airflow's own does: takes their events, and stores them when a test says so."""

    def __init__(self):
        self.manager = shared_stream.SharedStreamManager()
        self.events = []
        self._watchers = {}
        self._unstored = []

    def watch(self, trigger):
        """Start a watcher and give its number."""
        number = len(self._watchers)
        self._watchers[number] = asyncio.create_task(self._run(number, trigger))
        return number

    async def _run(self, number, trigger):
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for fired in trigger.filter_shared_stream(stream):
                self._unstored.append(self.manager.bind_pending_event(trigger_id=number, key=key))
                self.events.append((number, fired.payload["job_id"]))
        finally:
            await self.manager.unsubscribe(number, key)

    def store(self):
        """Tell that all events are stored."""
        self.manager.confirm_persisted([number for number in self._unstored if number is not None])
        self._unstored.clear()

    @property
    def pollers(self):
        return len(self.manager._groups)

    async def stop(self, *numbers):
        """Stop some watchers, or all."""
        stopped = [self._watchers.pop(number) for number in numbers or list(self._watchers)]
        for task in stopped:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.wait(stopped)


@pytest.fixture
async def triggerer():
    triggerer = Triggerer()
    yield triggerer
    if triggerer._watchers:
        await triggerer.stop()


async def test_a_message_is_deleted_only_when_its_event_is_stored(queue, triggerer):
    queue.send("job")
    triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url))
    await until(lambda: triggerer.events)
    # The next one is seen, so that the first one is done with but for its being stored.
    queue.send("next")
    await until(lambda: len(triggerer.events) == 2)
    assert queue.count() == 2

    triggerer.store()
    await until(lambda: queue.count() == 0)


async def test_all_watchers_of_a_queue_get_each_message_from_one_poller(queue, triggerer):
    for wanted in ({}, {"statuses": ["Success"]}, {"output_prefix": "s3://out/other"}):
        triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url, **wanted))
    queue.send("good")
    queue.send("bad", "ClientError")
    await until(lambda: len(triggerer.events) == 3)
    triggerer.store()
    await until(lambda: queue.count() == 0)

    assert triggerer.pollers == 1
    assert sorted(triggerer.events) == [(0, "bad"), (0, "good"), (1, "good")]


async def test_watchers_of_other_queues_or_connections_do_not_share(queue):
    one = BdaJobEventTrigger(sqs_queue_url=queue.url, statuses=["Success"])
    alike = BdaJobEventTrigger(sqs_queue_url=queue.url, output_prefix="s3://out")
    others = [
        BdaJobEventTrigger(sqs_queue_url=f"{queue.url}2"),
        BdaJobEventTrigger(sqs_queue_url=queue.url, aws_conn_id="other"),
        BdaJobEventTrigger(sqs_queue_url=queue.url, aws_conn_id=None),
        BdaJobEventTrigger(sqs_queue_url=queue.url, region_name="eu-west-1"),
        BdaJobEventTrigger(sqs_queue_url=queue.url, verify=False),
        BdaJobEventTrigger(sqs_queue_url=queue.url, botocore_config={"read_timeout": 30}),
    ]
    keys = {trigger.shared_stream_key() for trigger in [one, *others]}

    assert one.shared_stream_key() == alike.shared_stream_key()
    assert len(keys) == 1 + len(others)


async def test_what_no_watcher_here_wants_stays_for_those_elsewhere(queue, triggerer):
    triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url, statuses=["Success"]))
    queue.send("bad", "ClientError")
    queue.send("good")
    await until(lambda: triggerer.events)
    triggerer.store()
    await until(lambda: queue.count() == 1)

    assert triggerer.events == [(0, "good")]


async def test_a_watcher_that_was_stopped_too_early_gets_its_event_again(queue, triggerer):
    """The task is ended while Airflow has the event in its hands, but has not put it down anywhere."""
    trigger = BdaJobEventTrigger(sqs_queue_url=queue.url)
    stream = triggerer.manager.subscribe(trigger_id=7, trigger=trigger, key=trigger.shared_stream_key())
    queue.send("job")
    filtered = trigger.filter_shared_stream(stream)
    await anext(filtered)
    await triggerer.manager.unsubscribe(7, trigger.shared_stream_key())

    assert queue.count() == 1


async def test_what_was_never_stored_comes_again(bda_emulator, triggerer):
    """The triggerer ends between the event and its being stored."""
    queue = Queue(bda_emulator, visibility_seconds=1)
    queue.send("job")
    first = triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url))
    await until(lambda: triggerer.events)
    await triggerer.stop(first)
    triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url))
    await until(lambda: len(triggerer.events) == 2)

    assert {job_id for _, job_id in triggerer.events} == {"job"}


async def test_a_message_that_waits_to_be_stored_is_not_given_twice(bda_emulator, triggerer):
    """Its visibility timeout passes meanwhile, so that it is received again."""
    queue = Queue(bda_emulator, visibility_seconds=1)
    queue.send("job")
    triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url))
    await until(lambda: triggerer.events)
    await asyncio.sleep(1.5)
    queue.send("next")
    await until(lambda: len(triggerer.events) >= 2)
    triggerer.store()
    await until(lambda: queue.count() == 0)

    assert [job_id for _, job_id in triggerer.events] == ["job", "next"]


async def test_no_more_is_taken_than_can_be_stored_in_time(queue, triggerer, monkeypatch):
    monkeypatch.setattr(bda_events, "MOST_OUTSTANDING", 10)
    for number in range(25):
        queue.send(str(number))
    triggerer.watch(BdaJobEventTrigger(sqs_queue_url=queue.url))
    await until(lambda: len(triggerer.events) == 10)
    # All but the last one can be stored; that one is kept until the watcher comes back for more.
    triggerer.store()
    await until(lambda: len(triggerer.events) == 20)
    assert queue.count() >= 5

    while queue.count():
        triggerer.store()
        await asyncio.sleep(0.01)
    assert len(set(triggerer.events)) == len(triggerer.events) == 25


async def test_trouble_with_the_queue_stops_no_watcher(queue, triggerer, log):
    gone = queue.url
    # Short polls: moto ends none early because its queue has gone.
    triggerer.watch(BdaJobEventTrigger(sqs_queue_url=gone, botocore_config={"read_timeout": 4}))
    queue.send("before")
    await until(lambda: triggerer.events)
    queue.sqs.delete_queue(QueueUrl=gone)
    triggerer.store()
    await until(lambda: "cannot be read" in log.text)
    queue.sqs.create_queue(QueueName="bda-events")
    queue.send("after")
    await until(lambda: len(triggerer.events) == 2)

    assert triggerer.pollers == 1
