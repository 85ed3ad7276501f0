"""A real aiobotocore client against a server that misbehaves: what it raises must be what the engine waits out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiobotocore.session import get_session
from aiohttp import web
from botocore.config import Config
from pretended_service import ARN

from airflow_bda.engine import poller
from airflow_bda.engine.waiting import StatusConnection, Wait, WaitLimits, utc_now, wait_for_job
from airflow_bda.service.statuses import JobState

QUICK = WaitLimits(max_requests_per_second=1000.0, min_poll_interval=0.01, max_poll_interval=0.05)
CONFIG = Config(retries={"total_max_attempts": 1}, read_timeout=0.3)


class ClientSource:
    identity = "one"

    def __init__(self, client):
        self.client = client

    async def get_status(self, invocation_arn):
        response = await self.client.get_data_automation_status(invocationArn=invocation_arn)
        return JobState.from_response(invocation_arn, response)

    async def close(self):
        await self.client.__aexit__(None, None, None)


def answer(body: bytes, status: int = 200):
    async def handle(request):
        return web.Response(body=body, status=status)

    return handle


async def drop(request):
    request.transport.abort()
    return web.Response()


async def break_off(request):
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"status": "Succ')
    request.transport.abort()
    return response


async def keep_silent(request):
    await asyncio.sleep(1)
    return web.Response()


MISDEEDS = {
    "a page of HTML": answer(b"<html>Sign in to the guest network</html>"),
    "a page of HTML as an error": answer(b"<html>Bad gateway</html>", 502),
    "JSON that is no object": answer(b"[]"),
    "nothing": answer(b""),
    "bytes that are no text": answer(b"\xff\xfe\x00"),
    "an error without a code": answer(b"{}", 500),
    "a dropped connection": drop,
    "half an answer": break_off,
    "silence": keep_silent,
}


@pytest.fixture
async def misbehaving_server():
    """Answer with what the test puts in, last one first, then with success."""
    answers = []

    async def handle(request):
        return await (answers.pop() if answers else answer(b'{"status": "Success"}'))(request)

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", answers
    await runner.cleanup()


@pytest.mark.parametrize("misdeed", MISDEEDS)
async def test_a_misdeed_of_the_server_is_waited_out(misbehaving_server, misdeed, monkeypatch):
    monkeypatch.setattr(poller, "_RETRY_FIRST_SECONDS", 0.01)
    endpoint, answers = misbehaving_server
    answers += [*[MISDEEDS[misdeed]] * 3, answer(b'{"status": "InProgress"}')]

    async def open_source():
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        context = get_session().create_client(
            "bedrock-data-automation-runtime", endpoint_url=endpoint, config=CONFIG, **keys
        )
        return ClientSource(await context.__aenter__())

    lines = []
    outcome = await wait_for_job(
        Wait(
            ARN,
            deadline=utc_now() + timedelta(seconds=30),
            connection=StatusConnection("one", open_source),
            limits=QUICK,
            poll_interval=0.02,
            on_change=lines.append,
        )
    )
    assert outcome.state.status_text == "Success"
    assert not answers, "the server did misbehave"
    assert "Still waiting" in lines[1]
