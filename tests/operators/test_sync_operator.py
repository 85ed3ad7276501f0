"""BdaInvokeSyncOperator and BdaHook.invoke_sync: one call, the same arguments, checks and results as a job's."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from airflow_bda.exceptions import BdaError, BdaRequestError
from airflow_bda.hooks import BdaHook, telemetry
from airflow_bda.operators import BdaInvokeSyncOperator
from airflow_bda.service.model import INVOKE_SYNC, service_model

INVOICE = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"
OUTPUT = "s3://bda-test/out"
IS_KNOWN = INVOKE_SYNC in service_model().operation_names
needs_call = pytest.mark.skipif(not IS_KNOWN, reason="the installed botocore does not know InvokeDataAutomation")


@pytest.fixture
def document(bda_emulator, sample_pdf):
    return bda_emulator.upload(sample_pdf, "invoice.pdf", bucket="bda-test")


class XComs(dict):
    """The XComs that a task pushes."""

    def xcom_push(self, key, value):
        self[key] = value


def run(**arguments):
    """Give what the task returns and what it pushes."""
    operator = BdaInvokeSyncOperator(task_id="sync", **({"blueprints": [INVOICE], "output_s3_uri": OUTPUT} | arguments))
    pushed = XComs()
    return operator.execute({"ti": pushed, "task_instance": SimpleNamespace()}), pushed


@needs_call
def test_a_document_on_s3_has_its_results_on_s3(document):
    uri, pushed = run(input_s3_uri=document)

    assert pushed == {"output_metadata_uri": uri}
    result = BdaHook().get_results(uri)
    values = {field.path: field.value for segment in result.segments for field in segment.fields(found=True)}
    assert values["InvoiceNumber"] == "A-17"


@needs_call
def test_its_first_line_says_what_it_works_on(document, caplog, monkeypatch):
    """And not which credentials the AWS libraries found. Airflow's own logger of tasks writes elsewhere."""
    monkeypatch.setattr(BdaInvokeSyncOperator, "log", logging.getLogger("task"))
    caplog.set_level("INFO")
    run(input_s3_uri=document)

    # Airflow says that it did not start the task.
    own = [line for line in caplog.messages if "cannot be called outside" not in line]
    assert own[0] == f"Input: {document}, output: {OUTPUT}"


@needs_call
def test_a_file_and_bytes_are_sent(tmp_path, bda_emulator, sample_pdf):
    bda_emulator.make_bucket("bda-test")
    file = tmp_path / "invoice.pdf"
    file.write_bytes(sample_pdf)
    uris = [run(input_file=str(file))[0], run(input_bytes=sample_pdf)[0]]

    for uri in uris:
        assert BdaHook().get_results(uri).matched == 1


@needs_call
def test_without_an_output_the_hook_has_the_result_in_the_answer(document):
    answer = BdaHook().invoke_sync(input_s3_uri=document, blueprints=[INVOICE])

    (segment,) = answer.result.segments
    assert answer.output_metadata_uri is None
    assert (answer.result.matched, segment.input_s3_uri, segment.pages) == (1, document, 1)
    assert {field.path: field.value for field in segment.fields(found=True)}["InvoiceNumber"] == "A-17"
    assert "A-17" in segment.text
    (row, *_) = answer.result.rows()
    assert row["input_s3_uri"] == document
    assert "A-17" not in repr(answer)


@needs_call
@pytest.mark.parametrize(("fault", "calls"), [("throttling", 2), ("server_error", 1), ("lost_answer", 1)])
def test_it_is_sent_again_after_throttling_only(document, bda_emulator, monkeypatch, fault, calls):
    """Whatever else went wrong, the call may have been processed, and there is no token to say so."""
    monkeypatch.setattr("airflow_bda.hooks.sync._FIRST_PAUSE_SECONDS", 0)
    bda_emulator.faults.add(fault, times=1)
    if fault == "throttling":
        assert run(input_s3_uri=document)[0].endswith("job_metadata.json")
    else:
        with pytest.raises(BdaError):
            run(input_s3_uri=document)
    assert bda_emulator.calls[INVOKE_SYNC] == calls


@needs_call
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "input_s3_uri, input_bytes: exactly one of them must be given."),
        ({"input_file": "a.pdf", "input_bytes": b"x"}, "input_file and input_bytes are both given."),
        ({"input_s3_uri": "s3://b/k", "input_bytes": b"x"}, "exactly one of them must be given."),
        ({"input_s3_uri": "s3://b/a{b}.pdf"}, "input_s3_uri is 's3://b/a{b}.pdf': it holds '{', '}'"),
        ({"input_bytes": "text"}, "input_bytes must be bytes, not str."),
        ({"input_bytes": b""}, "input_bytes has 0 bytes"),
        (
            {"input_s3_uri": "s3://b/k.pdf", "blueprints": None},
            "the call needs a project of the type SYNC, or blueprints",
        ),
        ({"input_file": "/nowhere/x.pdf"}, "input_file: "),
        ({"input_s3_uri": "s3://b/k.pdf", "output_s3_uri": None}, "output_s3_uri is missing"),
        ({"input_s3_uri": "{{ params.x }}"}, "unrendered template"),
    ],
)
def test_problems_are_named_before_anything_is_sent(bda_emulator, arguments, problem):
    with pytest.raises(BdaRequestError) as error:
        run(**arguments)
    assert problem in str(error.value)
    assert INVOKE_SYNC not in bda_emulator.calls


@needs_call
def test_document_bytes_are_in_no_error(bda_emulator):
    with pytest.raises(BdaRequestError) as error:
        run(input_bytes=b"secret words", blueprints=["not an ARN"])
    assert "secret" not in str(error.value)


def test_an_old_botocore_is_named(document, monkeypatch):
    class Old:
        operation_names = ("InvokeDataAutomationAsync",)

    monkeypatch.setattr("airflow_bda.service.model.service_model", lambda _service: Old())
    with pytest.raises(BdaRequestError, match=r"does not know InvokeDataAutomation\.\nUpgrade boto3"):
        run(input_s3_uri=document)


@pytest.mark.parametrize("blueprints", [pytest.param([INVOICE], marks=needs_call), []])
def test_a_call_that_was_not_sent_is_a_failure_and_no_start(document, monkeypatch, blueprints):
    sent = []
    monkeypatch.setattr(telemetry, "_send", lambda what, metric, *values, **options: sent.append(metric))

    with nullcontext() if blueprints else pytest.raises(BdaRequestError):
        run(input_s3_uri=document, blueprints=blueprints)

    assert sent == (["bda.started", "bda.succeeded"] if blueprints else ["bda.failed.request"])


@needs_call
def test_what_is_wrong_with_bytes_is_said_without_a_name_that_they_do_not_have(document):
    with pytest.raises(BdaError, match="The content is in no format that BDA takes"):
        run(input_bytes=b"no document")
