"""The server: BDA beside moto's services at one endpoint, its own endpoints, and whom it refuses."""

from __future__ import annotations

import gc
import json
import socket
import time
import weakref

import aiobotocore.session
import boto3
import pytest
import requests
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from airflow_bda.emulator import EMULATOR, EmulatorServer
from airflow_bda.emulator.server.server import EmulatorStartError, SeedBucket

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"


def invoke(emulator, key="a.pdf", *, content=b"hello", **changes):
    request = {
        "inputConfiguration": {"s3Uri": emulator.upload(content, key)},
        "outputConfiguration": {"s3Uri": "s3://bda-test/out"},
        "dataAutomationProfileArn": PROFILE,
    }
    client = emulator.client("bedrock-data-automation-runtime")
    return client.invoke_data_automation_async(**request | changes)["invocationArn"]


def get(emulator, path, **options):
    return requests.get(f"{emulator.endpoint_url}/_bda{path}", timeout=10, **options)


def wait_for_end(emulator):
    give_up = time.monotonic() + 10
    while any(job.ended_at is None for job in emulator.jobs):
        assert time.monotonic() < give_up
        time.sleep(0.01)


async def test_aiobotocore_takes_it_for_the_service(steered_emulator):
    emulator = steered_emulator
    arn = invoke(emulator)
    wait_for_end(emulator)
    session = aiobotocore.session.get_session()
    async with session.create_client(
        "bedrock-data-automation-runtime", region_name="us-east-1", endpoint_url=emulator.endpoint_url
    ) as client:
        answer = await client.get_data_automation_status(invocationArn=arn)
    assert answer["status"] == "Success"
    assert answer["outputConfiguration"]["s3Uri"] == emulator.jobs[0].output_metadata_uri


def test_deleted_objects_and_messages_are_freed(bda_emulator):
    s3, sqs = bda_emulator.client("s3"), bda_emulator.client("sqs")
    bda_emulator.upload(b"content", "a.pdf")
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    message = sqs.receive_message(QueueUrl=queue)["Messages"][0]
    stored = weakref.ref(s3_backends["123456789012"]["aws"].buckets["bda-test"].keys["a.pdf"])
    kept = weakref.ref(sqs_backends["123456789012"]["us-east-1"].queues["events"]._messages[0])
    assert stored() is not None
    assert kept() is not None

    s3.delete_object(Bucket="bda-test", Key="a.pdf")
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    gc.collect()

    assert stored() is None
    assert kept() is None


@pytest.mark.parametrize("service", ["sts", "sqs", "events", "iam", "lambda", "cloudformation", "bedrock"])
def test_motos_services_are_at_the_same_endpoint(bda_emulator, service):
    calls = {
        "sts": "get_caller_identity",
        "sqs": "list_queues",
        "events": "list_rules",
        "iam": "list_roles",
        "lambda": "list_functions",
        "cloudformation": "list_stacks",
        "bedrock": "list_custom_models",
    }
    answer = getattr(bda_emulator.client(service), calls[service])()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_results_go_to_the_bucket_that_s3_serves(steered_emulator):
    invoke(steered_emulator)
    wait_for_end(steered_emulator)
    bucket, _, key = steered_emulator.jobs[0].output_metadata_uri.removeprefix("s3://").partition("/")
    found = steered_emulator.client("s3").get_object(Bucket=bucket, Key=key)
    assert found["ContentType"] == "application/json"
    assert json.load(found["Body"])["job_status"] == "PROCESSED"


def test_jobs_and_calls_are_told_as_json(steered_emulator):
    arn = invoke(steered_emulator, clientToken="token-1", tags=[{"key": "team", "value": "a"}])
    wait_for_end(steered_emulator)
    told = get(steered_emulator, "/jobs").json()
    assert (told["job_count"], told["calls"]) == (1, {"InvokeDataAutomationAsync": 1})
    (job,) = told["jobs"]
    assert (job["invocation_arn"], job["status"], job["client_token"], job["polls"], job["tags"]) == (
        arn,
        "Success",
        "token-1",
        0,
        {"team": "a"},
    )
    assert job["created_at"] <= job["started_at"] <= job["ended_at"]


def test_the_pages_show_jobs_and_results_and_escape_what_users_wrote(steered_emulator):
    invoke(steered_emulator, "a&b's.pdf", content=b"<script>alert(1)</script>")
    wait_for_end(steered_emulator)
    page = get(steered_emulator, "/").text
    assert "s3://bda-test/a&amp;b&#x27;s.pdf" in page
    job = get(steered_emulator, f"/jobs/{steered_emulator.jobs[0].job_id}")
    assert "<script" not in job.text
    assert "&lt;script&gt;" in job.text
    assert "PROCESSED" in job.text
    assert job.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_report_on_a_job_is_a_page_under_its_own_policy(bda_emulator, sample_pdf):
    invoke(bda_emulator, content=sample_pdf)
    wait_for_end(bda_emulator)
    path = f"/jobs/{bda_emulator.jobs[0].job_id}"

    answer = get(bda_emulator, f"{path}/report")

    assert answer.status_code == 200
    assert "data:image/webp;base64," in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert f'href="/_bda{path}/report"' in get(bda_emulator, path).text


def test_a_report_on_several_jobs_has_all_of_them(bda_emulator, sample_pdf):
    for key in ("first.pdf", "second.pdf"):
        invoke(bda_emulator, content=sample_pdf, key=key)
    wait_for_end(bda_emulator)
    ids = ",".join(job.job_id for job in bda_emulator.jobs)

    page = get(bda_emulator, f"/jobs/{ids},unknown/report").text

    assert "first.pdf" in page
    assert "second.pdf" in page
    assert get(bda_emulator, f"/jobs/{ids}").status_code == 404


def test_pages_that_are_not_there_are_not_found(steered_emulator):
    invoke(steered_emulator)
    wait_for_end(steered_emulator)
    job_id = steered_emulator.jobs[0].job_id

    assert get(steered_emulator, f"/jobs/{job_id}/nothing").status_code == 404
    assert get(steered_emulator, "/jobs/unknown/report").status_code == 404


def test_a_page_of_long_results_is_cut(steered_emulator):
    invoke(steered_emulator, content=b"x" * 1_000_000)
    wait_for_end(steered_emulator)
    page = get(steered_emulator, f"/jobs/{steered_emulator.jobs[0].job_id}").text
    assert "(cut here)" in page
    assert len(page) < 300_000


def test_a_page_of_no_jobs_says_so(bda_emulator):
    assert "No jobs yet" in get(bda_emulator, "").text


def test_health_tells_the_settings(bda_emulator):
    bda_emulator.configure(open_jobs=7)
    assert get(bda_emulator, "/health").json()["settings"]["open_jobs"] == 7


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/jobs/nothing", 404), ("POST", "/jobs", 405), ("GET", "/reset", 405)],
)
def test_what_is_not_there_is_told_as_json(bda_emulator, method, path, status):
    answer = requests.request(method, f"{bda_emulator.endpoint_url}/_bda{path}", timeout=10)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_faults_are_set_shown_and_lifted_over_http(bda_emulator):
    url = f"{bda_emulator.endpoint_url}/_bda/faults"
    faults = {"seed": 3, "faults": [{"kind": "throttling", "times": 2}]}
    assert requests.put(url, json=faults, timeout=10).json() == faults
    assert bda_emulator.faults.before_call("TagResource") is not None
    assert requests.get(url, timeout=10).json()["faults"][0]["times"] == 1
    assert requests.delete(url, timeout=10).json() == {"seed": 0, "faults": []}
    assert bda_emulator.faults.before_call("TagResource") is None


@pytest.mark.parametrize(
    "body", ["not json", "[]", '{"faults": 1}', '{"faults": [1]}', '{"faults": [{"kind": "x"}]}', '{"faults": [{}]}']
)
def test_faults_that_do_not_exist_are_refused_and_change_nothing(bda_emulator, body):
    bda_emulator.faults.add("lost_answer")
    url = f"{bda_emulator.endpoint_url}/_bda/faults"
    answer = requests.put(url, data=body, headers={"Content-Type": "application/json"}, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert bda_emulator.faults.to_json()["faults"] == [{"kind": "lost_answer"}]


def test_a_reset_empties_everything(steered_emulator):
    invoke(steered_emulator)
    steered_emulator.faults.add("throttling")
    assert requests.post(f"{steered_emulator.endpoint_url}/_bda/reset", timeout=10).ok
    assert (steered_emulator.jobs, steered_emulator.calls) == ([], {})
    assert steered_emulator.faults.to_json()["faults"] == []
    assert steered_emulator.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:8080"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Host": "evil.example"}, 403),
    ],
    ids=["no browser", "this machine", "another site", "a sandbox", "an image", "a link", "a name that leads here"],
)
def test_web_pages_of_other_sites_are_refused(bda_emulator, headers, status):
    assert get(bda_emulator, "/jobs", headers=headers).status_code == status


def test_web_pages_of_other_sites_do_not_read_documents(bda_emulator):
    bda_emulator.upload(b"secret", "a.pdf")
    place = {"Bucket": "bda-test", "Key": "a.pdf"}
    url = bda_emulator.client("s3").generate_presigned_url("get_object", Params=place)
    assert requests.get(url, timeout=10).text == "secret"
    assert requests.get(url, headers={"Origin": "https://evil.example"}, timeout=10).status_code == 403


def test_a_form_of_another_site_cannot_change_faults(bda_emulator):
    url = f"{bda_emulator.endpoint_url}/_bda/faults"
    answer = requests.put(url, data='{"faults": []}', headers={"Content-Type": "text/plain"}, timeout=10)
    assert answer.status_code == 400


def test_seed_buckets_are_there_again_after_a_reset(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.pdf").write_bytes(b"hello")
    with EmulatorServer(seed_buckets=(SeedBucket.parse(f"filled={tmp_path}"), SeedBucket.parse("empty-one"))) as server:
        s3 = boto3.client("s3", endpoint_url=server.endpoint_url)
        assert s3.get_object(Bucket="filled", Key="sub/a.pdf")["ContentType"] == "application/pdf"
        server.reset()
        assert s3.get_object(Bucket="filled", Key="sub/a.pdf")["Body"].read() == b"hello"
        assert s3.list_objects_v2(Bucket="empty-one")["KeyCount"] == 0


def test_the_samples_of_the_package_fill_a_bucket():
    with EmulatorServer(seed_buckets=(SeedBucket.parse("bda-input=samples"),)) as server:
        s3 = boto3.client("s3", endpoint_url=server.endpoint_url)
        assert s3.head_object(Bucket="bda-input", Key="invoice.pdf")["ContentLength"] > 0
        server.reset()


def test_a_port_that_is_taken_is_told(bda_emulator):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorStartError, match=f"127.0.0.1:{port}.*--port"):
            EmulatorServer(port=port).start()


def test_a_stopped_server_answers_nobody():
    server = EmulatorServer().start()
    url = server.endpoint_url
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_calls_are_answered_while_inputs_are_read(steered_emulator):
    EMULATOR.processor.gate.clear()
    try:
        invoke(steered_emulator)
        assert get(steered_emulator, "/jobs").json()["jobs"][0]["status"] in {"Created", "InProgress"}
    finally:
        EMULATOR.processor.gate.set()


def test_a_queue_hears_of_the_results(steered_emulator):
    """S3's own notifications work for what a job writes, as for what a caller does."""
    sqs, s3 = steered_emulator.client("sqs"), steered_emulator.client("s3")
    url = sqs.create_queue(QueueName="results")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    steered_emulator.make_bucket()
    s3.put_bucket_notification_configuration(
        Bucket="bda-test",
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": "job_metadata.json"}]}},
                }
            ]
        },
    )
    invoke(steered_emulator)
    wait_for_end(steered_emulator)
    heard = ""
    give_up = time.monotonic() + 10
    while "job_metadata.json" not in heard:
        assert time.monotonic() < give_up, heard
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            heard += message["Body"]
