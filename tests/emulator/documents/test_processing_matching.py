"""Which blueprint fits, and where one document ends and the next begins."""

import pytest
from making_inputs import INVOICE, PAYSLIP, RECEIPT, pdf, request, table

from airflow_bda.emulator.documents import Processor
from airflow_bda.emulator.documents.contract import ProjectConfiguration

INVOICE_PAGE = [
    (50, 60, "Northwind Parts Inc.", 18),
    (-50, 60, "INVOICE", 16),
    (50, 110, "Invoice Number: INV-1001"),
    (50, 124, "Invoice Date: 01/05/2026"),
    (50, 138, "Due Date: 02/04/2026"),
    *table(
        300, (50, -240, -150, -50), ("Description", "Qty", "Unit Price", "Amount"), ("Blue widget", "2", "1.00", "2.00")
    ),
    (380, 380, "Subtotal:"),
    (-50, 380, "$2.00"),
    (380, 396, "Total:"),
    (-50, 396, "$2.00"),
]
TERMS_PAGE = [(50, 60, "General terms of delivery"), (50, 80, "Goods remain ours until they are paid for.")]
RECEIPT_PAGE = [
    (50, 60, "Harbor Books", 18),
    (50, 90, "Sales receipt"),
    (50, 110, "Receipt no. 5512"),
    (50, 124, "Date: 01/09/2026"),
    (50, 160, "Atlas"),
    (-300, 160, "30.00"),
    (50, 174, "Pencils"),
    (-300, 174, "2.50"),
    (50, 200, "Subtotal"),
    (-300, 200, "32.50"),
    (50, 214, "Tax"),
    (-300, 214, "2.60"),
    (50, 228, "Total"),
    (-300, 228, "35.10"),
    (50, 242, "Paid by: Mastercard"),
]
PAYSLIP_PAGE = [
    (50, 60, "Granite Works LLC", 16),
    (-50, 60, "Earnings Statement", 14),
    (50, 100, "Employee: Maria Lopez"),
    (300, 100, "Employee ID: 20417"),
    (50, 116, "Pay period start: 03/01/2026"),
    (300, 116, "Pay period end: 03/15/2026"),
    (50, 132, "Pay date: 03/20/2026"),
    *table(
        180,
        (50, -350, -270, -170, -50),
        ("Earnings", "Hours", "Rate", "Current", "YTD"),
        ("Regular", "80.00", "30.00", "2,400.00", "12,000.00"),
        ("Overtime", "4.00", "45.00", "180.00", "540.00"),
    ),
    *table(260, (50, -170, -50), ("Gross pay", "2,580.00", "12,540.00"), ("Total deductions", "600.00", "3,000.00")),
    *table(296, (50, -170, -50), ("Net pay", "$1,980.00", "$9,540.00")),
]
LETTER = [
    (50, 80, "Dear Ms Ames,"),
    (50, 110, "thank you for your invoice of last week. We shall look into it and write to you again as soon as we"),
    (50, 124, "have found out who ordered the goods. Until then we ask for a little patience."),
    (50, 160, "Kind regards, Joan Bell"),
]


def process(*pages, blueprints=(), **options):
    return Processor().process(request(pdf(*pages), blueprints=blueprints, **options)).assets[0].segments


def test_without_blueprints_there_is_no_custom_output():
    (segment,) = process(INVOICE_PAGE)

    assert segment.custom is None
    assert segment.custom_status is None


@pytest.mark.parametrize(
    ("page", "blueprint"), [(INVOICE_PAGE, INVOICE), (RECEIPT_PAGE, RECEIPT), (PAYSLIP_PAGE, PAYSLIP)]
)
def test_the_fitting_blueprint_wins(page, blueprint):
    (segment,) = process(page, blueprints=[RECEIPT, INVOICE, PAYSLIP])

    assert segment.custom["matched_blueprint"]["arn"] == blueprint
    assert 0.4 <= segment.custom["matched_blueprint"]["confidence"] <= 1


@pytest.mark.parametrize(
    ("page", "blueprints"),
    [
        (LETTER, [INVOICE, RECEIPT]),
        (INVOICE_PAGE, [PAYSLIP, RECEIPT]),
        (TERMS_PAGE, [INVOICE, PAYSLIP]),
    ],
)
def test_what_fits_no_blueprint_is_no_match(page, blueprints):
    (segment,) = process(page, blueprints=blueprints)

    assert segment.custom is None
    assert segment.custom_status == "NO_MATCH"
    assert segment.standard["document"]["representation"]["text"]


def test_an_unknown_blueprint_matches_nothing():
    (segment,) = process(INVOICE_PAGE, blueprints=[INVOICE.replace("invoice", "no-such-thing")])

    assert segment.custom_status == "NO_MATCH"


def test_a_list_without_a_head_is_not_guessed():
    (segment,) = process(RECEIPT_PAGE, blueprints=[RECEIPT])

    found = segment.custom["inference_result"]
    assert found["MerchantName"] == ""
    assert found["ReceiptNumber"] == "5512"
    assert found["TransactionDate"] == "2026-01-09"
    assert (found["Subtotal"], found["TaxAmount"], found["Total"]) == (32.5, 2.6, 35.1)
    assert found["PaymentMethod"] == "Mastercard"
    assert [(item["Description"], item["Amount"]) for item in found["Items"]] == [("", "")]


def test_the_fields_of_a_payslip_are_those_of_the_period_not_of_the_year():
    (segment,) = process(PAYSLIP_PAGE, blueprints=[PAYSLIP])

    found = segment.custom["inference_result"]
    assert found["EmployeeName"] == "Maria Lopez"
    assert found["EmployeeId"] == "20417"
    assert found["EmployerName"] == ""
    assert found["PayPeriodStartDate"] == "2026-03-01"
    assert found["PayPeriodEndDate"] == "2026-03-15"
    assert found["PayDate"] == "2026-03-20"
    assert (found["GrossPay"], found["TotalDeductions"], found["NetPay"]) == (2580, 600, 1980)
    assert found["Earnings"] == [
        {"Description": "Regular", "Hours": 80, "Rate": 30, "CurrentAmount": 2400, "YearToDateAmount": 12000},
        {"Description": "Overtime", "Hours": 4, "Rate": 45, "CurrentAmount": 180, "YearToDateAmount": 540},
    ]


def test_documents_in_one_file_become_segments_of_whole_pages():
    invoice, receipt, payslip = process(
        INVOICE_PAGE, TERMS_PAGE, RECEIPT_PAGE, PAYSLIP_PAGE, blueprints=[INVOICE, RECEIPT, PAYSLIP]
    )

    assert [each.custom["split_document"]["page_indices"] for each in (invoice, receipt, payslip)] == [[0, 1], [2], [3]]
    assert [each.custom["document_class"]["type"] for each in (invoice, receipt, payslip)] == [
        "Invoice",
        "Receipt",
        "Payslip",
    ]
    assert invoice.standard["metadata"]["number_of_pages"] == 2
    assert receipt.standard["metadata"]["start_page_index"] == receipt.standard["metadata"]["end_page_index"] == 2
    assert receipt.standard["metadata"]["logical_subdocument_id"] == "1"
    assert "Harbor Books" not in invoice.standard["document"]["representation"]["text"]


def test_pages_before_the_first_known_document_are_a_segment_without_a_match():
    letter, invoice = process(LETTER, INVOICE_PAGE, blueprints=[INVOICE, RECEIPT])

    assert letter.custom_status == "NO_MATCH"
    assert invoice.custom_status == "MATCH"


@pytest.mark.parametrize(
    "options",
    [
        {"blueprints": [INVOICE]},
        {"blueprints": [INVOICE, RECEIPT], "sync": True},
        {"blueprints": [INVOICE, RECEIPT], "project": ProjectConfiguration()},
        {},
    ],
)
def test_one_blueprint_a_synchronous_call_no_splitter_or_no_blueprint_keep_the_file_whole(options):
    (segment,) = process(INVOICE_PAGE, RECEIPT_PAGE, **options)

    assert segment.standard["metadata"]["number_of_pages"] == 2


@pytest.mark.parametrize("page", [LETTER, INVOICE_PAGE])
def test_the_only_blueprint_is_applied_whether_it_fits_or_not(page):
    (segment,) = process(page, blueprints=[PAYSLIP])

    assert segment.custom_status == "MATCH"
    assert segment.custom["matched_blueprint"]["arn"] == PAYSLIP


@pytest.mark.parametrize("blueprints", [[PAYSLIP], [PAYSLIP, RECEIPT]])
def test_what_fits_nothing_gets_the_fallback_blueprint_of_the_project(blueprints):
    project = ProjectConfiguration(fallback_arn=INVOICE)
    (segment,) = process(LETTER, blueprints=blueprints, project=project)

    assert segment.custom_status == "FALLBACK"
    assert segment.custom["matched_blueprint"]["arn"] == INVOICE
    assert segment.custom["inference_result"]["InvoiceNumber"] == ""


def test_what_fits_a_blueprint_needs_no_fallback():
    (segment,) = process(INVOICE_PAGE, blueprints=[INVOICE], project=ProjectConfiguration(fallback_arn=RECEIPT))

    assert segment.custom_status == "MATCH"
    assert segment.custom["matched_blueprint"]["arn"] == INVOICE
