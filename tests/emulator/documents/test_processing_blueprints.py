"""Blueprint files, the managed blueprints, and the ARNs that name them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making_inputs import INVOICE, PAYSLIP, RECEIPT, pdf, request, table

from airflow_bda.emulator.documents import BlueprintFileError, Processor
from airflow_bda.emulator.documents.fields.blueprint_schema import MAX_SCHEMA_CHARACTERS, parse_blueprint
from airflow_bda.emulator.documents.fields.catalogue import _ID, blueprint_id, managed_blueprint

FIELD = {"type": "string", "inferenceType": "explicit", "instruction": "The number of the order"}
ORDER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "description": "An order of goods",
    "class": "Purchase-Order",
    "type": "object",
    "definitions": {
        "Party": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "inferenceType": "explicit", "instruction": "Who it is"},
                "city": {"type": "string", "inferenceType": "explicit", "instruction": "Where it is"},
            },
        },
        "Line": {
            "type": "object",
            "properties": {
                "article": {"type": "string", "inferenceType": "explicit", "instruction": "What is ordered"},
                "pieces": {"type": "number", "inferenceType": "explicit", "instruction": "How many, 'Pcs'"},
            },
        },
    },
    "properties": {
        "order_number": FIELD,
        "delivery_date": {"type": "string", "inferenceType": "explicit", "instruction": "As DD/MM/YYYY"},
        "rush": {"type": "boolean", "inferenceType": "explicit", "instruction": "Labelled 'Express'"},
        "buyer": {"$ref": "#/definitions/Party"},
        "colours": {"type": "array", "instruction": "All colours", "items": {"type": "string"}},
        "weight_limit": {"type": "integer", "inferenceType": "explicit", "instruction": "The weight limit in kg"},
        "lines": {"type": "array", "instruction": "The lines", "items": {"$ref": "#/definitions/Line"}},
    },
}
ORDER_PAGE = [
    (50, 60, "Purchase Order", 16),
    (50, 100, "Order number: PO-7781"),
    (50, 116, "Delivery date: 3 April 2026"),
    (50, 132, "Express: yes"),
    (50, 148, "Buyer name: Sole Trader Ltd"),
    (50, 164, "Buyer city: Leeds"),
    (50, 180, "Colours: red, light blue; green"),
    (50, 196, "Weight limit: 20 kg"),
    *table(240, (50, 300), ("Article", "Pcs"), ("Brush", "12"), ("Bucket", "3")),
]


def own_arn(resource_id, region="us-east-1", account="123456789012", partition="aws"):
    return f"arn:{partition}:bedrock:{region}:{account}:blueprint/{resource_id}"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "purchase-orders.json").write_text(json.dumps(ORDER))
    return tmp_path


def test_fields_of_every_type_are_found_for_an_own_blueprint(folder):
    segment = (
        Processor(blueprints_dir=folder)
        .process(request(pdf(ORDER_PAGE), blueprints=[own_arn("purchase-orders")]))
        .assets[0]
        .segments[0]
    )

    assert segment.custom["matched_blueprint"]["arn"] == own_arn("purchase-orders")
    assert segment.custom["matched_blueprint"]["name"] == "purchase-orders"
    assert segment.custom["document_class"] == {"type": "Purchase-Order"}
    assert segment.custom["inference_result"] == {
        "order_number": "PO-7781",
        "delivery_date": "03/04/2026",
        "rush": True,
        "buyer": {"name": "Sole Trader Ltd", "city": "Leeds"},
        "colours": ["red", "light blue", "green"],
        "weight_limit": 20,
        "lines": [{"article": "Brush", "pieces": 12}, {"article": "Bucket", "pieces": 3}],
    }


def test_explanations_nest_as_the_results_do(folder):
    processor = Processor(blueprints_dir=folder)
    segment = processor.process(request(pdf(ORDER_PAGE), blueprints=[own_arn("purchase-orders")])).assets[0].segments[0]

    (explained,) = segment.custom["explainability_info"]
    assert explained["buyer"]["city"]["value"] == "Leeds"
    assert [part["value"] for part in explained["colours"]] == ["red", "light blue", "green"]
    assert [row["pieces"]["value"] for row in explained["lines"]] == [12, 3]
    assert all(0 < row["pieces"]["confidence"] <= 1 for row in explained["lines"])


@pytest.mark.parametrize(
    "arn",
    [
        INVOICE,
        RECEIPT,
        PAYSLIP,
        INVOICE.replace("us-east-1", "eu-west-1"),
        INVOICE.replace("arn:aws:", "arn:aws-us-gov:"),
    ],
)
def test_managed_blueprints_are_known_everywhere(arn):
    assert Processor().known_blueprint(arn)


def test_an_own_blueprint_is_known_in_every_region_and_account(folder):
    processor = Processor(blueprints_dir=folder)

    assert processor.known_blueprint(own_arn("purchase-orders", region="eu-west-1", account="999999999999"))
    assert not processor.known_blueprint(own_arn("purchase-order"))
    assert not processor.known_blueprint(INVOICE.replace("invoice", "Invoice"))
    assert not processor.known_blueprint("purchase-orders")
    assert not processor.known_blueprint(own_arn("purchase-orders").replace(":blueprint/", ":data-automation-project/"))


def test_all_blueprints_are_listed_as_they_can_be_asked_for(folder):
    processor = Processor(blueprints_dir=folder)
    listing = processor.blueprints(region="eu-west-1", account="999999999999")

    assert (own_arn("purchase-orders", region="eu-west-1", account="999999999999"), "purchase-orders") in listing
    assert {"Invoice", "Receipt", "Payslip", "Bank-Statement", "US-Driver-License"} < {name for _, name in listing}
    assert all(processor.known_blueprint(arn) for arn, _ in listing)


def test_what_get_blueprint_prints_is_a_blueprint_file(tmp_path):
    answer = {"blueprint": {"blueprintName": "orders", "schema": json.dumps(ORDER), "blueprintArn": "..."}}
    (tmp_path / "purchase-orders.json").write_text(json.dumps(answer))

    assert Processor(blueprints_dir=tmp_path).known_blueprint(own_arn("purchase-orders"))


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("purchase-orders", "purchase-orders"),
        ("purchase_orders", "purchase-orders"),
        ("receipt", "blueprint-receipt"),
        ("Fuel receipt (new)", "Fuel-receipt-new"),
    ],
)
def test_file_names_give_ids(stem, expected):
    assert blueprint_id(stem) == expected


@given(stem=st.text(min_size=1, max_size=80))
def test_every_file_name_gives_a_valid_id(stem):
    assert _ID.fullmatch(blueprint_id(stem))


def test_two_files_with_one_id_are_refused(folder):
    (folder / "purchase_orders.json").write_text(json.dumps(ORDER))

    with pytest.raises(BlueprintFileError, match=r"purchase-orders\.json.*purchase_orders\.json"):
        Processor(blueprints_dir=folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotADirectoryError, match="nowhere"):
        Processor(blueprints_dir=tmp_path / "nowhere")


def with_property(schema):
    return ORDER | {"properties": {"wrong": schema}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "no JSON object"),
        (json.dumps({k: v for k, v in ORDER.items() if k != "class"}), "no 'class'"),
        (json.dumps(ORDER | {"properties": {}}), "no 'properties'"),
        (json.dumps(with_property({"type": "text"})), "'wrong' has the type 'text'"),
        (json.dumps(with_property(FIELD | {"inferenceType": "guessed"})), "inferenceType 'guessed'"),
        (json.dumps(with_property({"$ref": "#/definitions/Nothing"})), "'#/definitions/Nothing', which is not among"),
        (json.dumps(with_property({"$ref": "#/definitions/Party", "inferenceType": "explicit"})), "only single fields"),
        (json.dumps(with_property({"type": "array"})), "without 'items'"),
        (json.dumps(with_property("text")), "not described by a JSON object"),
        (json.dumps(ORDER) + " " * MAX_SCHEMA_CHARACTERS, "characters"),
    ],
)
def test_a_broken_blueprint_file_is_named_with_what_is_wrong(tmp_path, content, reason):
    (tmp_path / "broken-blueprint.json").write_text(content)

    with pytest.raises(BlueprintFileError, match=r"broken-blueprint\.json") as caught:
        Processor(blueprints_dir=tmp_path)
    assert reason in str(caught.value)


def test_a_definition_that_refers_to_itself_is_refused():
    loop = ORDER | {
        "definitions": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}},
        "properties": {"first": {"$ref": "#/definitions/Node"}},
    }
    with pytest.raises(ValueError, match="nested too deep"):
        parse_blueprint(json.dumps(loop))


# Named in public code, documentation or listings; the catalogue may know more.
PUBLIC_NAMES = [
    "bank-statement",
    "birth-certificate",
    "cable-bill",
    "canada-driver-license",
    "conversational-analytics",
    "credit-card-statement",
    "dental-insurance-card",
    "electricity-bill",
    "form-1040",
    "form-1040-schedule-c",
    "form-1098",
    "form-1099-int",
    "form-1099-misc",
    "form-940",
    "form-941",
    "general-audio",
    "general-image",
    "invoice",
    "keynote-highlight",
    "payslip",
    "prescription-label",
    "property-tax-statement",
    "receipt",
    "us-bank-check",
    "us-driver-license",
    "us-medical-insurance-card",
    "us-passport",
    "us-vehicle-title-document",
    "w2-form",
    "water-and-sewer-bill",
    "workers-compensation-form",
    "advertisement",
]


def managed_arn(name):
    return INVOICE.replace("-public-invoice", f"-public-{name}")


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_of_a_managed_blueprint_is_known(name):
    processor = Processor()

    assert processor.known_blueprint(managed_arn(name))
    assert managed_arn(name) in dict(processor.blueprints())
    assert managed_blueprint(managed_arn(name)).name.lower() == name


def test_a_managed_blueprint_without_a_schema_matches_nothing_and_says_how_to_supply_one(caplog):
    processor = Processor()

    for _ in range(2):  # the second one has nothing new to tell
        (segment,) = (
            processor.process(request(pdf(ORDER_PAGE), blueprints=[managed_arn("us-passport")])).assets[0].segments
        )
        assert (segment.custom, segment.custom_status) == (None, "NO_MATCH")
    (line,) = (record.getMessage() for record in caplog.records if "US-Passport" in record.getMessage())
    assert "bedrock-data-automation-public-us-passport.json" in line
    assert "--blueprints" in line


def test_a_managed_blueprint_that_no_public_source_names_is_accepted_and_told_of(caplog):
    """AWS has more than the public names; a project of an account may well have one of them."""
    processor, unlisted, misspelt = Processor(), managed_arn("us-death-certificate"), managed_arn("invoise")
    asked = request(pdf(ORDER_PAGE), blueprints=[unlisted, misspelt])

    for _ in range(2):
        (segment,) = processor.process(asked).assets[0].segments
        assert (segment.custom, segment.custom_status) == (None, "NO_MATCH")
    assert processor.known_blueprint(unlisted)
    assert unlisted not in dict(processor.blueprints())
    of_one, of_other, how_to_supply = (record.getMessage() for record in caplog.records)
    assert "public-us-death-certificate is not among the 32 public names" in of_one
    assert of_other.endswith("Is bedrock-data-automation-public-invoice meant?")
    assert "bedrock-data-automation-public-us-death-certificate.json" in how_to_supply


@pytest.mark.parametrize("name", ["us-passport", "not-in-the-catalogue"])
def test_a_file_supplies_the_schema_of_a_managed_blueprint(tmp_path, name, caplog):
    (tmp_path / f"bedrock-data-automation-public-{name}.json").write_text(json.dumps(ORDER))
    processor = Processor(blueprints_dir=tmp_path)
    (segment,) = processor.process(request(pdf(ORDER_PAGE), blueprints=[managed_arn(name)])).assets[0].segments

    assert processor.known_blueprint(managed_arn(name))
    assert segment.custom["matched_blueprint"]["arn"] == managed_arn(name)
    assert segment.custom["inference_result"]["order_number"] == "PO-7781"
    assert not caplog.records


def test_a_managed_name_in_an_account_is_not_the_managed_blueprint():
    assert not Processor().known_blueprint(own_arn("bedrock-data-automation-public-invoice"))
    assert managed_blueprint(own_arn("bedrock-data-automation-public-invoice")) is None
    assert managed_blueprint("no ARN") is None


def test_one_log_line_names_all_managed_blueprints_without_a_schema(caplog):
    Processor().process(request(pdf(ORDER_PAGE), blueprints=[INVOICE, *map(managed_arn, ("us-passport", "w2-form"))]))

    (line,) = (record.getMessage() for record in caplog.records)
    assert "US-Passport, W2-Form" in line
