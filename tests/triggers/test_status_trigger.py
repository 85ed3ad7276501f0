"""BdaStatusTrigger: a stored format, one event, no secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime, timedelta, timezone
from pkgutil import resolve_name

import pytest
from airflow.triggers.base import TriggerEvent
from botocore.config import Config

from airflow_bda.hooks import BdaHook
from airflow_bda.service.errors import BdaClientError, BdaError, BdaRequestError
from airflow_bda.service.statuses import JobOutcome
from airflow_bda.triggers import BdaStatusTrigger
from airflow_bda.triggers.bda import check_storable

ARN = "arn:aws:bedrock:eu-west-1:123456789012:data-automation-invocation/4e360000-1111-2222-3333-444455556666"
PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
# As version 0.1.0 wrote them: what is stored in a database must load for ever.
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


# As version 0.1.0 wrote them, for a worker that may be a later release.
WRITTEN_EVENTS = [
    (
        {"status": "success", "invocation_arn": ARN, "output_metadata_uri": "s3://b/o/4e36/job_metadata.json"},
        JobOutcome(ARN, output_metadata_uri="s3://b/o/4e36/job_metadata.json"),
    ),
    (
        {
            "status": "error",
            "invocation_arn": ARN,
            "message": f"The data automation job ended in ClientError. (invocation: {ARN}; status: ClientError; "
            "error type: T; message: M). Mend the input.",
            "error": {
                "class": "BdaClientError",
                "message": "The data automation job ended in ClientError.",
                "remedy": "Mend the input.",
                "invocation_arn": ARN,
                "status": "ClientError",
                "error_type": "T",
                "error_message": "M",
            },
        },
        JobOutcome(
            ARN,
            error=BdaClientError(
                "The data automation job ended in ClientError.",
                remedy="Mend the input.",
                invocation_arn=ARN,
                status="ClientError",
                error_type="T",
                error_message="M",
            ),
        ),
    ),
]


@pytest.mark.parametrize(("event", "expected"), WRITTEN_EVENTS, ids=["success", "error"])
def test_an_event_that_was_written_is_read(event, expected):
    outcome = JobOutcome.from_event(event)

    assert (outcome.invocation_arn, outcome.output_metadata_uri) == (
        expected.invocation_arn,
        expected.output_metadata_uri,
    )
    assert type(outcome.error) is type(expected.error)
    assert str(outcome.error) == str(expected.error)
    # And the other way round: a worker of that release reads what this one writes.
    assert {key: value for key, value in expected.to_event().items() if key != "message"} == {
        key: value for key, value in event.items() if key != "message"
    }


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
        f"BDA cannot cancel a job: invocation {ARN} keeps running and is billed, though its task was ended."
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@proxy:3128",
        "user:hunter2@proxy:3128",
        "//user:hunter2@proxy:3128",
        "http:user:hunter2@proxy",
        "http://hunter2@proxy",
        "hunter2@proxy",
        "socks5h://user:hunter2@proxy",
        "http://user:hunter2%40proxy:3128",
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http", "https://bedrock.us-east-1.amazonaws.com"])
def test_user_information_of_a_proxy_is_not_stored(scheme, url):
    """In every form that botocore takes."""
    with pytest.raises(BdaRequestError, match="config_kwargs") as refused:
        check_storable({"proxies": {scheme: url}})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("proxies", [["http://user:hunter2@proxy"], "http://user:hunter2@proxy", 3])
def test_proxies_of_another_shape_are_refused(proxies):
    with pytest.raises(BdaRequestError, match="proxies is a dictionary") as refused:
        check_storable({"proxies": proxies})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("config", [{"proxies": {"https": "http://proxy:3128"}, "read_timeout": 3}, {}, None])
def test_what_holds_no_secret_is_stored(config):
    check_storable(config)


def test_a_configuration_that_is_no_dictionary_is_refused():
    with pytest.raises(BdaRequestError, match="botocore_config: pass a dictionary"):
        check_storable(Config(read_timeout=3))
