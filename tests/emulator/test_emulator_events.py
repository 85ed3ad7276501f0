"""The emulator's EventBridge events: shaped like AWS's, delivered by rules, and lost, doubled or late on request."""

from __future__ import annotations

import io
import json
import time
import zipfile

import boto3
import pytest

from airflow_bda.emulator import EMULATOR
from airflow_bda.emulator.aws.lambda_functions import install, uninstall
from airflow_bda.emulator.aws.lambda_process import InvocationResult
from airflow_bda.service.events import JobEvent

ASKED_FOR = {"notificationConfiguration": {"eventBridgeConfiguration": {"eventBridgeEnabled": True}}}
OF_BDA = {"source": ["aws.bedrock"], "detail-type": [{"prefix": "Bedrock Data Automation Job "}]}
SUCCEEDED = {"source": ["aws.bedrock"], "detail-type": ["Bedrock Data Automation Job Succeeded"]}


class Inbox:
    """A queue, and the rule that leads to it."""

    def __init__(self, client, name="inbox", pattern=OF_BDA, **target):
        self._sqs = client("sqs")
        self.url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        self._events = client("events")
        self._events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        self._events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": self.arn, **target}])
        self.seen = []

    def disable_rule(self, name="inbox"):
        self._events.disable_rule(Name=name)

    def look(self):
        for message in self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", ()):
            self.seen.append(json.loads(message["Body"]))
        return self.seen

    def wait_for(self, count):
        """Messages come after the job's status has changed: give them a moment."""
        give_up = time.monotonic() + 10
        while len(self.look()) < count:
            assert time.monotonic() < give_up, self.seen
            time.sleep(0.01)
        return self.seen


def in_process(service):
    return boto3.client(service, region_name="us-east-1")


@pytest.fixture
def inbox(bda):
    return Inbox(in_process)


def job_id(arn):
    return arn.rpartition("/")[2]


def statuses(messages):
    return [str(JobEvent.parse(message).status) for message in messages]


def test_success_is_told_as_aws_tells_it(bda, inbox):
    arn = bda.invoke(**ASKED_FOR)
    bda.wait(arn)
    created, succeeded = inbox.wait_for(2)

    assert created["detail-type"] == "Bedrock Data Automation Job Created"
    assert {name: value for name, value in succeeded.items() if name not in {"id", "time", "detail"}} == {
        "version": "0",
        "detail-type": "Bedrock Data Automation Job Succeeded",
        "source": "aws.bedrock",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [],
    }
    assert succeeded["detail"].pop("job_duration_in_seconds") >= 0
    assert succeeded["detail"] == {
        "job_id": job_id(arn),
        "job_status": "SUCCESS",
        "semantic_modality": "Document",
        "input_s3_object": {"s3_bucket": "inputs", "name": "a.pdf"},
        "output_s3_location": {"s3_bucket": "outputs", "name": f"results/{job_id(arn)}/0"},
        "error_message": "",
    }


def test_what_is_read_from_it_is_what_the_api_says(bda, inbox):
    arn = bda.invoke(**ASKED_FOR)
    status = bda.wait(arn)
    event = JobEvent.parse(inbox.wait_for(2)[1])

    assert event.is_known
    assert event.invocation_arn == arn
    assert event.output_metadata_uri == status["outputConfiguration"]["s3Uri"]


@pytest.mark.parametrize(("body", "status"), [(b"broken", "ClientError"), (b"bug", "ServiceError")])
def test_failures_are_told(bda, inbox, body, status):
    bda.wait(bda.invoke(**ASKED_FOR, inputConfiguration={"s3Uri": bda.upload("b.pdf", body)}))
    event = JobEvent.parse(inbox.wait_for(2)[1])

    assert str(event.status) == status
    assert event.error_message


def test_nothing_is_told_unless_asked_for(bda, inbox):
    silent = bda.invoke()
    bda.wait(silent)
    off = bda.invoke(notificationConfiguration={"eventBridgeConfiguration": {"eventBridgeEnabled": False}})
    bda.wait(off)
    arn = bda.invoke(**ASKED_FOR)
    bda.wait(arn)

    assert {message["detail"]["job_id"] for message in inbox.wait_for(2)} == {job_id(arn)}


def test_rules_choose(bda):
    everything, successes = Inbox(in_process), Inbox(in_process, "successes", SUCCEEDED)
    disabled = Inbox(in_process, "disabled")
    disabled.disable_rule("disabled")
    bda.wait(bda.invoke(**ASKED_FOR))

    assert statuses(everything.wait_for(2)) == ["Created", "Success"]
    assert statuses(successes.look()) == ["Success"]
    assert disabled.look() == []


def test_a_transformer_shapes_what_a_queue_gets(bda):
    inbox = Inbox(
        in_process,
        pattern=SUCCEEDED,
        InputTransformer={"InputPathsMap": {"job": "$.detail.job_id"}, "InputTemplate": '{"only": "<job>"}'},
    )
    arn = bda.invoke(**ASKED_FOR)
    bda.wait(arn)

    assert inbox.wait_for(1) == [{"only": job_id(arn)}]


def test_a_target_that_is_gone_does_not_keep_the_others_from_theirs(bda, inbox):
    targets = [{"Id": "gone", "Arn": "arn:aws:sqs:us-east-1:123456789012:gone"}, {"Id": "queue", "Arn": inbox.arn}]
    in_process("events").put_rule(Name="a-first", EventPattern=json.dumps(SUCCEEDED))
    in_process("events").put_targets(Rule="a-first", Targets=targets)
    bda.wait(bda.invoke(**ASKED_FOR))

    assert sorted(statuses(inbox.wait_for(3))) == ["Created", "Success", "Success"]


class TestFaults:
    def test_lost(self, bda, inbox):
        EMULATOR.faults.add("lost_event", key="lost.*", status="Success")
        bda.wait(bda.invoke(**ASKED_FOR, inputConfiguration={"s3Uri": bda.upload("lost.pdf")}))
        bda.wait(bda.invoke(**ASKED_FOR))

        assert statuses(inbox.wait_for(3)) == ["Created", "Created", "Success"]
        assert JobEvent.parse(inbox.seen[2]).input_s3_uri == "s3://inputs/a.pdf"

    def test_twice_with_the_same_id(self, bda, inbox):
        EMULATOR.faults.add("duplicate_event", status="Success")
        bda.wait(bda.invoke(**ASKED_FOR))
        _, first, second = inbox.wait_for(3)

        assert first == second

    def test_out_of_order(self, bda, inbox):
        EMULATOR.faults.add("reordered_event")
        bda.wait(bda.invoke(**ASKED_FOR))

        assert statuses(inbox.wait_for(2)) == ["Success", "Created"]

    def test_late(self, bda, inbox):
        EMULATOR.faults.add("late_event", status="Created", seconds=0.3)
        bda.wait(bda.invoke(**ASKED_FOR))

        assert statuses(inbox.wait_for(2)) == ["Success", "Created"]


def test_the_server_delivers_too(steered_emulator):
    """What goes through HTTP: the queue's URL, the rule, the invocation, the message."""
    inbox = Inbox(steered_emulator.client)
    steered_emulator.make_bucket("outputs")
    bda = steered_emulator.client("bedrock-data-automation-runtime")
    arn = bda.invoke_data_automation_async(
        inputConfiguration={"s3Uri": steered_emulator.upload(b"x", "a.pdf", bucket="inputs")},
        outputConfiguration={"s3Uri": "s3://outputs/results"},
        dataAutomationProfileArn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
        **ASKED_FOR,
    )["invocationArn"]

    assert [message["detail"]["job_id"] for message in inbox.wait_for(2)] == [job_id(arn)] * 2


class Recorder:
    """Runs no function, and keeps what each was called with."""

    def __init__(self):
        self.payloads = []

    def invoke(self, configuration, invocation):
        self.payloads.append(json.loads(invocation.payload))
        return InvocationResult(b"null", is_error=False, log="")


@pytest.fixture
def recorder():
    recorder = Recorder()
    install(recorder)
    yield recorder
    uninstall(recorder)


def test_a_function_is_called_with_the_event(bda, inbox, recorder):
    """A function may stand before a queue among a rule's targets, and gets the very same."""
    role = in_process("iam").create_role(RoleName="f", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("f.py", "")
    function = in_process("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Role=role, Handler="f.f", Code={"ZipFile": archive.getvalue()}
    )
    in_process("events").put_targets(Rule="inbox", Targets=[{"Id": "function", "Arn": function["FunctionArn"]}])
    bda.wait(bda.invoke(**ASKED_FOR))
    messages = inbox.wait_for(2)
    give_up = time.monotonic() + 10
    while len(recorder.payloads) < 2:
        assert time.monotonic() < give_up
        time.sleep(0.01)

    assert sorted(recorder.payloads, key=str) == sorted(messages, key=str)
