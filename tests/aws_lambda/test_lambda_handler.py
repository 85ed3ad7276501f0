"""The events and answers that callers rely on, from the function itself and against the emulator."""

from __future__ import annotations

import json
import time
from io import BytesIO

import pytest
from PIL import Image

from airflow_bda.aws_lambda.handler import handle

KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
INVOICE = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"


@pytest.fixture
def event(bda_emulator):
    """Return an event as other teams send it."""
    return {
        "profileArn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
        "projectArn": PROJECT,
        "inputS3Uri": bda_emulator.upload(b"Dear reader", "in/letter.pdf"),
        "outputS3Uri": bda_emulator.make_bucket() + "/out/",
        "enableEventBridge": True,
    }


@pytest.fixture
def no_second_try(monkeypatch):
    """Leave time for one call."""
    monkeypatch.setattr("airflow_bda.aws_lambda.handler.RESERVE_SECONDS", 3600.0)


def body_of(answer: dict) -> dict:
    assert set(answer) == {"statusCode", "body"}
    return json.loads(answer["body"])


def ended(arn: str, context) -> dict:
    for _ in range(200):
        body = body_of(handle({"invocationArn": arn}, context))
        if body["status"] not in {"Created", "InProgress"}:
            return body
        time.sleep(0.05)
    raise AssertionError(f"the job goes on: {body}")


def test_an_invoke_event_starts_a_job(bda_emulator, event, context):
    answer = handle(event, context)

    (job,) = bda_emulator.jobs
    assert answer["statusCode"] == 200
    assert body_of(answer) == {"message": "BDA invocation started", "invocationArn": job.invocation_arn}


def test_profile_and_project_may_be_left_out(event, context):
    del event["profileArn"], event["projectArn"]

    assert handle(event, context)["statusCode"] == 200


def test_the_profile_is_the_functions_own(bda_emulator, event, context, monkeypatch):
    """It comes from the region that Lambda names, and from the account of the function's ARN."""
    del event["profileArn"]
    monkeypatch.setenv("AWS_REGION", "ca-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ca-central-1")
    context.invoked_function_arn = "arn:aws:lambda:ca-central-1:123456789012:function:bda:live"

    assert handle({**event, "projectArn": None}, context)["statusCode"] == 200
    assert ":ca-central-1:123456789012:" in bda_emulator.jobs[0].invocation_arn


def test_in_a_region_without_a_known_profile_it_must_be_given(event, context, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "mars-north-1")
    del event["profileArn"], event["projectArn"]

    answer = handle({**event, "inputS3Uri": "https://x"}, context)

    assert answer["statusCode"] == 400
    profile, uri = body_of(answer)["problems"]
    assert "pass the profile's ARN as profileArn" in profile
    assert uri.startswith("inputS3Uri is 'https://x'")


def test_a_repeated_token_starts_no_second_job(bda_emulator, event, context):
    """The event's clientToken decides; without one, Lambda's id of the request, which its own repetitions share."""
    first = handle({**event, "clientToken": "abc-1"}, context)
    context.aws_request_id = "another-request"
    again = handle({**event, "clientToken": "abc-1"}, context)
    by_request = handle(event, context)
    by_request_again = handle(event, context)

    assert first == again
    assert by_request == by_request_again
    assert len(bda_emulator.jobs) == 2


def test_a_status_is_told_to_the_end(event, bda_emulator, context):
    bda_emulator.configure(created_seconds=0.0, in_progress_seconds=0.0)
    event["inputS3Uri"] = bda_emulator.upload(_png(), "picture.png")
    arn = body_of(handle(event, context))["invocationArn"]

    body = ended(arn, context)

    assert body["status"] == "Success"
    assert body["outputLocation"].endswith("/job_metadata.json")
    assert "error" not in body


def test_a_job_that_failed_is_told_of(event, bda_emulator, context):
    bda_emulator.configure(created_seconds=0.0, in_progress_seconds=0.0)
    event["inputS3Uri"] = bda_emulator.upload(b"no PDF at all", "broken.pdf")
    arn = body_of(handle(event, context))["invocationArn"]

    body = ended(arn, context)

    assert body["status"] == "ClientError"
    assert set(body["error"]) == {"type", "message"}
    assert "outputLocation" not in body


def test_all_that_is_wrong_is_told_at_once_in_the_events_own_words(bda_emulator, context):
    answer = handle(
        {
            "inputS3Uri": "s3://bucket/{{ ds }}.pdf",
            "projectArn": "arn:aws:bedrock:us-east-1:123456789012:data-automation/x",
            "kmsKey": KEY,
            "kmsEncryptionContext": {"secret": "context"},
        },
        context,
    )

    body = body_of(answer)
    assert answer["statusCode"] == 400
    assert isinstance(body["error"], str)
    told = {problem.partition(" ")[0] for problem in body["problems"]}
    assert told == {"inputS3Uri", "outputS3Uri", "projectArn", "kmsKey", "kmsKeyId"}
    assert "kmsKey is not known: write kmsKeyId." in body["problems"]
    assert "_s3_uri" not in answer["body"]
    assert bda_emulator.calls == {}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ({}, "neither inputS3Uri"),
        ({"invocationArn": "x", "inputS3Uri": "y"}, "send one of them"),
        ({"detail-type": "x"}, "airflow_bda.aws_lambda.job_events"),
        ({"Records": []}, "airflow_bda.aws_lambda.job_events"),
        ({"invocationArn": "4e36aaaa-1111-2222-3333-444455556666"}, "invocationArn"),
        ({"invocationArn": None}, "invocationArn"),
    ],
)
def test_an_event_that_cannot_be_used_is_a_callers_mistake(event, said, context):
    answer = handle(event, context)

    assert answer["statusCode"] == 400
    assert said in body_of(answer)["error"]


NOTIFICATION = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "bda-input"}, "object": {"key": "in/My+Invoice+%281%29.pdf", "size": 10}},
        }
    ]
}
OBJECT_CREATED = {
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "bda-input"}, "object": {"key": "in/My Invoice (1).pdf"}},
}


@pytest.mark.parametrize("notification", [NOTIFICATION, OBJECT_CREATED])
def test_a_notification_of_s3_is_refused_with_the_event_to_send(notification, context):
    answer = handle(notification, context)

    assert answer["statusCode"] == 400
    assert "'inputS3Uri': 's3://bda-input/in/My Invoice (1).pdf'" in body_of(answer)["error"]
    assert "outputS3Uri" in body_of(answer)["error"]


@pytest.mark.parametrize(
    "more",
    [
        {"x" * 4_000_000: 1},
        {f"member{number}": "y" * 40 for number in range(50_000)},
        {"tags": {str(number): "z" * 200 for number in range(10_000)}},
        {"inputS3Uri": "s3://" + "a" * 4_000_000},
        {"clientToken": "\ud800" * 1_000_000},
    ],
    ids=["one long member", "many members", "many tags", "a long URI", "half emojis"],
)
def test_megabytes_in_an_event_are_no_megabytes_of_answer_or_log(more, event, context, written):
    answer = handle({**event, **more}, context)

    assert len(json.dumps(answer)) < 200_000
    assert sum(len(json.dumps(line)) for line in written()) < 400_000


def test_members_of_others_are_left_alone(event, context):
    """Callers' events may hold more members than ours; suspicious ones are named in the answer."""
    answer = handle({**event, "correlationId": 7}, context)

    assert answer["statusCode"] == 200
    assert body_of(answer)["warnings"] == ["The event's correlationId is not known here and was ignored."]


def test_every_member_of_the_request_can_be_sent(event, bda_emulator, context):
    answer = handle(
        {
            **event,
            "projectStage": "LIVE",
            "blueprints": [INVOICE],
            "kmsKeyId": KEY,
            "kmsEncryptionContext": {"team": "a"},
            "tags": {"team": "a"},
            "clientToken": "abc-1",
        },
        context,
    )

    assert answer["statusCode"] == 200, answer
    assert bda_emulator.calls["InvokeDataAutomationAsync"] == 1


@pytest.mark.usefixtures("no_second_try")
@pytest.mark.parametrize(("fault", "code"), [("throttling", 429), ("server_error", 500)])
def test_a_failed_call_has_a_code_of_its_kind(fault, code, event, bda_emulator, context):
    bda_emulator.faults.add(fault, operation="InvokeDataAutomationAsync")

    answer = handle(event, context)

    assert answer["statusCode"] == code
    assert body_of(answer)["error"].startswith("InvokeDataAutomationAsync")
    assert body_of(answer)["errorType"]
    assert "Airflow" not in answer["body"]


def test_missing_access_is_told_with_its_many_causes(event, context):
    answer = handle({**event, "inputS3Uri": "s3://bda-test/missing.pdf"}, context)

    assert answer["statusCode"] == 403
    assert body_of(answer)["errorType"] == "AccessDeniedException"
    assert "the input object does not exist" in body_of(answer)["error"]


def test_a_job_that_is_not_there(context, bda_emulator):
    answer = handle(
        {"invocationArn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/not-there"}, context
    )

    assert answer["statusCode"] == 404
    assert body_of(answer)["errorType"] == "ResourceNotFoundException"


@pytest.mark.usefixtures("no_second_try")
def test_an_unreachable_endpoint(event, context, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    assert handle(event, context)["statusCode"] == 500


def test_throttling_is_waited_out_while_time_is_left(event, bda_emulator, context, written):
    bda_emulator.faults.add("throttling", operation="InvokeDataAutomationAsync", times=2)

    answer = handle(event, context)

    assert answer["statusCode"] == 200
    assert bda_emulator.calls["InvokeDataAutomationAsync"] == 3
    assert sum(line.get("CallsRetried", 0) for line in written()) == 2


def test_what_is_written_is_json_and_holds_no_secrets(event, context, written):
    handle({**event, "kmsKeyId": KEY, "kmsEncryptionContext": {"a": "very-secret"}}, context)
    handle({**event, "kmsKeyId": KEY, "kmsEncryptionContext": {"a": ["very-secret"]}}, context)

    lines = written()
    assert {line["requestId"] for line in lines} == {context.aws_request_id}
    assert "very-secret" not in json.dumps(lines)
    assert any(line.get("invocationArn") and line["inputS3Uri"] == event["inputS3Uri"] for line in lines)


def test_metrics_are_in_the_embedded_format(event, context, written, monkeypatch):
    """Each metric that is declared has its value beside, and its dimension too."""
    monkeypatch.setenv("BDA_METRICS_NAMESPACE", "Ours")
    handle(event, context)
    handle({}, context)

    metrics = [line for line in written() if "_aws" in line]

    assert [name for line in metrics for name in ("JobsStarted", "RequestsRefused") if name in line] == [
        "JobsStarted",
        "RequestsRefused",
    ]
    for line in metrics:
        assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 3600
        (declared,) = line["_aws"]["CloudWatchMetrics"]
        assert declared["Namespace"] == "Ours"
        assert all(isinstance(line[dimension], str) for (dimension,) in declared["Dimensions"])
        assert all(isinstance(line[metric["Name"]], int) for metric in declared["Metrics"])


def _png() -> bytes:
    out = BytesIO()
    Image.new("RGB", (300, 300), "white").save(out, "PNG")
    return out.getvalue()
