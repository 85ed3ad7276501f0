"""BdaLambdaInvokeOperator: one job however often it is tried, and the exceptions of BdaInvokeOperator."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from deployed_function import create_function, deploy

from airflow_bda._compat import AirflowFailException
from airflow_bda.exceptions import BdaConnectionError, BdaError, BdaPermissionError, BdaRequestError
from airflow_bda.operators import BdaInvokeOperator, BdaLambdaInvokeOperator
from airflow_bda.service.lambda_interface import Answer
from airflow_bda.service.statuses import JobStatus

INVOICE = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"


class Run:
    """One task instance that can be tried, and cleared, again and again."""

    def __init__(self, operator, *, retries: int = 3) -> None:
        self.operator = operator
        self.xcoms = {}
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

    def next_try(self) -> str:
        self.ti.try_number += 1
        return self.operator.execute({"ti": self.ti})

    def clear(self) -> None:
        self.ti.max_tries = self.ti.try_number + self.ti.task.retries


@pytest.fixture
def make(bda_emulator):
    """Deploy the function, and give what makes operators for it."""
    deploy(bda_emulator)
    document = bda_emulator.upload(b"Dear reader", "in/a.pdf")

    def make(**arguments) -> BdaLambdaInvokeOperator:
        defaults = {
            "function_name": "airflow-bda",
            "input_s3_uri": document,
            "output_s3_uri": "s3://bda-test/out/",
            "blueprints": [INVOICE],
        }
        return BdaLambdaInvokeOperator(task_id="invoke", **(defaults | arguments))

    return make


def test_the_function_starts_the_job(make, bda_emulator):
    arn = Run(make()).next_try()

    (job,) = bda_emulator.jobs
    assert (job.invocation_arn, job.blueprint_arns) == (arn, (INVOICE,))
    assert job.output_s3_uri == "s3://bda-test/out"
    assert len(job.client_token) == 64


def test_it_has_the_links_of_the_operator_without_a_function(make, bda_emulator):
    run = Run(make())
    job_id = run.next_try().rpartition("/")[2]

    page = f"{bda_emulator.endpoint_url}/_bda/jobs/{job_id}"
    assert run.xcoms == {"_link_BdaInputLink": page, "_link_BdaOutputLink": page}
    assert BdaLambdaInvokeOperator.operator_extra_links == BdaInvokeOperator.operator_extra_links


def test_tries_share_a_job_and_clearing_starts_another(make, bda_emulator):
    run = Run(make())

    first, second = run.next_try(), run.next_try()
    run.clear()
    third = run.next_try()

    assert first == second != third
    assert len(bda_emulator.jobs) == 2


def test_an_answer_that_is_lost_costs_nothing(make, bda_emulator):
    """The function started the job, and then could not tell: the next try finds it."""
    run = Run(make())
    bda_emulator.faults.add("lost_answer", operation="InvokeDataAutomationAsync", times=1)
    first = run.next_try()

    assert run.next_try() == first
    assert len(bda_emulator.jobs) == 1


def test_a_job_that_failed_on_the_services_side_is_started_once_more(make, bda_emulator, wait_until):
    bda_emulator.configure(created_seconds=0.0, in_progress_seconds=0.0)
    bda_emulator.faults.add("failed_job", status="ServiceError", times=1)
    run = Run(make())

    first = run.next_try()
    wait_until(lambda: bda_emulator.jobs[0].status == "ServiceError")

    assert run.next_try() != first
    assert len(bda_emulator.jobs) == 2


def test_without_reattaching_every_try_has_a_job(make, bda_emulator):
    run = Run(make(reattach=False))

    assert run.next_try() != run.next_try()
    assert len(bda_emulator.jobs) == 2


def test_a_given_token_is_sent_as_it_is(make, bda_emulator):
    Run(make(client_token="mine-1")).next_try()

    assert bda_emulator.jobs[0].client_token == "mine-1"


def test_a_wrong_request_costs_no_invocation(make, bda_emulator):
    with pytest.raises(BdaRequestError) as refused:
        Run(make(input_s3_uri="s3://x/{{ ds }}", project_stage="PROD")).next_try()

    assert isinstance(refused.value, AirflowFailException)
    assert len(refused.value.problems) == 3
    assert bda_emulator.client("logs").describe_log_streams(logGroupName="/aws/lambda/airflow-bda")["logStreams"] == []


def test_what_the_function_is_not_there_for(make, bda_emulator):
    with pytest.raises(BdaPermissionError, match="BDA_ALLOWED_OUTPUT_PREFIXES") as refused:
        Run(make(output_s3_uri="s3://bda-test/elsewhere")).next_try()

    assert refused.value.input_s3_uri == "s3://bda-test/in/a.pdf"
    assert bda_emulator.jobs == []


def test_what_bda_refuses_has_its_own_class(make):
    with pytest.raises(BdaPermissionError) as refused:
        Run(make(input_s3_uri="s3://bda-test/in/missing.pdf")).next_try()
    assert refused.value.error_type == "AccessDeniedException"


def test_a_request_that_bda_itself_refuses_is_not_retried(make):
    with pytest.raises(BdaRequestError) as refused:
        Run(make(blueprints=["arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"])).next_try()
    assert isinstance(refused.value, AirflowFailException)
    assert refused.value.error_type == "ValidationException"


def test_a_function_that_is_not_there(make):
    with pytest.raises(BdaRequestError, match="Check function_name"):
        Run(make(function_name="missing")).next_try()


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("def handle(event, context): raise ValueError('on purpose')", BdaConnectionError, "on purpose"),
        ("def handle(event, context): return 'hello'", BdaError, "without a statusCode"),
        ("def handle(event, context): return {'statusCode': 200, 'body': '{}'}", BdaError, "invocationArn"),
        ("def handle(event, context): return {'statusCode': 429, 'body': '{}'}", BdaConnectionError, "429"),
        ("def handle(event, context): return {'statusCode': 418, 'body': '{}'}", BdaError, "418"),
    ],
)
def test_a_function_that_does_otherwise(code, error, said, make, bda_emulator):
    create_function(bda_emulator, "other", code)

    with pytest.raises(BdaError, match=said) as failed:
        Run(make(function_name="other")).next_try()

    assert type(failed.value) is error


def test_the_event_is_the_interfaces_own(make, bda_emulator):
    """Another team's function gets what it always got, and the profile only where one is given."""
    create_function(
        bda_emulator,
        "echo",
        "import json\n"
        "def handle(event, context): return {'statusCode': 400, 'body': json.dumps({'error': json.dumps(event)})}",
    )

    def event_of(**arguments) -> dict:
        with pytest.raises(BdaRequestError) as echoed:
            Run(make(function_name="echo", **arguments)).next_try()
        return json.loads(echoed.value.message.partition("failed: ")[2])

    event = event_of(event_bridge_enabled=True, tags={"a": "b"}, client_token="mine-1")
    profile = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"

    assert event == {
        "inputS3Uri": "s3://bda-test/in/a.pdf",
        "outputS3Uri": "s3://bda-test/out",
        "blueprints": [{"blueprintArn": INVOICE}],
        "enableEventBridge": True,
        "tags": [{"key": "a", "value": "b"}],
        "clientToken": "mine-1",
    }
    assert event_of(profile_arn=profile)["profileArn"] == profile


def test_secrets_stay_out_of_the_log(make, caplog, capsys):
    key = "arn:aws:kms:us-east-1:123456789012:key/0123"
    with pytest.raises(BdaPermissionError):
        Run(make(output_s3_uri="s3://x-y/z", kms_key_id=key, kms_encryption_context={"a": "very-secret"})).next_try()

    assert "very-secret" not in caplog.text + capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "status", "error_type"),
    [
        ({"status": "InProgress"}, JobStatus.IN_PROGRESS, None),
        ({"status": "ServiceError", "error": {"type": "T", "message": "m"}}, JobStatus.SERVICE_ERROR, "T"),
    ],
)
def test_a_status_answer_of_anybodys_is_read(body, status, error_type):
    state = Answer(200, body).state("arn")

    assert (state.status, state.error_type) == (status, error_type)
