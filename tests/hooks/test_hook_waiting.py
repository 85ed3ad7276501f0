"""BdaHook, waiting: the same end both ways, and a client that never blocks the loop."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import datetime, timedelta, timezone

import pytest

from airflow_bda.hooks import BdaHook
from airflow_bda.hooks.bda import HookStatusSource
from airflow_bda.service.errors import (
    BdaClientError,
    BdaConnectionError,
    BdaRequestError,
    BdaServiceError,
    BdaTimeoutError,
)
from airflow_bda.service.statuses import JobStatus

PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
NO_SUCH_JOB = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/0000aaaa-0000-0000-0000-000000000000"


@pytest.fixture
def start(bda_emulator, sample_pdf):
    def start(key="a.pdf"):
        hook = BdaHook()
        document = bda_emulator.upload(sample_pdf, key)
        return hook.invoke(
            hook.build_request(input_s3_uri=document, output_s3_uri="s3://bda-test/out", project_arn=PROJECT)
        )

    return start


def both_ways(invocation_arn, **arguments):
    """Wait in blocking and in async form; give each one's value or error."""

    def blocking():
        return BdaHook().wait(invocation_arn, **arguments)

    def in_a_loop():
        return asyncio.run(BdaHook().wait_async(invocation_arn, **arguments))

    ends = []
    for wait in (blocking, in_a_loop):
        try:
            ends.append(wait())
        except Exception as error:  # noqa: BLE001  the error is what is compared
            ends.append(error)
    return ends


def test_both_ways_give_the_metadata_uri(bda_emulator, start):
    arn = start()

    ends = both_ways(arn)

    assert ends == [f"s3://bda-test/out/{arn.rpartition('/')[2]}/job_metadata.json"] * 2


@pytest.mark.parametrize(
    ("status", "error_class"), [("ClientError", BdaClientError), ("ServiceError", BdaServiceError)]
)
def test_both_ways_raise_the_same_for_a_job_that_failed(bda_emulator, start, status, error_class):
    bda_emulator.faults.add("failed_job", status=status, error_type="Odd", error_message="it is odd")
    arn = start()

    for error in both_ways(arn):
        assert type(error) is error_class
        assert (error.invocation_arn, error.status, error.error_type) == (arn, status, "Odd")
        assert error.error_message == "it is odd"


def test_both_ways_give_up_at_the_deadline_and_say_that_the_job_goes_on(bda_emulator, start):
    bda_emulator.faults.add("stuck_job")
    arn = start()

    # Even with no time at all, one look is taken.
    for error in both_ways(arn, max_wait=timedelta(0), poll_interval=0.2):
        assert type(error) is BdaTimeoutError
        assert (error.invocation_arn, error.status) == (arn, "Created")
        assert "The job keeps running" in str(error)


def test_invocation_that_does_not_exist_is_the_callers_mistake(bda_emulator):
    with pytest.raises(BdaRequestError, match="does not exist"):
        BdaHook().get_status(NO_SUCH_JOB)
    with pytest.raises(BdaRequestError, match="does not exist"):
        asyncio.run(BdaHook().get_status_async(NO_SUCH_JOB))


def test_state_is_the_same_both_ways(bda_emulator, start):
    arn = start()
    BdaHook().wait(arn)

    state = BdaHook().get_status(arn)

    assert state.status is JobStatus.SUCCESS
    assert asyncio.run(BdaHook().get_status_async(arn)) == state


def test_poll_interval_must_be_more_than_nothing(bda_emulator, start):
    with pytest.raises(BdaRequestError, match="poll_interval=0"):
        BdaHook().wait(start(), poll_interval=0)


def test_identity_is_what_the_connection_resolves_to_and_not_its_name(bda_emulator, monkeypatch):
    """Same settings under two names are one identity; any setting that decides how a call is signed makes another."""

    def identity(name, **changes):
        settings = json.loads(bda_emulator.airflow_connection)
        arguments = {key: changes.pop(key) for key in ("region_name", "verify", "config") if key in changes}
        settings["extra"].update(changes.pop("extra", {}))
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(settings | changes))
        return BdaHook(aws_conn_id=name, **arguments).identity

    plain = identity("one")

    assert identity("two") == plain
    changed = [
        identity("keys", login="other"),
        identity("secret", password="other"),
        identity("role", extra={"role_arn": "arn:aws:iam::123456789012:role/a"}),
        identity("other_role", extra={"role_arn": "arn:aws:iam::123456789012:role/b"}),
        identity(
            "external",
            extra={"role_arn": "arn:aws:iam::123456789012:role/a", "assume_role_kwargs": {"ExternalId": "x"}},
        ),
        identity("endpoint", extra={"endpoint_url": "http://127.0.0.1:1"}),
        identity("region", region_name="eu-west-1"),
        identity("verify", verify=False),
        identity("config", config={"read_timeout": 3}),
    ]
    assert len({plain, *changed}) == len(changed) + 1


def test_connection_that_is_edited_is_another_identity(bda_emulator, monkeypatch):
    hook = BdaHook()
    before = hook.identity
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", bda_emulator.airflow_connection.replace("testing", "edited"))

    assert asyncio.run(hook.identity_now()) != before


def test_roles_credentials_are_renewed_off_the_loop(bda_emulator, start, monkeypatch):
    """The amazon provider renews them with a blocking call; it must not run in the loop's thread."""
    from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory

    arn = start()
    settings = json.loads(bda_emulator.airflow_connection)
    settings["extra"] |= {
        "role_arn": "arn:aws:iam::123456789012:role/reader",
        "service_config": {"sts": {"endpoint_url": bda_emulator.endpoint_url}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(settings))
    threads = []
    assume = BaseSessionFactory._refresh_credentials

    def noted(self):
        threads.append(threading.current_thread())
        fresh = assume(self)
        # About to run out, so that the next call renews them.
        return (
            fresh | {"expiry_time": (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()}
            if (len(threads) == 1)
            else fresh
        )

    monkeypatch.setattr(BaseSessionFactory, "_refresh_credentials", noted)

    async def look():
        source = await HookStatusSource.open(BdaHook())
        try:
            return await source.get_status(arn)
        finally:
            await source.close()

    assert asyncio.run(look()).invocation_arn == arn
    assert len(threads) >= 2
    assert threading.main_thread() not in threads


def test_look_up_that_fails_for_a_while_fails_no_healthy_job(bda_emulator, start, monkeypatch):
    """The triggerer may come back before the API server or the secrets backend does."""
    arn = start()
    monkeypatch.setattr("airflow_bda.hooks.connection.full_jitter", lambda tries, **_: 0.0)
    look_up = BdaHook.resolve_async
    failures = [RuntimeError("no API server"), OSError("no secrets")]

    async def unsteady(self):
        if failures:
            raise failures.pop()
        await look_up(self)

    monkeypatch.setattr(BdaHook, "resolve_async", unsteady)

    assert asyncio.run(BdaHook().wait_async(arn))
    assert failures == []


def test_look_up_that_never_works_is_said(monkeypatch):
    monkeypatch.setattr("airflow_bda.hooks.connection.full_jitter", lambda tries, **_: 0.0)

    async def broken(self):
        raise RuntimeError("no API server")

    monkeypatch.setattr(BdaHook, "resolve_async", broken)

    with pytest.raises(BdaConnectionError, match="could not be looked up"):
        asyncio.run(BdaHook().wait_async(NO_SUCH_JOB))
