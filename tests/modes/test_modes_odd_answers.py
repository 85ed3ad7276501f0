"""What something else than BDA may answer, on the wire: a sensor that pokes and a trigger take it alike."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from airflow_bda.exceptions import BdaConnectionError, BdaError, BdaPermissionError
from airflow_bda.sensors import BdaStatusSensor
from airflow_bda.triggers import BdaStatusTrigger

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e360000-1111-2222-3333-444455556666"
ONE_TRY = {"retries": {"mode": "standard", "total_max_attempts": 1}}
URI = "s3://bucket/out/4e36/job_metadata.json"


def answer(body, status=200, **headers):
    return status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers


def refusal(code, status=400):
    return answer({"__type": code, "message": "why"}, status, **{"x-amzn-ErrorType": code})


RUNNING, ENDED = answer({"status": "InProgress"}), answer({"status": "Success", "outputConfiguration": {"s3Uri": URI}})
# From whatever stands in between: it says nothing of the job.
FOREIGN = {
    "a proxy's page with 403": answer(b"<html>Forbidden</html>", 403),
    "a proxy's page with 407": answer(b"<html>Who are you?</html>", 407),
    "a redirect": answer(b"", 302, Location="http://127.0.0.1:9/sign-in"),
    "an error without a code": answer({}, 400),
    "null": answer(None),
    "a list": answer([1, 2]),
    "a text": answer("InProgress"),
    "a page": answer(b"<html>Sign in</html>"),
    "a status that is a list": answer({"status": ["InProgress"]}),
    "an output that is a text": answer({"status": "InProgress", "outputConfiguration": "s3://bucket"}),
    "a time that is none": answer({"status": "InProgress", "jobSubmissionTime": "a while ago"}),
    "a time beyond all times": answer({"status": "InProgress", "jobSubmissionTime": 1e300}),
    "endless nesting": answer(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "no UTF-8": answer(b'{"status": "\xff"}'),
}
CREDENTIALS = {
    "a key that is being rotated": refusal("UnrecognizedClientException", 403),
    "a key that is gone": refusal("InvalidClientTokenId", 403),
    "a clock that is wrong": refusal("InvalidSignatureException", 403),
}
ODD = FOREIGN | CREDENTIALS


@pytest.fixture
def serve(monkeypatch):
    """Answer with what the test gives, in turn, then with the job's end; `aws_default` leads there."""
    servers = []

    def serve(*answers):
        waiting = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body, headers = waiting.pop(0) if waiting else ENDED
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extra = {"region_name": "us-east-1", "endpoint_url": f"http://127.0.0.1:{server.server_port}"}
        connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    monkeypatch.setattr("airflow_bda.engine.poller._RETRY_FIRST_SECONDS", 0.05)
    monkeypatch.setattr("airflow_bda.engine.client._REOPEN_FIRST_SECONDS", 0.05)
    monkeypatch.setattr("airflow_bda.engine.judging._PAUSE_FIRST_SECONDS", 0.05)
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def by_poke(looks=6):
    sensor = BdaStatusSensor(task_id="wait", invocation_arn=ARN, deferrable=False, botocore_config=ONE_TRY)
    context = {"ti": SimpleNamespace(xcom_push=lambda key, value: None, map_index=-1)}
    for _ in range(looks):
        ended = sensor.poke(context)
        if ended:
            return ended.xcom_value
    return "still waiting"


def by_trigger():
    deadline = (datetime.now(timezone.utc) + timedelta(seconds=60)).isoformat()
    trigger = BdaStatusTrigger(invocation_arn=ARN, deadline=deadline, poll_interval=0.05, botocore_config=ONE_TRY)

    async def first():
        return (await anext(trigger.run())).payload

    payload = asyncio.run(first())
    return payload.get("output_metadata_uri") or payload["error"]["class"]


@pytest.mark.parametrize("way", [by_poke, by_trigger])
@pytest.mark.parametrize("odd", ODD)
def test_a_passing_error_fails_no_healthy_job(serve, odd, way):
    serve(RUNNING, ODD[odd], ODD[odd])

    assert way() == URI


@pytest.mark.parametrize("odd", FOREIGN)
def test_an_answer_from_something_else_is_not_taken_as_a_refusal(serve, odd):
    serve(FOREIGN[odd], FOREIGN[odd])

    assert by_poke() == URI


@pytest.mark.parametrize("odd", [*CREDENTIALS, "a proxy's page with 403", "null"])
def test_a_triggerer_that_has_just_started_keeps_waiting(serve, odd):
    """The connection worked before it was started again."""
    serve(ODD[odd], ODD[odd])

    assert by_trigger() == URI


@pytest.mark.parametrize("odd", CREDENTIALS)
def test_a_first_look_with_refused_credentials_fails_at_once(serve, odd):
    serve(*[CREDENTIALS[odd]] * 10)

    with pytest.raises(BdaConnectionError, match="credentials are missing or not valid"):
        by_poke()


def test_a_first_look_that_never_gets_an_answer_fails_early(serve, monkeypatch):
    monkeypatch.setattr("airflow_bda.engine.judging.NEVER_REACHED_SECONDS", 0.5)
    serve(*[FOREIGN["a proxy's page with 407"]] * 1000)

    with pytest.raises(BdaConnectionError, match="Who are you") as caught:
        by_poke(looks=1)
    assert caught.value.invocation_arn == ARN


@pytest.mark.parametrize(
    ("code", "error_class"), [("AccessDeniedException", BdaPermissionError), ("SomethingNew", BdaError)]
)
def test_what_the_service_refuses_ends_the_wait_alike(serve, code, error_class):
    serve(RUNNING, *[refusal(code)] * 5)
    with pytest.raises(error_class) as caught:
        by_poke()
    serve(RUNNING, *[refusal(code)] * 5)

    assert by_trigger() == type(caught.value).__name__.replace("FailException", "Error") == error_class.__name__
