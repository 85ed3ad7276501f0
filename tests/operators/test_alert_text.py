"""The message of a failure callback: the document and the reason first."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_bda.exceptions import BdaClientFailException, BdaRequestFailException, alert_text
from airflow_bda.operators import BdaInvokeOperator

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/11111111-2222-3333-4444-555555555555"
TI = SimpleNamespace(dag_id="d", task_id="t", run_id="r", log_url="https://airflow.example.com/log")


def test_the_document_and_the_reason_come_first():
    error = BdaClientFailException("The job ended in ClientError.", input_s3_uri="s3://b/a.pdf", invocation_arn=ARN)

    lines = alert_text({"exception": error, "ti": TI}).splitlines()

    assert lines[0] == "s3://b/a.pdf: The job ended in ClientError."
    assert lines[1] == error.remedy
    assert lines[2:] == [f"Invocation: {ARN}", "Task: d.t, run r", "Log: https://airflow.example.com/log"]


@pytest.mark.parametrize("exception", [None, "Task was killed", ValueError("other")])
def test_a_task_that_was_killed_still_names_its_document(exception):
    task = SimpleNamespace(input_s3_uri="s3://b/a.pdf")

    text = alert_text({"exception": exception, "ti": TI, "task": task})

    assert text.startswith("s3://b/a.pdf: ")
    assert str(exception or "see its log") in text


def test_a_batch_is_named_by_its_prefix():
    error = BdaClientFailException("1 of 4 documents failed, 0 are allowed.")

    text = alert_text({"exception": error, "ti": TI, "task": SimpleNamespace(input_s3_prefix="s3://b/inbox/")})

    assert text.startswith("s3://b/inbox/: 1 of 4 documents failed")


def test_a_long_error_stays_short_enough_for_a_chat():
    error = BdaRequestFailException("No.", problems=["x" * 4000], input_s3_uri="s3://b/a.pdf")

    text = alert_text({"exception": error, "ti": TI})

    assert len(text) < 1500
    assert text.endswith("Log: https://airflow.example.com/log")


def test_a_real_failure(bda_emulator):
    document = bda_emulator.upload(b"no pdf at all", "a.pdf")
    task = BdaInvokeOperator(
        task_id="t", input_s3_uri=document, output_s3_uri="s3://bda-test/out", wait_for_completion=True
    )
    context = {"task": task, "ti": SimpleNamespace(**vars(TI), map_index=-1, try_number=1, max_tries=0)}

    with pytest.raises(BdaClientFailException) as failure:
        task.execute(context)

    first, *_ = alert_text({**context, "exception": failure.value}).splitlines()
    assert first.startswith(f"{document}: The data automation job ended in ClientError.")
