"""Invoices of several layouts, none of which the code knows."""

import pytest
from making_inputs import INVOICE, pdf, request, table

from airflow_bda.emulator.documents import Processor

HEAD = [
    (50, 38, "From:", 9),
    (50, 60, "Northwind Parts Inc.", 18),
    (50, 80, "5 Dock Road, Boston, MA 02110"),
    (-50, 60, "INVOICE", 16),
]
CUSTOMER = [(50, 200, "Bill to"), (50, 214, "Acme Corp"), (50, 228, "9 High Street"), (50, 242, "Albany, NY 12207")]
ITEMS = table(
    300,
    (50, -240, -150, -50),
    ("Description", "Qty", "Unit Price", "Amount"),
    ("Blue widget", "2", "100.00", "200.00"),
    ("Red widget with bolts", "10", "80.00", "800.00"),
)
TOTALS = [
    (380, 380, "Subtotal:"),
    (-50, 380, "$1,000.00"),
    (380, 396, "Tax (8%):"),
    (-50, 396, "$80.00"),
    (380, 412, "Total:", 12),
    (-50, 412, "$1,080.00", 12),
]

LAYOUTS = {
    "labels with colons": [
        *HEAD,
        (50, 110, "Invoice Number: INV-1001"),
        (50, 124, "Invoice Date: 01/05/2026"),
        (50, 138, "Due Date: 02/04/2026"),
        (50, 152, "PO Number: 4500012"),
        *CUSTOMER,
        *ITEMS,
        *TOTALS,
    ],
    "values at the right edge": [
        *HEAD,
        *table(
            110,
            (350, -50),
            ("Invoice No.", "INV-1001"),
            ("Date", "Jan 5, 2026"),
            ("Payment Due", "Feb 4, 2026"),
            ("P.O. #", "4500012"),
        ),
        *CUSTOMER,
        *ITEMS,
        *table(380, (380, -50), ("Sub-total", "1,000.00"), ("Sales Tax 8%", "80.00"), ("AMOUNT DUE", "USD 1,080.00")),
    ],
    "a row of labels above a row of values": [
        *HEAD,
        *table(
            110,
            (50, 160, 270, 350, 450),
            ("Invoice #", "Invoice Date", "Terms", "Due Date", "P.O. No."),
            ("INV-1001", "01/05/26", "Net 30", "02/04/26", "4500012"),
            step=14,
        ),
        *CUSTOMER,
        *ITEMS,
        *TOTALS,
    ],
    "European numbers and dates": [
        *HEAD,
        (50, 110, "Invoice no. INV-1001"),
        (50, 124, "Date of issue 05.01.2026"),
        (50, 138, "Payable by 04.02.2026"),
        (50, 152, "Your order 4500012"),
        *CUSTOMER,
        *table(
            300,
            (50, -240, -150, -50),
            ("Item", "Quantity", "Price", "Total"),
            ("Blue widget", "2", "100,00", "200,00"),
            ("Red widget with bolts", "10", "80,00", "800,00"),
        ),
        *table(
            380,
            (380, -50),
            ("Net total", "1.000,00 EUR"),
            ("VAT 8%", "80,00 EUR"),
            ("Grand total", "1.080,00 EUR"),
        ),
    ],
    "many labels in one line": [
        *HEAD,
        (50, 110, "Invoice #: INV-1001 Date: 01/05/2026 Due Date: 02/04/2026 PO: 4500012"),
        *CUSTOMER,
        *table(
            300,
            (50, 180, 205, 245),
            ("Description", "Qty", "Rate", "Amount"),
            ("Blue widget", "2", "100.00", "200.00"),
            ("Red widget with bolts", "10", "80.00", "800.00"),
        ),
        (50, 380, "Subtotal: 1,000.00 Tax: 80.00 Total: 1,080.00"),
    ],
    "small labels stacked on values": [
        *HEAD,
        *(
            (x, 110, label, 8)
            for x, label in ((50, "Invoice number"), (170, "Issued"), (300, "Due"), (430, "Order number"))
        ),
        *((x, 122, value) for x, value in ((50, "INV-1001"), (170, "5 January 2026"), (300, "4 February 2026"))),
        (430, 122, "4500012"),
        *CUSTOMER,
        *ITEMS,
        *TOTALS,
    ],
    "customer beside the facts": [
        *HEAD,
        *table(
            200,
            (350, -50),
            ("Invoice number:", "INV-1001"),
            ("Invoice date:", "2026-01-05"),
            ("Due date:", "2026-02-04"),
            ("Purchase order:", "4500012"),
            step=14,
        ),
        *CUSTOMER,
        *ITEMS,
        *TOTALS,
    ],
}
EXPECTED = {
    "InvoiceNumber": "INV-1001",
    "InvoiceDate": "2026-01-05",
    "DueDate": "2026-02-04",
    "PurchaseOrderNumber": "4500012",
    "VendorName": "Northwind Parts Inc.",
    "VendorAddress": "5 Dock Road, Boston, MA 02110",
    "CustomerName": "Acme Corp",
    "CustomerAddress": "9 High Street, Albany, NY 12207",
    "Subtotal": 1000,
    "TaxAmount": 80,
    "Total": 1080,
    "LineItems": [
        {"Description": "Blue widget", "Quantity": 2, "UnitPrice": 100, "Amount": 200},
        {"Description": "Red widget with bolts", "Quantity": 10, "UnitPrice": 80, "Amount": 800},
    ],
}


def read(*pages, blueprint=INVOICE):
    return Processor().process(request(pdf(*pages), blueprints=[blueprint])).assets[0].segments[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fields_are_found_wherever_the_layout_puts_them(layout):
    segment = read(LAYOUTS[layout])

    assert segment.custom_status == "MATCH"
    found = segment.custom["inference_result"]
    assert {name: found[name] for name in EXPECTED} == EXPECTED


def test_each_field_says_how_sure_it_is_and_where_it_stands():
    segment = read(LAYOUTS["labels with colons"])

    (explained,) = segment.custom["explainability_info"]
    number = explained["InvoiceNumber"]
    assert number["success"] is True
    assert number["value"] == "INV-1001"
    assert number["type"] == "string"
    (place,) = number["geometry"]
    assert place["page"] == 1
    # The label begins 50 points from the left of 595 and ends before the value; the line is 110 points down of 842.
    assert 0.17 < place["boundingBox"]["left"] < 0.25
    assert 0.11 < place["boundingBox"]["top"] < 0.14
    assert place["vertices"][0] == {"x": place["boundingBox"]["left"], "y": place["boundingBox"]["top"]}


def test_confidence_falls_with_the_distance_between_label_and_value():
    beside = read(LAYOUTS["labels with colons"]).custom["explainability_info"][0]
    above = read(LAYOUTS["a row of labels above a row of values"]).custom["explainability_info"][0]

    assert beside["InvoiceNumber"]["confidence"] > above["InvoiceNumber"]["confidence"] > 0


def test_what_is_not_there_is_not_found():
    segment = read([*HEAD, (50, 110, "Invoice Number: INV-1001"), (50, 130, "Total: 5.00"), (50, 150, "Tax: 0.40")])

    found, (explained,) = segment.custom["inference_result"], segment.custom["explainability_info"]
    assert found["DueDate"] == ""
    assert found["Subtotal"] == ""
    assert found["LineItems"] == [dict.fromkeys(("Description", "Quantity", "UnitPrice", "Amount"), "")]
    assert explained["DueDate"] == {"success": True, "confidence": 0.73, "value": "", "type": "string"}
    assert explained["LineItems"][0]["Quantity"] == {
        "success": True,
        "confidence": 0.73,
        "value": "",
        "type": "number",
    }


def test_a_label_in_running_text_leads_to_no_value():
    segment = read([*HEAD, *LAYOUTS["labels with colons"][3:], (50, 500, "Total satisfaction is what we stand for.")])

    assert segment.custom["inference_result"]["Total"] == 1080


def test_descriptions_of_several_lines_stay_one_row():
    rows = table(
        300,
        (50, -240, -150, -50),
        ("Description", "Qty", "Unit Price", "Amount"),
        ("Blue widget", "2", "100.00", "200.00"),
        ("with a longer cable", "", "", ""),
        ("Red widget", "10", "80.00", "800.00"),
        step=13,
    )
    segment = read([*LAYOUTS["labels with colons"][:7], *rows, *TOTALS])

    items = segment.custom["inference_result"]["LineItems"]
    assert [item["Description"] for item in items] == ["Blue widget with a longer cable", "Red widget"]


def test_rows_go_on_where_the_next_page_repeats_the_head():
    more = table(
        60, (50, -240, -150, -50), ("Description", "Qty", "Unit Price", "Amount"), ("Bolt", "1", "0.50", "0.50")
    )
    segment = read(LAYOUTS["labels with colons"], more)

    items = segment.custom["inference_result"]["LineItems"]
    assert [item["Description"] for item in items] == ["Blue widget", "Red widget with bolts", "Bolt"]
    assert segment.custom["explainability_info"][0]["LineItems"][2]["Amount"]["geometry"][0]["page"] == 2
    assert segment.custom["split_document"] == {"page_indices": [0, 1]}


def test_what_no_label_leads_to_is_not_guessed():
    """A letterhead, the first date or the currency beside an amount would be a guess."""
    found = read([*HEAD[1:], *LAYOUTS["labels with colons"][4:]]).custom["inference_result"]

    assert (found["VendorName"], found["VendorAddress"], found["Currency"]) == ("", "", "")
    assert found["InvoiceNumber"] == "INV-1001"
