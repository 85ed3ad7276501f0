"""BdaStatusTrigger: a stored format, one event, no secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime, timedelta, timezone
from pkgutil import resolve_name

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_bda.hooks import BdaHook
from airflow_bda.service.errors import BdaClientError, BdaError, BdaRequestError
from airflow_bda.service.outcomes import JobOutcome
from airflow_bda.triggers import BdaStatusTrigger
from airflow_bda.triggers.bda import check_storable

ARN = "arn:aws:bedrock:eu-west-1:123456789012:data-automation-invocation/4e360000-1111-2222-3333-444455556666"
PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
# As version 0.1.0 wrote them: what is stored in somebody's database must load for ever.
STORED = [
    {"invocation_arn": ARN, "deadline": "2026-11-23T10:00:00+00:00", "aws_conn_id": "aws_default"},
    {
        "invocation_arn": ARN,
        "deadline": "2026-11-23T10:00:00.123456+00:00",
        "aws_conn_id": None,
        "poll_interval": 5.0,
        "region_name": "eu-west-2",
        "verify": False,
        "botocore_config": {"read_timeout": 10},
    },
]


def events_of(trigger):
    async def collect():
        return [event async for event in trigger.run()]

    return asyncio.run(collect())


def in_a_minute():
    return (datetime.now(timezone.utc) + timedelta(minutes=1)).isoformat()


@pytest.mark.parametrize("arguments", STORED)
def test_what_was_stored_loads_and_is_stored_again_alike(arguments):
    classpath, stored = BdaStatusTrigger(**arguments).serialize()

    assert classpath == "airflow_bda.triggers.bda.BdaStatusTrigger"
    assert stored == arguments
    assert json.loads(json.dumps(stored)) == arguments


@pytest.mark.parametrize("arguments", STORED)
def test_airflow_stores_and_loads_it(arguments):
    from airflow.models.trigger import Trigger

    row = Trigger.from_object(BdaStatusTrigger(**arguments))

    assert resolve_name(row.classpath)(**row.kwargs).serialize()[1] == arguments


def test_region_is_the_arns_unless_given():
    deadline = in_a_minute()

    assert BdaStatusTrigger(invocation_arn=ARN, deadline=deadline).hook()._region_name == "eu-west-1"
    given = BdaStatusTrigger(invocation_arn=ARN, deadline=deadline, region_name="eu-west-2", verify=False)
    assert (given.hook()._region_name, given.hook()._verify) == ("eu-west-2", False)


def test_end_is_one_event_without_contents_or_secrets(bda_emulator, sample_pdf):
    hook = BdaHook()
    document = bda_emulator.upload(sample_pdf, "a.pdf")
    arn = hook.invoke(hook.build_request(input_s3_uri=document, output_s3_uri="s3://bda-test/out", project_arn=PROJECT))

    (event,) = events_of(BdaStatusTrigger(invocation_arn=arn, deadline=in_a_minute()))

    assert isinstance(event, TriggerEvent)
    assert event.payload == {
        "status": "success",
        "invocation_arn": arn,
        "output_metadata_uri": f"s3://bda-test/out/{arn.rpartition('/')[2]}/job_metadata.json",
    }


def test_deadline_that_has_passed_still_sees_a_job_that_has_ended(bda_emulator, sample_pdf):
    """A triggerer that was down for long must not fail a job that succeeded meanwhile."""
    hook = BdaHook()
    document = bda_emulator.upload(sample_pdf, "a.pdf")
    arn = hook.invoke(hook.build_request(input_s3_uri=document, output_s3_uri="s3://bda-test/out", project_arn=PROJECT))
    hook.wait(arn)

    (event,) = events_of(BdaStatusTrigger(invocation_arn=arn, deadline="2020-01-01T00:00:00+00:00"))

    assert event.payload["status"] == "success"


def test_error_survives_the_event():
    error = BdaClientError(
        "The job ended.", invocation_arn=ARN, status="ClientError", error_type="T", error_message="M"
    )

    event = json.loads(json.dumps(JobOutcome(ARN, error=error).to_event()))
    again = JobOutcome.from_event(event).error

    assert type(again) is BdaClientError
    assert str(again) == str(error)
    assert vars(again) == vars(error) | {"remedy": error.remedy}


@pytest.mark.parametrize(
    "event", [None, {}, {"status": "odd"}, {"status": "success"}, {"status": "error"}, {"error": {}}]
)
def test_event_that_says_nothing_is_never_success(event):
    with pytest.raises(BdaError):
        JobOutcome.from_event(event).metadata_uri()


def test_error_of_a_later_release_is_still_an_error():
    event = {"status": "error", "invocation_arn": ARN, "error": {"class": "BdaNewError", "message": "new", "also": 1}}

    assert str(JobOutcome.from_event(event).error) == "new"


def test_kill_says_that_the_job_goes_on(caplog):
    trigger = BdaStatusTrigger(invocation_arn=ARN, deadline=in_a_minute())
    # Airflow 3 logs through structlog, past pytest; the standard library's logger is one that both take.
    trigger._log = logging.getLogger("trigger")

    with caplog.at_level(logging.WARNING):
        asyncio.run(trigger.on_kill())

    assert [record.getMessage() for record in caplog.records] == [
        f"BDA cannot cancel a job: invocation {ARN} goes on and is billed, though its task was ended."
    ]


def test_password_of_a_proxy_is_not_stored():
    with pytest.raises(BdaRequestError, match="config_kwargs") as refused:
        check_storable({"proxies": {"https": "http://user:hunter2@proxy:3128"}})

    assert "hunter2" not in str(refused.value)
    check_storable({"proxies": {"https": "http://proxy:3128"}, "read_timeout": 3})
    check_storable(None)
