"""BdaInvokeOperator: what it sends, when it defers, and which job a try gets."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest
import requests

from airflow_bda._compat import AirflowFailException
from airflow_bda.exceptions import BdaClientError, BdaError, BdaRequestError, BdaServiceError
from airflow_bda.hooks import BdaHook, telemetry
from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.operators.one_job import TaskIdentity

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"


class Store(dict):
    """Airflow 3.3's task state store, as far as it is used."""

    def set(self, key, value):
        self[key] = value


class Run:
    """One task instance that can be tried, and cleared, again and again."""

    def __init__(self, operator, *, retries=3, store=None):
        self.operator = operator
        self.xcoms = {}
        self.store = store
        self.ti = SimpleNamespace(
            dag_id="dag",
            run_id="manual__2026-01-05T00:00:00+00:00",
            task_id=operator.task_id,
            map_index=-1,
            try_number=0,
            max_tries=retries,
            task=SimpleNamespace(retries=retries),
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
        )

    @property
    def context(self):
        return {"ti": self.ti} | ({"task_state_store": self.store} if self.store is not None else {})

    def next_try(self):
        self.ti.try_number += 1
        return self.operator.execute(self.context)

    def clear(self):
        self.ti.max_tries = self.ti.try_number + self.ti.task.retries


@pytest.fixture
def make(bda_emulator, sample_pdf):
    document = bda_emulator.upload(sample_pdf, "a.pdf")

    def make(**arguments):
        defaults = {"input_s3_uri": document, "output_s3_uri": "s3://bda-test/out/", "project_arn": PROJECT}
        return BdaInvokeOperator(task_id="invoke", **(defaults | arguments))

    return make


@pytest.fixture
def log_lines(monkeypatch, caplog):
    """Airflow 3 logs through structlog, past pytest: lead the operator's lines to the standard library."""
    monkeypatch.setattr(BdaInvokeOperator, "log", property(lambda self: logging.getLogger("task")))
    caplog.set_level(logging.INFO, logger="task")


def arns(emulator):
    return [job.invocation_arn for job in emulator.jobs]


def test_all_that_can_be_is_templated():
    wanted = {"input_s3_uri", "output_s3_uri", "project_arn", "project_stage", "blueprints", "profile_arn", "tags"}
    wanted |= {"video_segment", "kms_key_id", "kms_encryption_context", "client_token"}

    assert set(BdaInvokeOperator.template_fields) == wanted | {"aws_conn_id", "region_name", "verify"}
    operator = BdaInvokeOperator(task_id="t", input_s3_uri="s3://a/b", output_s3_uri="s3://a/c")
    assert all(hasattr(operator, name) for name in BdaInvokeOperator.template_fields)
    assert set(BdaInvokeOperator.template_fields_renderers) <= wanted


def test_every_member_of_the_request_is_sent(bda_emulator, make, monkeypatch):
    operator = make(
        project_stage="LIVE",
        blueprints=["arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"],
        profile_arn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
        video_segment={"startTimeMillis": 0, "endTimeMillis": 300_000},
        event_bridge_enabled=False,
        kms_key_id="alias/bda",
        kms_encryption_context={"team": "x"},
        tags={"team": "x"},
        client_token="my-token",
    )
    sent = []
    monkeypatch.setattr(operator.hook, "submit", lambda request, deadline: sent.append(request.to_api()) or "arn")

    Run(operator).next_try()

    assert set(sent[0]) == {
        "inputConfiguration",
        "outputConfiguration",
        "dataAutomationProfileArn",
        "dataAutomationConfiguration",
        "blueprints",
        "encryptionConfiguration",
        "notificationConfiguration",
        "clientToken",
        "tags",
    }
    assert sent[0]["outputConfiguration"] == {"s3Uri": "s3://bda-test/out"}
    assert sent[0]["clientToken"] == "my-token"


def test_request_that_is_wrong_fails_at_once_and_sends_nothing(bda_emulator, make):
    with pytest.raises(BdaRequestError) as refused:
        Run(make(input_s3_uri="s3://bda/{{ ds }}", project_stage="live")).next_try()

    assert isinstance(refused.value, AirflowFailException)
    assert len(refused.value.problems) == 2
    assert bda_emulator.calls.get("InvokeDataAutomationAsync", 0) == 0


@pytest.mark.parametrize("deferrable", [True, False])
def test_without_waiting_deferrable_means_nothing(bda_emulator, make, deferrable):
    assert Run(make(deferrable=deferrable)).next_try() == arns(bda_emulator)[0]


def test_defers_with_all_that_the_trigger_needs(bda_emulator, make, monkeypatch):
    operator = make(
        wait_for_completion=True,
        deferrable=True,
        poll_interval=timedelta(seconds=7),
        execution_timeout=timedelta(minutes=3),
        region_name="us-east-1",
        verify=False,
        botocore_config={"read_timeout": 9},
        kms_key_id="alias/k",
        kms_encryption_context={"secret": "context"},
    )

    with pytest.raises(TaskDeferred) as deferred:
        Run(operator).next_try()

    arguments = deferred.value.trigger.serialize()[1]
    deadline = arguments.pop("deadline")
    assert arguments == {
        "invocation_arn": arns(bda_emulator)[0],
        "aws_conn_id": "aws_default",
        "poll_interval": 7.0,
        "region_name": "us-east-1",
        "verify": False,
        "botocore_config": {"read_timeout": 9},
    }
    assert "T" in deadline
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout == timedelta(minutes=3)


def test_links_are_there_while_the_task_is_deferred(bda_emulator, make):
    run = Run(make(wait_for_completion=True, deferrable=True))

    with pytest.raises(TaskDeferred):
        run.next_try()

    (job,) = bda_emulator.jobs
    page = f"{bda_emulator.endpoint_url}/_bda/jobs/{job.job_id}"
    assert run.xcoms == {"_link_BdaInputLink": page, "_link_BdaOutputLink": page}
    assert requests.get(page, timeout=60).ok


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, None),
        ({"endpoint_url": "https://vpce-1.bedrock-data-automation-runtime.us-east-1.vpce.amazonaws.com"}, None),
        ({"endpoint_url": "http://emulator:4566"}, None),
        ({"bda_emulator_url": "http://localhost:4567/"}, None),
        (
            {"endpoint_url": "http://emulator:4566", "bda_emulator_url": "http://localhost:4567/"},
            "http://localhost:4567",
        ),
        ({"endpoint_url": "http://emulator:4566", "bda_emulator_url": "javascript:alert(1)"}, None),
        ({"endpoint_url": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
    ],
)
def test_an_endpoint_of_this_machine_or_one_that_is_named_has_the_emulators_pages(monkeypatch, extra, expected):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))

    assert BdaHook(region_name="us-east-1").emulator_url == expected


def test_a_link_that_cannot_be_stored_fails_no_task(bda_emulator, make):
    run = Run(make())

    def refuse(key, value):
        raise OSError("no XComs today")

    run.ti.xcom_push = refuse

    assert run.next_try() == arns(bda_emulator)[0]


def test_waiting_in_the_task_pushes_the_metadata_uri(bda_emulator, make):
    run = Run(make(wait_for_completion=True, deferrable=False))

    arn = run.next_try()

    assert arn == arns(bda_emulator)[0]
    assert run.xcoms["output_metadata_uri"] == f"s3://bda-test/out/{arn.rpartition('/')[2]}/job_metadata.json"


def test_retry_gets_the_job_of_the_try_before(bda_emulator, make):
    run = Run(make())

    assert run.next_try() == run.next_try() == run.next_try()
    assert len(bda_emulator.jobs) == 1


def test_retry_after_a_service_failure_starts_one_new_job(bda_emulator, make):
    bda_emulator.faults.add("failed_job", status="ServiceError", times=1)
    run = Run(make(wait_for_completion=True, deferrable=False))

    with pytest.raises(BdaServiceError) as failed:
        run.next_try()
    assert not isinstance(failed.value, AirflowFailException)
    arn = run.next_try()

    assert arns(bda_emulator) == [failed.value.invocation_arn, arn]
    assert run.next_try() == arn


def test_each_service_failure_costs_one_job_and_no_more(bda_emulator, make):
    bda_emulator.faults.add("failed_job", status="ServiceError")
    run = Run(make(wait_for_completion=True, deferrable=False))

    for tries in (1, 2, 3):
        with pytest.raises(BdaServiceError):
            run.next_try()
        assert len(bda_emulator.jobs) == tries


def test_bad_input_is_not_paid_for_twice(bda_emulator, make):
    bda_emulator.faults.add("failed_job", status="ClientError")
    run = Run(make(wait_for_completion=True, deferrable=False))

    for _ in range(2):
        with pytest.raises(BdaClientError) as failed:
            run.next_try()
        assert isinstance(failed.value, AirflowFailException)
        assert failed.value.input_s3_uri == "s3://bda-test/a.pdf"
    assert len(bda_emulator.jobs) == 1


def test_clear_starts_a_new_job_which_its_retries_keep(bda_emulator, make):
    run = Run(make(), store=Store())
    first = run.next_try()

    run.clear()

    second = run.next_try()
    assert second != first
    assert run.next_try() == second
    assert len(bda_emulator.jobs) == 2


def test_store_leads_to_the_job_when_the_service_has_forgotten_the_token(bda_emulator, make):
    run = Run(make(), store=Store())
    first = run.next_try()
    calls = bda_emulator.calls["InvokeDataAutomationAsync"]

    assert run.next_try() == first
    assert bda_emulator.calls["InvokeDataAutomationAsync"] == calls
    assert [kept["invocation_arn"] for kept in run.store.values()] == [first]


def test_store_that_fails_costs_nothing(bda_emulator, make):
    class Broken:
        def get(self, key):
            raise OSError("no state")

        set = get

    run = Run(make(), store=Broken())

    assert run.next_try() == run.next_try()
    assert len(bda_emulator.jobs) == 1


def test_reattach_turned_off_starts_a_job_in_every_try(bda_emulator, make):
    run = Run(make(reattach=False))

    assert run.next_try() != run.next_try()
    assert len(bda_emulator.jobs) == 2


def test_token_is_the_tasks_and_the_requests(bda_emulator, make):
    run = Run(make())
    run.next_try()
    request = run.operator.hook.build_request(**run.operator.request_arguments())

    identity = TaskIdentity("dag", "manual__2026-01-05T00:00:00+00:00", "invoke", -1, life=("max_tries=3",))
    assert bda_emulator.jobs[0].client_token == identity.client_token(request.digest(), 0)


def test_kill_says_that_the_job_goes_on(bda_emulator, make, caplog, log_lines):
    run = Run(make())
    arn = run.next_try()

    run.operator.on_kill()

    assert f"invocation {arn} keeps running and is billed" in caplog.messages[-1]


def test_a_kill_while_a_retry_asks_for_the_state_names_the_job(bda_emulator, make, caplog, log_lines, monkeypatch):
    run = Run(make())
    arn = run.next_try()
    retried = make()
    run.operator = retried

    def is_killed(invocation_arn):
        retried.on_kill()

    monkeypatch.setattr(retried.hook, "last_state", is_killed)
    run.next_try()

    assert any(f"invocation {arn} keeps running" in line for line in caplog.messages)


def test_a_retry_that_finds_the_job_ended_does_not_defer(bda_emulator, make):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    run = Run(make(wait_for_completion=True, deferrable=True))
    with pytest.raises(TaskDeferred):
        run.next_try()
    run.operator.hook.wait(arns(bda_emulator)[0])

    assert run.next_try() == arns(bda_emulator)[0]
    assert run.xcoms["output_metadata_uri"].endswith("/job_metadata.json")


@pytest.mark.parametrize(
    "arguments",
    [
        {"botocore_config": {"proxies": {"https": "http://user:hunter2@proxy:3128"}}},
        {"botocore_config": {"connect_timeout": object()}},
        {"poll_interval": 0},
        {"max_wait": "a day"},
    ],
    ids=lambda arguments: f"{arguments}"[:40],
)
def test_what_refuses_the_wait_costs_no_job(bda_emulator, make, arguments):
    run = Run(make(wait_for_completion=True, deferrable=True, **arguments))

    with pytest.raises(BdaRequestError) as refused:
        run.next_try()

    assert next(iter(arguments)) in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert bda_emulator.jobs == []


def test_oddities_are_warned_of_and_sent(bda_emulator, make, sample_pdf, caplog, log_lines):
    document = bda_emulator.upload(sample_pdf, "a.xyz")

    Run(make(input_s3_uri=document)).next_try()

    assert any("'xyz'" in line and "pdf, tif" in line for line in caplog.messages)
    assert len(bda_emulator.jobs) == 1


@pytest.mark.parametrize(
    ("input_s3_uri", "kind"),
    [("s3://b/", "request"), ("s3://no-such-bucket/a.pdf", "permission"), (None, "client")],
)
def test_whatever_a_task_fails_with_is_counted_once_by_its_kind(bda_emulator, make, monkeypatch, input_s3_uri, kind):
    sent = []
    monkeypatch.setattr(telemetry, "_send", lambda what, metric, *values, **options: sent.append(metric))
    bda_emulator.faults.add("failed_job", status="ClientError")
    given = {"input_s3_uri": input_s3_uri} if input_s3_uri else {}

    with pytest.raises(BdaError):
        Run(make(wait_for_completion=True, deferrable=False, **given)).next_try()

    assert [metric for metric in sent if metric.startswith(("bda.failed", "bda.succeeded"))] == [f"bda.failed.{kind}"]
