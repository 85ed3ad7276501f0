"""The samples that come with the emulator."""

import json
import runpy
from importlib import resources
from pathlib import Path

import pytest
from making_inputs import INVOICE, RECEIPT, request

from airflow_bda.emulator.documents import Processor
from airflow_bda.emulator.documents.reading.images import has_ocr
from airflow_bda.service.results.custom import CustomOutput
from airflow_bda.service.results.job_result import parse_standard_output
from airflow_bda.service.s3 import Modality

SAMPLES = resources.files("airflow_bda.emulator") / "samples"
MAKER = Path(__file__).parents[3] / "tools" / "make_samples.py"


def process(name):
    return Processor().process(request((SAMPLES / name).read_bytes(), key=name, blueprints=[INVOICE, RECEIPT]))


def test_the_invoice_is_read_in_full():
    (segment,) = process("invoice.pdf").assets[0].segments

    found = segment.custom["inference_result"]
    assert found | {"LineItems": len(found["LineItems"])} == {
        "InvoiceNumber": "TR-2026-0417",
        "InvoiceDate": "2026-04-17",
        "DueDate": "2026-05-17",
        "PurchaseOrderNumber": "PO-88213",
        "PaymentTerms": "Net 30 days",
        "VendorName": "Tern River Instruments",
        "VendorAddress": "410 Quay Street, Duluth, MN 55802",
        "CustomerName": "Blue Heron Watershed Trust",
        "CustomerAddress": "1200 Mill Road, Suite 4, Asheville, NC 28801",
        "Currency": "USD",
        "Subtotal": 2698.8,
        "TaxAmount": 202.41,
        "Total": 2986.21,
        "LineItems": 6,
    }
    assert sum(item["Amount"] for item in found["LineItems"]) == pytest.approx(found["Subtotal"])
    assert segment.custom["explainability_info"][0]["Total"]["geometry"][0]["page"] == 2


@pytest.mark.skipif(not has_ocr(), reason="rapidocr is not installed")
def test_the_receipt_is_read_by_ocr(capfd):
    processed = process("receipt.png")

    (segment,) = processed.assets[0].segments
    assert processed.modality is Modality.DOCUMENT
    assert segment.custom["matched_blueprint"]["arn"] == RECEIPT
    found, (explained,) = segment.custom["inference_result"], segment.custom["explainability_info"]
    assert found["ReceiptNumber"] == "004-18263"
    assert found["TransactionDate"] == "2026-03-14"
    assert (found["Subtotal"], found["TaxAmount"], found["Total"]) == (25.3, 1.39, 26.69)
    assert [item["Quantity"] for item in found["Items"]] == [2, 1, 1, 3]
    assert explained["Total"]["confidence"] < 1
    assert capfd.readouterr() == ("", "")


def test_the_note_is_audio():
    processed = process("note.wav")

    assert processed.modality is Modality.AUDIO
    assert processed.assets[0].segments[0].standard["metadata"]["duration_millis"] == 1500


@pytest.mark.parametrize("name", ["invoice.pdf", "note.wav"])
def test_the_script_makes_the_files_that_are_shipped(name, tmp_path):
    """The receipt is left out: its pixels depend on the release of Pillow's font renderer."""
    maker = runpy.run_path(str(MAKER))
    maker["make_invoice" if name == "invoice.pdf" else "make_note"](tmp_path / name)

    assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes()


@pytest.mark.parametrize("name", ["invoice.pdf", "receipt.png", "note.wav"])
def test_samples_are_small(name):
    assert len((SAMPLES / name).read_bytes()) < 100_000


def test_the_reader_of_results_reads_what_is_written():
    """Both sides rest on the same facts about the service, and neither on the other."""
    (segment,) = process("invoice.pdf").assets[0].segments
    standard = parse_standard_output(json.dumps(segment.standard))
    custom = CustomOutput.parse(json.dumps(segment.custom))

    assert standard.number_of_pages == 2
    assert len(standard.text_words) == segment.standard["document"]["statistics"]["word_count"]
    assert all(word.locations[0].box for word in standard.text_words)
    total = next(each for each in custom.fields() if each.path == "Total")
    assert (total.value, total.page, total.type) == (2986.21, 2, "number")
    amount = next(each for each in custom.fields() if each.path == "LineItems[5].Amount")
    assert (amount.value, amount.confidence) == (600, 1.0)
    assert amount.box is not None
