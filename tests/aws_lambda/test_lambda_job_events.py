"""What the function for job events writes and returns."""

from __future__ import annotations

import json

import pytest

from airflow_bda.aws_lambda.job_events import handle
from airflow_bda.service.errors import BdaError

JOB_ID = "4e36aaaa-1111-2222-3333-444455556666"
KINDS = {
    "Created": "JobsCreated",
    "Succeeded": "JobsSucceeded",
    "Failed With Client Error": "JobsFailedByInput",
    "Failed With Service Error": "JobsFailedByService",
    "Paused": "JobEventsNotKnown",
}


def event(kind: str = "Succeeded") -> dict:
    return {
        "id": "11112222-3333-4444-5555-666677778888",
        "detail-type": f"Bedrock Data Automation Job {kind}",
        "source": "aws.bedrock",
        "account": "123456789012",
        "region": "us-east-1",
        "detail": {
            "job_id": JOB_ID,
            "job_status": "SUCCESS",
            "semantic_modality": "Document",
            "output_s3_location": {"s3_bucket": "out-bucket", "name": f"p/{JOB_ID}/0"},
            "job_duration_in_seconds": 16,
        },
    }


def message(body: str, message_id: str) -> dict:
    return {"messageId": message_id, "body": body, "eventSource": "aws:sqs"}


def test_an_event_comes_back_in_the_terms_of_the_rest(context):
    told = handle(event(), context)

    assert told["invocation_arn"].endswith(f":data-automation-invocation/{JOB_ID}")
    assert told["status"] == "Success"
    assert told["output_metadata_uri"] == f"s3://out-bucket/p/{JOB_ID}/job_metadata.json"
    json.dumps(told)


@pytest.mark.parametrize(("kind", "metric"), KINDS.items())
def test_each_kind_is_counted_by_its_name(kind, metric, context, written):
    handle(event(kind), context)

    log, metrics = written()
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    assert declared["Metrics"] == [{"Name": metric, "Unit": "Count"}, {"Name": "JobDuration", "Unit": "Seconds"}]
    assert (metrics[metric], metrics["JobDuration"], metrics["FunctionName"]) == (1, 16, "bda")
    assert log["event"]["key"]
    assert log["level"] == {"Paused": "WARN", "Created": "INFO", "Succeeded": "INFO"}.get(kind, "ERROR")


def test_of_a_batch_only_what_cannot_be_read_goes_back(context, written):
    records = [message(json.dumps(event()), "a"), message("nonsense", "b"), message(json.dumps(event("Created")), "c")]

    told = handle({"Records": records}, context)

    assert told == {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert [line["messageId"] for line in written() if line.get("level") == "ERROR"] == ["b"]


@pytest.mark.parametrize("job_id", [None, {"a": "b"}, "x\ny"])
def test_an_event_that_names_no_job_goes_back(context, job_id):
    unclear = event()
    unclear["detail"]["job_id"] = job_id

    assert handle({"Records": [message(json.dumps(unclear), "a")]}, context) == {
        "batchItemFailures": [{"itemIdentifier": "a"}]
    }


@pytest.mark.parametrize("message_id", [float("inf"), None, ["b"]])
def test_a_record_without_a_usable_id_fails_the_batch(context, message_id):
    """Lambda takes an identifier of null for the failure of all."""
    told = handle({"Records": [message(json.dumps(event()), "a"), message("nonsense", message_id)]}, context)

    assert told == {"batchItemFailures": [{"itemIdentifier": None}]}


def test_a_topic_is_heard_too(context):
    told = handle({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(event())}}]}, context)

    assert told["status"] == "Success"


@pytest.mark.parametrize("nonsense", [{}, [], None, {"inputS3Uri": "s3://a/b"}])
def test_what_is_no_event_counts_as_failed(nonsense, context):
    """Lambda repeats it, and hands it to the dead-letter queue in the end."""
    with pytest.raises(BdaError):
        handle(nonsense, context)


def test_an_event_of_s3_is_refused_with_the_way_out(context):
    created = {"source": "aws.s3", "detail-type": "Object Created", "account": "123456789012", "region": "us-east-1"}
    created["detail"] = {"bucket": {"name": "in-bucket"}, "object": {"key": "a.pdf"}}

    with pytest.raises(BdaError, match=r"'Object Created' is from 'aws.s3'.*\n.*'aws.bedrock'.*aws_lambda\.handler"):
        handle(created, context)
    records = [message(json.dumps(created), "a"), message(json.dumps(event()), "b")]
    assert handle({"Records": records}, context) == {"batchItemFailures": [{"itemIdentifier": "a"}]}
