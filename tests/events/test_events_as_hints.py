"""A wait that reads the queue of job events, at the emulator's own SQS."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

from job_event_queue import Queue

from airflow_bda.hooks import BdaHook


async def test_a_wait_that_polls_once_an_hour_ends_when_the_event_comes(bda_emulator, monkeypatch):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=3)
    queue = Queue(bda_emulator)
    monkeypatch.setenv("AIRFLOW__BDA__JOB_EVENTS_QUEUE", queue.url)
    arn = bda_emulator.client("bedrock-data-automation-runtime").invoke_data_automation_async(
        inputConfiguration={"s3Uri": bda_emulator.upload(b"a document", "a.pdf")},
        outputConfiguration={"s3Uri": "s3://bda-test/out"},
        dataAutomationProfileArn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
    )["invocationArn"]
    deadline = datetime.now(timezone.utc) + timedelta(seconds=90)
    wait = asyncio.create_task(BdaHook().outcome_async(arn, deadline=deadline, poll_interval=3600.0))
    await asyncio.sleep(6)
    assert not wait.done(), "the first look was too early, and the next is far away"
    queue.send("4e360000-1111-2222-3333-444455556666")
    queue.send(arn.rpartition("/")[2])

    outcome = await asyncio.wait_for(wait, 60)

    assert outcome.state is not None
    assert outcome.state.status.is_terminal
    assert not outcome.timed_out
    assert queue.count() == 1, "the message for a job that is not waited for here stays"
