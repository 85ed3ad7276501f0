"""Operator, sensor, events and Lambda on a real account, by a real Airflow."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_bda._compat import HAS_EVENT_TRIGGERS
from airflow_bda.hooks import BdaHook
from airflow_bda.service.events import JobEvent
from airflow_bda.triggers import BdaJobEventTrigger

SECONDS_FOR_AN_EVENT = 600


def test_a_job_is_started_and_waited_for_by_sensors(account, run_dag):
    xcoms = run_dag("system_sensors")

    uri = xcoms["deferred"]["return_value"]
    assert uri == xcoms["poked"]["return_value"]
    assert uri.startswith(account.uri("out/"))
    assert BdaHook().get_results(uri).segment_count >= 1
    assert xcoms["deferred"]["_link_BdaOutputLink"] == xcoms["invoke"]["_link_BdaOutputLink"]


def test_one_task_starts_a_job_and_waits_for_it(account, run_dag):
    xcoms = run_dag("system_one_task")

    assert xcoms["invoke"]["output_metadata_uri"].startswith(account.uri("out/"))


def test_a_function_starts_a_job(account, stack, run_dag):
    xcoms = run_dag("system_lambda", function_name=stack["FunctionName"])

    assert xcoms["deferred"]["return_value"].startswith(account.uri("out/"))


def test_the_end_of_a_job_comes_as_an_event(account, stack, run_dag, answers):
    arn = run_dag("system_events")["invoke"]["return_value"]

    events = events_of(account, stack["EventQueueUrl"], arn)

    end = JobEvent.parse(events[-1])
    answers.add(
        "Which events does a job send?",
        ", ".join(f"`{event['detail-type']}` with `{event['detail'].get('job_status')}`" for event in events),
        events=events,
    )
    assert (str(end.status), end.invocation_arn) == ("Success", arn)
    assert end.output_metadata_uri == account.wait(arn)["outputConfiguration"]["s3Uri"]
    if HAS_EVENT_TRIGGERS:
        # It was taken out of the queue to be noted; it is as good as new for the watcher.
        account.client("sqs").send_message(QueueUrl=stack["EventQueueUrl"], MessageBody=json.dumps(events[-1]))
        assert fired(stack["EventQueueUrl"], arn)["output_metadata_uri"] == end.output_metadata_uri


def events_of(account, queue_url, arn):
    """Take the events of a job out of the queue, until its end comes."""
    sqs, found = account.client("sqs"), []
    give_up = time.monotonic() + SECONDS_FOR_AN_EVENT
    while not any(JobEvent.parse(event).is_final for event in found):
        if time.monotonic() > give_up:
            pytest.fail(f"no event told of the end of {arn}; before it came {found}")
        for message in sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=5).get("Messages", ()):
            event = json.loads(message["Body"])
            if JobEvent.parse(event).invocation_arn == arn:
                found.append(event)
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found, key=lambda event: (JobEvent.parse(event).is_final, event["time"]))


def fired(queue_url, arn):
    """Let the watcher's trigger fire for a job, and give the payload."""

    async def first():
        async for event in BdaJobEventTrigger(sqs_queue_url=queue_url).run():
            if event.payload["invocation_arn"] == arn:
                return event.payload
        return None

    return asyncio.run(asyncio.wait_for(first(), SECONDS_FOR_AN_EVENT))
