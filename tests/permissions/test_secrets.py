"""No secret travels: planted in every place that may hold one, looked for in every place that is read."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_bda.cli import main
from airflow_bda.engine.event_queue import EventQueue
from airflow_bda.hooks import BdaHook
from airflow_bda.service.errors import BdaError, BdaRequestError
from airflow_bda.triggers import BdaJobEventTrigger, BdaStatusTrigger
from airflow_bda.triggers.bda import check_storable

SECRETS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=24, max_size=24).map(lambda text: f"S{text}")
ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/0266d013-0000-0000-0000-000000000000"
_SHARED = {"deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


class Planted:
    """Secrets, each in a place of its own."""

    def __init__(self, secrets: list[str]) -> None:
        self.key, self.token, self.context, self.variable, self.extra = secrets
        self.all = secrets

    def connection(self, endpoint_url: str) -> str:
        extra = {
            "aws_session_token": self.token,
            "endpoint_url": endpoint_url,
            "region_name": "us-east-1",
            "config_kwargs": {"user_agent_extra": "x", "retries": {"total_max_attempts": 1}},
            "note": self.extra,
        }
        return json.dumps({"conn_type": "aws", "login": "AKIAIOSFODNN7EXAMPLE", "password": self.key, "extra": extra})

    def seen_in(self, *texts: object) -> list[str]:
        return [secret for secret in self.all for text in texts if secret in str(text)]


@pytest.fixture
def said(caplog):
    """Everything that this package logs, at DEBUG; botocore's own log at DEBUG is botocore's."""
    caplog.set_level(logging.DEBUG, "airflow_bda")
    return caplog


@settings(max_examples=8, **_SHARED)
@given(secrets=st.lists(SECRETS, min_size=5, max_size=5, unique=True))
def test_a_job_from_start_to_end_shows_no_secret(  # noqa: PLR0917  fixtures
    secrets, bda_emulator, sample_pdf, said, capsys, monkeypatch, tmp_path
):
    planted = Planted(secrets)
    monkeypatch.setenv("AIRFLOW_CONN_PLANTED", planted.connection(bda_emulator.endpoint_url))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", planted.variable)
    uri = bda_emulator.upload(sample_pdf, "a.pdf")
    hook = BdaHook(aws_conn_id="planted")
    request = hook.build_request(
        input_s3_uri=uri,
        output_s3_uri="s3://bda-test/out",
        kms_key_id="alias/x",
        kms_encryption_context={"tenant": planted.context},
    )
    told: list[object] = [repr(request), str(request), repr(hook.__dict__.get("conn", ""))]

    invocation_arn = hook.invoke(request)
    deadline = (datetime.now(timezone.utc) + timedelta(minutes=1)).isoformat()
    told.append(BdaStatusTrigger(invocation_arn=invocation_arn, deadline=deadline, aws_conn_id="planted").serialize())
    told.append(hook.get_status(invocation_arn))
    for wrong in (
        lambda: hook.get_status(ARN),
        lambda: hook.invoke(hook.build_request(input_s3_uri="s3://bda-test/none.pdf", output_s3_uri="s3://bda-test/o")),
        lambda: hook.build_request(
            input_s3_uri="{{ x }}", output_s3_uri="o", kms_encryption_context={"a": planted.key}
        ),
    ):
        with pytest.raises(BdaError) as failed:
            wrong()
        told += [str(failed.value), repr(failed.value), failed.value.__dict__]
    main(["doctor", "--conn-id", "planted", "--input", uri, "--output", "s3://bda-test/out", "--json"])
    told.append(hook.wait(invocation_arn))
    main(["results", invocation_arn, "--conn-id", "planted", "--json"])
    report = tmp_path / "report.html"
    main(["report", invocation_arn, "--conn-id", "planted", "-o", str(report)])
    told.append(report.read_text())
    printed = capsys.readouterr()

    assert planted.seen_in(*told, said.text, printed.out, printed.err) == []
    said.clear()


@pytest.mark.parametrize("secret_url", ["http://user:{}@proxy:3128", "http://{}@proxy:3128", "user:{}@proxy:3128"])
@settings(max_examples=10, **_SHARED)
@given(secret=SECRETS)
def test_a_secret_in_a_proxy_is_refused_and_not_repeated(secret_url, secret):
    config = {"proxies": {"https": secret_url.format(secret)}}

    for store in (
        lambda: check_storable(config),
        lambda: BdaJobEventTrigger(sqs_queue_url="https://sqs.us-east-1.amazonaws.com/1/q", botocore_config=config),
    ):
        with pytest.raises(BdaRequestError) as refused:
            store()
        assert secret not in str(refused.value)


async def test_a_queue_that_cannot_be_read_says_why_without_the_credentials(said):
    async def refuse():
        raise PermissionError("denied")

    log = logging.getLogger("airflow_bda.tests")
    queue = EventQueue("https://sqs.us-east-1.amazonaws.com/123456789012/q", refuse, log)

    assert await queue._try_to_receive(0) is None
    assert "denied" in said.text
