"""How jobs move: through their states, so many at once, and not past a reset."""

from __future__ import annotations

import time
from dataclasses import replace

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.base_backend import BackendDict

from airflow_bda.emulator import EMULATOR
from airflow_bda.emulator.documents.contract import MadeBlueprint
from airflow_bda.emulator.runtime.job_records import JobBook, JobOrder
from airflow_bda.service.arns import INVOCATION, Arn
from airflow_bda.service.s3 import Modality, S3Uri
from airflow_bda.service.statuses import JobStatus


def configure(bda, **settings):
    EMULATOR.configure(replace(EMULATOR.settings, **settings), processor=bda.processor)


def test_a_job_is_created_then_in_progress_then_ended(bda):
    configure(bda, created_seconds=0.05)
    bda.processor.gate.clear()
    arn = bda.invoke()
    assert bda.status(arn)["status"] == "Created"
    assert bda.wait_until(arn, "InProgress")
    bda.processor.gate.set()
    assert bda.wait(arn)["status"] == "Success"


def test_beyond_the_concurrency_of_its_modality_a_job_stays_created(bda):
    configure(bda, concurrency={Modality.DOCUMENT: 1})
    bda.processor.gate.clear()
    first, second = bda.invoke(), bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf")})
    video = bda.invoke(inputConfiguration={"s3Uri": bda.upload("c.mp4")})
    bda.wait_until(first, "InProgress")
    bda.wait_until(video, "InProgress")
    assert bda.status(second)["status"] == "Created"
    bda.processor.gate.set()
    assert bda.wait(second)["status"] == "Success"


def test_inputs_are_read_a_few_at_a_time(bda):
    configure(bda, processing_threads=2)
    bda.processor.gate.clear()
    arns = [bda.invoke(inputConfiguration={"s3Uri": bda.upload(f"{number}.pdf")}) for number in range(5)]
    for arn in arns:
        bda.wait_until(arn, "InProgress")
    bda.processor.gate.set()
    for arn in arns:
        bda.wait(arn)
    assert bda.processor.most_at_once <= 2


def test_more_open_jobs_than_the_quota_are_refused(bda):
    configure(bda, open_jobs=1)
    bda.processor.gate.clear()
    first = bda.invoke(clientToken="token-1")
    with pytest.raises(ClientError, match="ServiceQuotaExceededException"):
        bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf")})
    assert bda.invoke(clientToken="token-1") == first
    bda.processor.gate.set()
    bda.wait(first)
    assert bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf")})


def test_ended_jobs_beyond_those_that_are_kept_are_forgotten_oldest_first(bda):
    configure(bda, kept_jobs=2)
    ended = []
    for number in range(4):
        ended.append(bda.invoke(clientToken=f"token-{number}"))
        bda.wait(ended[-1])
    bda.processor.gate.clear()
    open_job = bda.invoke(clientToken="token-4")

    for arn in ended[:2]:
        with pytest.raises(ClientError, match=r"ResourceNotFound.*has forgotten 2 ended jobs.*kept_jobs"):
            bda.status(arn)
    for arn in [*ended[2:], open_job]:
        assert bda.status(arn)
    assert bda.invoke(clientToken="token-3") == ended[3]
    assert bda.invoke(clientToken="token-0") not in ended
    bda.processor.gate.set()


def test_an_ended_job_keeps_no_schemas():
    book, arn = JobBook(), Arn("aws", "us-east-1", "123456789012", INVOCATION, "0")
    uri = S3Uri("inputs", "a.pdf")
    schema = MadeBlueprint("arn", "name", "a long schema")
    order = JobOrder(arn, b"", uri, "s3://outputs", Modality.DOCUMENT, made_blueprints=(schema,))
    job, _ = book.add(order, {}, limit=1, kept=1)
    job.end(JobStatus.SUCCESS, metadata_uri=uri)

    assert "a long schema" not in repr(job)


def test_calls_above_the_rate_are_throttled(bda):
    configure(bda, requests_per_second={"GetDataAutomationStatus": 0.001})
    arn = bda.invoke()
    bda.status(arn)
    with pytest.raises(ClientError, match="ThrottlingException"):
        without_retries().get_data_automation_status(invocationArn=arn)


def wait_for(condition):
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def without_retries():
    config = Config(retries={"max_attempts": 0})
    return boto3.client("bedrock-data-automation-runtime", region_name="us-east-1", config=config)


def test_a_job_goes_on_after_its_input_was_read_for_as_long_as_it_is_told_to(bda):
    configure(bda, in_progress_seconds=60)
    arn = bda.invoke()
    bda.wait_until(arn, "InProgress")
    wait_for(lambda: bda.processor.finished == 1)
    assert bda.status(arn)["status"] == "InProgress"


def test_an_input_that_is_deleted_before_its_turn_ends_in_a_client_error(bda):
    configure(bda, created_seconds=0.1)
    arn = bda.invoke()
    bda.s3.delete_object(Bucket="inputs", Key="a.pdf")
    assert bda.wait(arn)["status"] == "ClientError"


def test_an_output_bucket_that_is_deleted_meanwhile_ends_in_a_client_error(bda):
    bda.processor.gate.clear()
    arn = bda.invoke()
    bda.wait_until(arn, "InProgress")
    while not (keys := bda.output_keys()):
        time.sleep(0.01)
    assert keys == [f"results/{arn.rpartition('/')[2]}/0/.s3_access_check"]
    bda.s3.delete_object(Bucket="outputs", Key=keys[0])
    bda.s3.delete_bucket(Bucket="outputs")
    bda.processor.gate.set()
    assert bda.wait(arn)["status"] == "ClientError"


def test_a_job_of_the_old_state_writes_nothing_after_a_reset(bda):
    bda.processor.gate.clear()
    arn = bda.invoke()
    bda.wait_until(arn, "InProgress")
    BackendDict.reset()
    bda.s3.create_bucket(Bucket="outputs")
    bda.processor.gate.set()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        bda.status(arn)
    # The old job's thread has come to its end once a job behind it has.
    bda.s3.create_bucket(Bucket="inputs")
    new = bda.invoke()
    bda.wait(new)
    assert {key.split("/")[1] for key in bda.output_keys()} == {new.rpartition("/")[2]}


def test_listeners_hear_of_a_job_when_it_is_created_and_when_it_has_ended(bda):
    class Ear:
        def __init__(self):
            self.heard = []

        def job_created(self, job):
            self.heard.append(("created", job.arn, job.status.value))

        def job_ended(self, job):
            self.heard.append(("ended", job.arn, job.status.value))

    ear = Ear()
    EMULATOR.listeners.append(ear)
    try:
        bda.processor.gate.clear()
        arn = bda.invoke(clientToken="token-1")
        bda.invoke(clientToken="token-1")
        bda.processor.gate.set()
        bda.wait(arn)
        wait_for(lambda: len(ear.heard) == 2)
    finally:
        EMULATOR.listeners.remove(ear)
    assert ear.heard == [("created", arn, "Created"), ("ended", arn, "Success")]
