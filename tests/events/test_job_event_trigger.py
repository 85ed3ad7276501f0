"""BdaJobEventTrigger: what fires, what is deleted when, and that neither bad messages nor errors of AWS stop it."""

from __future__ import annotations

import asyncio
import json
from pkgutil import resolve_name
from types import SimpleNamespace

import pytest
from job_event_queue import Queue, event, until

from airflow_bda._compat import HAS_EVENT_TRIGGERS, HAS_TRIGGER_QUEUES
from airflow_bda.emulator.server.server import airflow_connection
from airflow_bda.engine.event_queue import MOST_RECEIVES, EventQueue
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.events import JobEvent
from airflow_bda.triggers import BdaJobEventTrigger, bda_events

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/bda-events"
ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/"
# As version 0.1.0 wrote them: what is stored in a database must load for ever.
STORED = [
    {"sqs_queue_url": URL, "statuses": ["ClientError", "ServiceError", "Success"], "aws_conn_id": "aws_default"},
    {
        "sqs_queue_url": URL,
        "statuses": ["Success"],
        "output_prefix": "s3://out/p",
        "aws_conn_id": None,
        "region_name": "eu-west-2",
        "verify": False,
        "botocore_config": {"read_timeout": 10},
    },
]

only_airflow_3 = pytest.mark.skipif(not HAS_EVENT_TRIGGERS, reason="Airflow 2 has no event triggers")


@pytest.mark.skipif(HAS_EVENT_TRIGGERS, reason="Airflow 3 has event triggers")
def test_airflow_2_is_told_what_to_do_instead():
    with pytest.raises(BdaRequestError, match=r"(?s)Airflow 3\.0 or later.*BdaStatusSensor\(\.\.\., deferrable=True\)"):
        BdaJobEventTrigger(sqs_queue_url=URL)


@only_airflow_3
class TestArguments:
    @pytest.mark.parametrize("arguments", STORED)
    def test_what_was_stored_loads_and_is_stored_again_alike(self, arguments):
        classpath, stored = BdaJobEventTrigger(**arguments).serialize()

        assert classpath == "airflow_bda.triggers.bda_events.BdaJobEventTrigger"
        assert json.loads(json.dumps(stored)) == stored == arguments

    @pytest.mark.parametrize("arguments", STORED)
    def test_airflow_knows_it_again(self, arguments):
        """Or else it would make a new watcher each time that it reads the DAG file."""
        from airflow.models.trigger import Trigger

        trigger = BdaJobEventTrigger(**arguments)
        row = Trigger.from_object(trigger)
        again = resolve_name(row.classpath)(**row.kwargs)

        assert again.serialize() == trigger.serialize()
        assert trigger.hash(row.classpath, row.kwargs) == trigger.hash(*trigger.serialize())

    def test_order_of_statuses_makes_no_other_watcher(self):
        one = BdaJobEventTrigger(sqs_queue_url=URL, statuses=("Success", "ClientError"))

        assert one.serialize() == BdaJobEventTrigger(sqs_queue_url=URL, statuses=["ClientError", "Success"]).serialize()

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"sqs_queue_url": "bda-events"}, "sqs_queue_url: 'bda-events' is not the URL of a queue"),
            ({"sqs_queue_url": "arn:aws:sqs:us-east-1:123456789012:q"}, "not the URL of a queue"),
            ({"sqs_queue_url": "{{ var.value.queue }}"}, "not rendered as templates"),
            ({"statuses": ["Success", "SUCCESS"]}, "the known ones are Created, Success, ClientError, ServiceError"),
            ({"statuses": "InProgress"}, "the known ones are"),
            ({"statuses": ()}, "the known ones are"),
            ({"output_prefix": "out/p"}, "output_prefix: 'out/p' is not an S3 URI"),
        ],
    )
    def test_what_could_never_fire_is_refused(self, arguments, problem):
        with pytest.raises(BdaRequestError) as refused:
            BdaJobEventTrigger(**{"sqs_queue_url": URL, **arguments})

        assert problem in str(refused.value)

    def test_secrets_are_refused(self):
        with pytest.raises(BdaRequestError, match="stores a trigger's arguments in clear"):
            BdaJobEventTrigger(sqs_queue_url=URL, botocore_config={"proxies": {"https": "http://u:p@proxy:1"}})

    @pytest.mark.parametrize(
        ("url", "region"),
        [
            (URL, "eu-west-1"),
            ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
            ("http://127.0.0.1:4566/123456789012/q", None),
            ("http://localhost:4566/123456789012/q", None),
        ],
    )
    def test_region_is_the_queues_unless_given(self, url, region):
        assert BdaJobEventTrigger(sqs_queue_url=url)._hook()._region_name == region
        assert BdaJobEventTrigger(sqs_queue_url=url, region_name="us-west-2")._hook()._region_name == "us-west-2"


class ByItself:
    """A watcher as Airflow 3.0 to 3.2 run it."""

    def __init__(self, trigger):
        self.payloads = []
        self._task = asyncio.create_task(self._run(trigger))

    async def _run(self, trigger):
        async for fired in trigger.run():
            self.payloads.append(fired.payload)

    @property
    def keys(self):
        return [payload["job_id"] for payload in self.payloads]

    async def stop(self):
        assert not self._task.done(), self._task.exception()
        self._task.cancel()
        await asyncio.wait([self._task])


@only_airflow_3
class TestAWatcherOfItsOwn:
    @pytest.fixture(autouse=True)
    def _quick_to_store(self, monkeypatch):
        monkeypatch.setattr(bda_events, "_SECONDS_UNTIL_STORED", 0.0)

    async def test_an_event_fires_with_ids_and_uris_only(self, queue):
        queue.send("job")
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url))
        await until(lambda: watcher.payloads)
        await watcher.stop()

        assert watcher.payloads == [
            {
                "key": f"{ARN}job Bedrock Data Automation Job Succeeded",
                "status": "Success",
                "invocation_arn": f"{ARN}job",
                "job_id": "job",
                "modality": "DOCUMENT",
                "input_s3_uri": "s3://in/a.pdf",
                "output_s3_uri": "s3://out/p/job/0",
                "output_metadata_uri": "s3://out/p/job/job_metadata.json",
                "time": "2026-01-05T14:42:14Z",
                "duration_seconds": 16.0,
                "account": "123456789012",
                "region": "us-east-1",
            }
        ]

    async def test_what_was_given_is_deleted_and_the_rest_stays(self, queue):
        for name, status in (("made", "Created"), ("good", "Success"), ("bad", "ClientError")):
            queue.send(name, status)
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url, statuses=["Success", "ClientError"]))
        await until(lambda: len(watcher.payloads) == 2 and queue.count() == 1)
        await watcher.stop()

        assert sorted(watcher.keys) == ["bad", "good"]

    async def test_a_prefix_ends_at_a_slash(self, queue):
        for name, prefix in (("in", "p/a"), ("also", "p/a/b"), ("not", "p/ab"), ("neither", "p")):
            queue.send(name, prefix=prefix)
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url, output_prefix="s3://out/p/a/"))
        await until(lambda: queue.count() == 2)
        await watcher.stop()

        assert sorted(watcher.keys) == ["also", "in"]

    async def test_nothing_is_deleted_before_it_must_have_been_stored(self, queue, monkeypatch):
        """A triggerer that is killed right after the event has not lost it."""
        monkeypatch.setattr(bda_events, "_SECONDS_UNTIL_STORED", 3600.0)
        queue.send("first")
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url))
        await until(lambda: watcher.payloads)
        queue.send("second")
        await until(lambda: len(watcher.payloads) == 2)
        await watcher.stop()

        assert queue.count() == 2

    async def test_duplicates_have_the_same_key(self, queue):
        for _ in range(2):
            queue.send("job")
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url))
        await until(lambda: len(watcher.payloads) == 2)
        await watcher.stop()

        assert len({payload["key"] for payload in watcher.payloads}) == 1


BAD = [
    "this is not JSON: secret",
    "[1, 2]",
    '{"Message": "secret"}',
    json.dumps({"detail-type": "Object Created", "source": "aws.s3", "detail": {"secret": 1}}),
    json.dumps({**event("x"), "detail-type": "Bedrock Data Automation Job Was Renamed"}),
    json.dumps({**event("x"), "detail": {}}),
    '{"detail-type": "Bedrock Data Automation Job Succeeded", "detail": "secret"}',
    "[" * 50_000,
]


@only_airflow_3
class TestTrouble:
    async def test_bad_messages_go_to_the_dead_letters_and_stop_no_watcher(self, bda_emulator, log):
        queue = Queue(bda_emulator, visibility_seconds=1, receives=2)
        for text in BAD:
            queue.send_text(text)
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url))
        await until(lambda: queue.count(queue.dead_url) == len(BAD))
        queue.send("job")
        await until(lambda: watcher.payloads)
        await watcher.stop()

        assert watcher.keys == ["job"]
        complaints = [record.getMessage() for record in log.records if "is left in queue" in record.getMessage()]
        assert len(complaints) == len(set(complaints)) == len(BAD)
        assert "secret" not in log.text

    async def test_a_queue_that_is_not_there_yet_is_waited_for(self, bda_emulator, log):
        url = f"{bda_emulator.endpoint_url}/123456789012/bda-events"
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=url))
        await until(lambda: "cannot be read" in log.text)
        Queue(bda_emulator).send("job")
        await until(lambda: watcher.payloads)
        await watcher.stop()

        told = [record.getMessage() for record in log.records]
        assert sum("cannot be read" in text for text in told) == 1
        assert sum("can be read again" in text for text in told) == 1

    async def test_a_connection_that_is_mended_is_used(self, queue, log, monkeypatch):
        queue.send("job")
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", airflow_connection("http://127.0.0.1:9", "us-east-1"))
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url, aws_conn_id="wrong"))
        await until(lambda: "cannot be read" in log.text)
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", airflow_connection(queue.sqs.meta.endpoint_url, "us-east-1"))
        await until(lambda: watcher.payloads)
        await watcher.stop()

    async def test_a_poll_ends_before_the_clients_time_out(self, queue, log):
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url, botocore_config={"read_timeout": 2}))
        await asyncio.sleep(3)
        queue.send("job")
        await until(lambda: watcher.payloads)
        await watcher.stop()

        assert "cannot be read" not in log.text


def trusted(**changes):
    body = event("j1") | {name: value for name, value in changes.items() if name != "bucket"}
    if "bucket" in changes:
        body["detail"]["output_s3_location"]["s3_bucket"] = changes["bucket"]
    return JobEvent.parse(json.dumps(body))


@only_airflow_3
class TestTrust:
    """Every sender to the queue can write anything into a message."""

    URL = "https://sqs.us-east-1.amazonaws.com/123456789012/bda-events"

    @pytest.mark.parametrize(
        ("changes", "arguments", "fires"),
        [
            ({}, {}, True),
            ({"source": "evil.corp"}, {}, False),
            ({"account": "999999999999"}, {}, False),
            ({"account": "999999999999"}, {"accounts": ["999999999999"]}, True),
            ({"region": "eu-west-1"}, {}, False),
            ({"region": "eu-west-1"}, {"regions": ["us-east-1", "eu-west-1"]}, True),
            ({"bucket": "evil"}, {"output_buckets": ["out"]}, False),
            ({"bucket": "out"}, {"output_buckets": ["out"]}, True),
        ],
    )
    def test_what_fires(self, changes, arguments, fires):
        trigger = BdaJobEventTrigger(sqs_queue_url=self.URL, **arguments)
        event = trusted(**changes)

        assert (event.is_known and trigger.wants(event)) is fires

    def test_the_lists_are_stored_with_the_trigger(self):
        lists = {"accounts": ["1" * 12], "output_buckets": ["out"], "regions": ["eu-west-1"]}
        _, arguments = BdaJobEventTrigger(sqs_queue_url=self.URL, **lists).serialize()

        assert lists.items() <= arguments.items()
        assert BdaJobEventTrigger(**arguments).serialize()[1] == arguments

    async def test_a_message_that_is_not_trusted_stays_and_is_told_of_once(self, bda_emulator, log):
        queue = Queue(bda_emulator, visibility_seconds=0)
        queue.send_text(json.dumps(event("j1") | {"account": "999999999999"}))
        queue.send("j2")
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url))
        await until(lambda: watcher.keys)
        await watcher.stop()

        told = [record.getMessage() for record in log.records if "account 999999999999" in record.getMessage()]
        assert len(told) == 1
        assert set(watcher.keys) == {"j2"}


@only_airflow_3
@pytest.mark.skipif(HAS_TRIGGER_QUEUES, reason="this Airflow has trigger queues")
def test_a_trigger_queue_is_refused_below_airflow_3_4():
    with pytest.raises(BdaRequestError, match=r"3\.4"):
        BdaJobEventTrigger(sqs_queue_url=TestTrust.URL, queue="fast")


@pytest.mark.skipif(not HAS_TRIGGER_QUEUES, reason="trigger queues came with Airflow 3.4")
def test_a_trigger_queue_is_airflows_to_keep():
    trigger = BdaJobEventTrigger(sqs_queue_url=TestTrust.URL, queue="fast")

    assert trigger.queue == "fast"
    assert "queue" not in trigger.serialize()[1]


class SilentLog:
    def __init__(self):
        self.lines = []

    def warning(self, message, *values):
        self.lines.append(message % values)

    info = debug = warning


class ShortQueue:
    """A client of SQS whose one queue has no visibility timeout."""

    meta = SimpleNamespace(config=SimpleNamespace(read_timeout=60))

    def __init__(self, *bodies):
        self.messages = [
            {"MessageId": str(number), "ReceiptHandle": f"r{number}", "Body": body}
            for number, body in enumerate(bodies)
        ]
        self.hidden = []
        self.receives = 0

    async def receive_message(self, **_):
        self.receives += 1
        return {"Messages": [each for each in self.messages if each["MessageId"] not in self.hidden]}

    async def change_message_visibility(self, *, ReceiptHandle, VisibilityTimeout, **_):  # noqa: N803  botocore's names
        assert VisibilityTimeout == 11 * 60 * 60
        self.hidden.append(ReceiptHandle.removeprefix("r"))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


def queue_of(client, log):
    async def open_client():
        return client

    return EventQueue("https://sqs.us-east-1.amazonaws.com/123456789012/q", open_client, log)


async def test_messages_that_come_back_at_once_are_paused_for(monkeypatch):
    """With a visibility timeout of 0 an unwanted message would be received hundreds of times a second."""
    client = ShortQueue(json.dumps(event("j1", "Created")))
    pauses = []
    monkeypatch.setattr("airflow_bda.engine.event_queue.asyncio.sleep", lambda seconds: _note(pauses, seconds))
    queue = queue_of(client, SilentLog())

    for _ in range(6):
        assert len(await queue.receive()) == 1

    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0]


async def _note(pauses, seconds):
    pauses.append(seconds)


async def test_a_poison_message_is_put_aside_with_one_line(monkeypatch):
    client = ShortQueue("hello", json.dumps(event("j1")))
    monkeypatch.setattr("airflow_bda.engine.event_queue.asyncio.sleep", lambda seconds: _note([], seconds))
    log = SilentLog()
    queue = queue_of(client, log)

    for _ in range(MOST_RECEIVES + 3):
        deliveries = await queue.receive()
        assert [delivery.event.job_id for delivery in deliveries] == ["j1"]

    assert client.hidden == ["0"]
    assert len([line for line in log.lines if "hidden for 11 hours" in line]) == 1
    assert len(log.lines) == 2
