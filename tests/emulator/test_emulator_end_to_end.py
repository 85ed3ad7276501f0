"""Real files through the real processing: what a user's own document gives."""

from __future__ import annotations

import io
import json
import time

import pytest
from reportlab.pdfgen.canvas import Canvas

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"


@pytest.fixture
def invoice() -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file)
    for line, text in enumerate(("INVOICE", "Invoice Number: INV-2041", "Invoice Date: 2026-01-05", "Total: $118.00")):
        canvas.drawString(72, 760 - 24 * line, text)
    canvas.save()
    return file.getvalue()


def run(emulator, source, **request):
    client = emulator.client("bedrock-data-automation-runtime")
    arn = client.invoke_data_automation_async(
        inputConfiguration={"s3Uri": source},
        outputConfiguration={"s3Uri": "s3://bda-test/out"},
        dataAutomationProfileArn=PROFILE,
        **request,
    )["invocationArn"]
    give_up = time.monotonic() + 60
    while (answer := client.get_data_automation_status(invocationArn=arn))["status"] in {"Created", "InProgress"}:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return answer


def read(emulator, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.load(emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"])


def test_a_pdf_is_read_and_matched_against_a_managed_blueprint(bda_emulator, invoice):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    blueprint = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"
    answer = run(bda_emulator, bda_emulator.upload(invoice, "a.pdf"), blueprints=[{"blueprintArn": blueprint}])
    assert answer["status"] == "Success"
    metadata = read(bda_emulator, answer["outputConfiguration"]["s3Uri"])
    assert metadata["semantic_modality"] == "DOCUMENT"
    (segment,) = metadata["output_metadata"][0]["segment_metadata"]
    assert segment["custom_output_status"] == "MATCH"
    assert "INV-2041" in json.dumps(read(bda_emulator, segment["custom_output_path"]))
    assert "INV-2041" in json.dumps(read(bda_emulator, segment["standard_output_path"]))


def test_a_broken_pdf_ends_in_a_client_error(bda_emulator):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    answer = run(bda_emulator, bda_emulator.upload(b"%PDF-1.7 and then nothing", "a.pdf"))
    assert answer["status"] == "ClientError"
    assert answer["errorType"]
    assert answer["errorMessage"]
