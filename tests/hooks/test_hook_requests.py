"""BdaHook, invoking: what reaches the service, and what a refusal says."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone

import pytest

from airflow_bda.hooks import BdaHook
from airflow_bda.service.errors import BdaConnectionError, BdaPermissionError, BdaRequestError, BdaTimeoutError

PDF = b"%PDF-1.4 not read by these tests"
PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"


@pytest.fixture
def document(bda_emulator):
    return bda_emulator.upload(PDF, "a.pdf")


def request_for(hook, document, **members):
    return hook.build_request(input_s3_uri=document, output_s3_uri="s3://bda-test/out", project_arn=PROJECT, **members)


def soon(seconds=30):
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def connection(emulator, **extra):
    settings = json.loads(emulator.airflow_connection)
    settings["extra"].update(extra)
    return json.dumps(settings)


def test_profile_is_derived_from_region_and_account_with_one_look_up(bda_emulator, document, monkeypatch):
    hook = BdaHook(region_name="ca-central-1")
    looked_up = []
    monkeypatch.setattr(
        type(hook), "account_id", property(lambda self: looked_up.append(1) or "123456789012"), raising=True
    )

    request = hook.build_request(input_s3_uri=document, output_s3_uri="s3://bda-test/out")

    assert request.profile_arn == (
        "arn:aws:bedrock:ca-central-1:123456789012:data-automation-profile/na.data-automation-v1"
    )
    assert looked_up == [1]


def test_account_is_not_looked_up_for_a_profile_that_is_given(bda_emulator, document, monkeypatch):
    monkeypatch.setattr(BdaHook, "account_id", property(lambda self: pytest.fail("the account was looked up")))
    profile = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"

    assert request_for(BdaHook(), document, profile_arn=profile).profile_arn == profile


def test_account_is_not_looked_up_for_a_request_that_is_wrong_anyway(bda_emulator, monkeypatch):
    monkeypatch.setattr(BdaHook, "account_id", property(lambda self: pytest.fail("the account was looked up")))

    with pytest.raises(BdaRequestError) as refused:
        BdaHook(region_name="eu-north-1").build_request(input_s3_uri="s3://b/{{ ds }}.pdf", output_s3_uri="out")

    problems = "\n".join(refused.value.problems)
    assert "input_s3_uri" in problems
    assert "output_s3_uri" in problems
    assert "eu-north-1" in problems
    assert "us-west-2" in problems
    assert "pass the profile's ARN" in problems


def test_a_project_of_another_region_than_the_connection_is_named(bda_emulator, document, monkeypatch):
    monkeypatch.setattr(BdaHook, "account_id", property(lambda self: pytest.fail("the account was looked up")))

    with pytest.raises(BdaRequestError, match=r"project_arn is .*'us-east-1'.*made in 'eu-west-1'"):
        request_for(BdaHook(region_name="eu-west-1"), document)


def test_missing_region_is_said(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(BdaRequestError, match="region_name"):
        BdaHook(aws_conn_id=None).build_request(input_s3_uri="s3://bda/a.pdf", output_s3_uri="s3://bda/out")


def test_invoke_starts_one_job_both_ways(bda_emulator, document):
    hook = BdaHook()

    first = hook.invoke(request_for(hook, document, client_token="one"))
    second = asyncio.run(hook.invoke_async(request_for(hook, document, client_token="two")))

    assert [job.invocation_arn for job in bda_emulator.jobs] == [first, second]


@pytest.mark.parametrize(
    ("input_uri", "output_uri", "said"),
    [
        ("s3://bda-test/missing.pdf", "s3://bda-test/out", "does not exist."),
        ("s3://no-such-bucket/a.pdf", "s3://bda-test/out", "input bucket 'no-such-bucket' does not exist"),
        ("s3://bda-test/a.pdf", "s3://no-such-bucket/out", "output bucket 'no-such-bucket' does not exist"),
    ],
)
def test_refused_access_says_which_cause_it_has(bda_emulator, document, input_uri, output_uri, said):
    hook = BdaHook()
    request = hook.build_request(input_s3_uri=input_uri, output_s3_uri=output_uri, project_arn=PROJECT)

    with pytest.raises(BdaPermissionError, match=said) as refused:
        hook.invoke(request)
    with pytest.raises(BdaPermissionError, match=said):
        asyncio.run(hook.invoke_async(request))

    assert refused.value.error_type == "AccessDeniedException"
    assert refused.value.input_s3_uri == input_uri
    assert bda_emulator.jobs == []


def test_submit_waits_throttling_and_lost_answers_out_with_one_job(bda_emulator, document, quick_pauses):
    bda_emulator.faults.add("throttling", operation="InvokeDataAutomationAsync", times=6)
    bda_emulator.faults.add("lost_answer", operation="InvokeDataAutomationAsync", times=5)
    hook = BdaHook(config={"retries": {"total_max_attempts": 1}})

    arn = hook.submit(request_for(hook, document, client_token="same"), deadline=soon())

    assert [job.invocation_arn for job in bda_emulator.jobs] == [arn]
    assert bda_emulator.calls["InvokeDataAutomationAsync"] == 12


def test_submit_gives_up_at_its_deadline_and_names_the_document(bda_emulator, document, quick_pauses):
    bda_emulator.faults.add("throttling", operation="InvokeDataAutomationAsync")
    hook = BdaHook(config={"retries": {"total_max_attempts": 1}})

    with pytest.raises(BdaTimeoutError) as late:
        hook.submit(request_for(hook, document, client_token="same"), deadline=soon(seconds=0.2))

    assert late.value.input_s3_uri == document
    assert late.value.error_type == "ThrottlingException"


def test_endpoint_that_refuses_is_said_soon(document, monkeypatch, quick_pauses):
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws", "extra": {"endpoint_url": "http://127.0.0.1:9"}}'
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    hook = BdaHook(region_name="us-east-1", config={"retries": {"total_max_attempts": 1}, "connect_timeout": 1})
    profile = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"

    with pytest.raises(BdaConnectionError, match="endpoint_url"):
        hook.submit(request_for(hook, document, profile_arn=profile, client_token="same"), deadline=soon(3600))


def test_credentials_that_do_not_exist_are_said(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(BdaConnectionError, match="credentials"):
        BdaHook(aws_conn_id=None).build_request(input_s3_uri="s3://bda/a.pdf", output_s3_uri="s3://bda/out")


def test_body_that_is_not_json_is_no_success(bda_emulator, document):
    bda_emulator.faults.add("not_json")
    hook = BdaHook(config={"retries": {"total_max_attempts": 1}})
    request = request_for(
        hook,
        document,
        profile_arn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
    )

    with pytest.raises(BdaConnectionError):
        hook.invoke(request)
    with pytest.raises(BdaConnectionError):
        asyncio.run(hook.invoke_async(request))


def test_connection_settings_reach_both_clients(bda_emulator, monkeypatch):
    """Region, verify and botocore's configuration, from the connection and from the caller, sync and async."""
    settings = connection(bda_emulator, region_name="eu-west-2", config_kwargs={"read_timeout": 17})
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", settings)

    async def async_config(hook):
        async with await hook.async_client() as client:
            return client.meta

    for given, retries in ((None, 4), ({"retries": {"mode": "standard", "total_max_attempts": 9}}, 9)):
        hook = BdaHook(config=given, verify=False)
        for meta in (hook.conn.meta, asyncio.run(async_config(hook))):
            assert meta.region_name == "eu-west-2"
            assert meta.endpoint_url == bda_emulator.endpoint_url
            assert meta.config.retries["total_max_attempts"] == retries
            assert meta.config.retries["mode"] == "standard"
            assert "airflow-bda/" in meta.config.user_agent_extra
            assert "Airflow/" in meta.config.user_agent_extra
        if given is None:
            assert hook.conn.meta.config.read_timeout == 17
        assert hook.verify is False
