"""BdaJobEventTrigger: what fires, what is deleted when, and that neither odd messages nor AWS's troubles stop it."""

from __future__ import annotations

import asyncio
import json
from pkgutil import resolve_name

import pytest
from job_event_queue import Queue, event, until

from airflow_bda._compat import HAS_EVENT_TRIGGERS
from airflow_bda.emulator.server.connections import airflow_connection
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.triggers import BdaJobEventTrigger, bda_events

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/bda-events"
ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/"
# As version 0.1.0 wrote them: what is stored in somebody's database must load for ever.
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
    with pytest.raises(BdaRequestError, match=r"Airflow 3\.0 or later.*BdaStatusSensor\(\.\.\., deferrable=True\)"):
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
            ({"sqs_queue_url": "bda-events"}, "sqs_queue_url: 'bda-events' is no queue's URL"),
            ({"sqs_queue_url": "arn:aws:sqs:us-east-1:123456789012:q"}, "no queue's URL"),
            ({"sqs_queue_url": "{{ var.value.queue }}"}, "no templates"),
            ({"statuses": ["Success", "SUCCESS"]}, "events tell of Created, Success, ClientError, ServiceError"),
            ({"statuses": "InProgress"}, "events tell of"),
            ({"statuses": ()}, "events tell of"),
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
    async def test_bad_messages_go_to_the_dead_letters_and_stop_nobody(self, bda_emulator, log):
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

    async def test_a_poll_ends_before_the_clients_patience(self, queue, log):
        watcher = ByItself(BdaJobEventTrigger(sqs_queue_url=queue.url, botocore_config={"read_timeout": 2}))
        await asyncio.sleep(3)
        queue.send("job")
        await until(lambda: watcher.payloads)
        await watcher.stop()

        assert "cannot be read" not in log.text
