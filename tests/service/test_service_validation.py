"""The walk along botocore's model finds every broken rule, at the member's own path."""

import pytest
from botocore.model import ServiceModel

from airflow_bda.service import model
from airflow_bda.service.model import Problem, Rule, find_problems, validate

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
BLUEPRINT = "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"
GOOD = {
    "inputConfiguration": {"s3Uri": "s3://bucket/a.pdf"},
    "outputConfiguration": {"s3Uri": "s3://bucket/out"},
    "dataAutomationProfileArn": PROFILE,
}


def found(**changes):
    return [(problem.path, problem.rule) for problem in validate("InvokeDataAutomationAsync", GOOD | changes)]


def test_a_good_request_has_no_problem():
    assert found(blueprints=[{"blueprintArn": BLUEPRINT, "version": "1", "stage": "LIVE"}], tags=[]) == []


@pytest.mark.parametrize(
    ("changes", "path", "rule"),
    [
        ({"inputConfiguration": {}}, "inputConfiguration.s3Uri", Rule.REQUIRED),
        ({"inputConfiguration": {"s3Uri": "s3://b/x"}}, "inputConfiguration.s3Uri", Rule.PATTERN),
        ({"inputConfiguration": {"s3Uri": "s3://bucket/" + "x" * 1013}}, "inputConfiguration.s3Uri", Rule.LENGTH),
        ({"inputConfiguration": None}, "inputConfiguration", Rule.TYPE),
        ({"inputConfiguration": {"s3Uri": b"s3://bucket/a"}}, "inputConfiguration.s3Uri", Rule.TYPE),
        ({"unheardOf": 1}, "unheardOf", Rule.UNKNOWN),
        ({"blueprints": []}, "blueprints", Rule.LENGTH),
        ({"blueprints": [{"blueprintArn": BLUEPRINT}] * 41}, "blueprints", Rule.LENGTH),
        ({"blueprints": {"blueprintArn": BLUEPRINT}}, "blueprints", Rule.TYPE),
        ({"blueprints": BLUEPRINT}, "blueprints", Rule.TYPE),
        (
            {"blueprints": [{"blueprintArn": BLUEPRINT}, {"blueprintArn": BLUEPRINT, "stage": "PROD"}]},
            "blueprints[1].stage",
            Rule.ENUM,
        ),
        ({"tags": [{"key": "aws:x", "value": ""}]}, "tags[0].key", Rule.PATTERN),
        ({"tags": [{"key": "x"}]}, "tags[0].value", Rule.REQUIRED),
        (
            {"notificationConfiguration": {"eventBridgeConfiguration": {"eventBridgeEnabled": 1}}},
            "notificationConfiguration.eventBridgeConfiguration.eventBridgeEnabled",
            Rule.TYPE,
        ),
        (
            {"encryptionConfiguration": {"kmsKeyId": "key", "kmsEncryptionContext": {"a": " "}}},
            "encryptionConfiguration.kmsEncryptionContext['a']",
            Rule.PATTERN,
        ),
        (
            {"encryptionConfiguration": {"kmsKeyId": "key", "kmsEncryptionContext": {"": "x"}}},
            "encryptionConfiguration.kmsEncryptionContext[''] (the key)",
            Rule.LENGTH,
        ),
        (
            {"encryptionConfiguration": {"kmsKeyId": "key", "kmsEncryptionContext": {}}},
            "encryptionConfiguration.kmsEncryptionContext",
            Rule.LENGTH,
        ),
    ],
)
def test_each_rule_is_found_at_its_member(changes, path, rule):
    assert found(**changes) == [(path, rule)]


def segment(value):
    return {
        "inputConfiguration": {
            "s3Uri": "s3://bucket/a.mp4",
            "assetProcessingConfiguration": {"video": {"segmentConfiguration": value}},
        }
    }


SEGMENT = "inputConfiguration.assetProcessingConfiguration.video.segmentConfiguration"


@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        ({}, SEGMENT, Rule.UNION),
        (
            {"timestampSegment": {"startTimeMillis": -1, "endTimeMillis": 300000}},
            f"{SEGMENT}.timestampSegment.startTimeMillis",
            Rule.RANGE,
        ),
        (
            {"timestampSegment": {"startTimeMillis": 0, "endTimeMillis": 299999}},
            f"{SEGMENT}.timestampSegment.endTimeMillis",
            Rule.RANGE,
        ),
        (
            {"timestampSegment": {"startTimeMillis": True, "endTimeMillis": 300000}},
            f"{SEGMENT}.timestampSegment.startTimeMillis",
            Rule.TYPE,
        ),
        (
            {"timestampSegment": {"startTimeMillis": 0.5, "endTimeMillis": 300000}},
            f"{SEGMENT}.timestampSegment.startTimeMillis",
            Rule.TYPE,
        ),
    ],
)
def test_unions_and_ranges_hold(value, path, rule):
    assert found(**segment(value)) == [(path, rule)]


def test_all_problems_come_at_once():
    problems = validate("InvokeDataAutomationAsync", {"inputConfiguration": {"s3Uri": 7}, "clientToken": "-"})
    assert {problem.path for problem in problems} == {
        "inputConfiguration.s3Uri",
        "outputConfiguration",
        "dataAutomationProfileArn",
        "clientToken",
    }


def test_a_request_that_is_no_mapping_is_a_problem():
    (problem,) = validate("InvokeDataAutomationAsync", ["x"])
    assert str(problem) == "the request is ['x']: it must be a mapping, not list."


def test_other_operations_are_checked_by_the_same_walk():
    (problem,) = validate("GetDataAutomationStatus", {"invocationArn": "4e36a3f0-1111-2222-3333-444455556666"})
    assert problem.path == "invocationArn"
    assert problem.rule is Rule.PATTERN


def test_the_sentence_names_member_value_and_what_is_valid():
    assert str(Problem("stage", "live", Rule.ENUM, "it must be LIVE")) == "stage is 'live': it must be LIVE."
    assert str(Problem("stage", None, Rule.REQUIRED, "it is required")) == "stage is missing: it is required."


def test_a_long_value_is_shortened_in_the_sentence():
    assert len(str(Problem("tags", [{"key": "x" * 5000}] * 500, Rule.LENGTH, "too many"))) < 1000


def test_the_types_that_the_runtime_api_has_no_example_of():
    """The model may grow: every type of botocore's is walked, and one that is not known is let through."""
    description = {
        "metadata": {"apiVersion": "2024-01-01", "serviceId": "x"},
        "operations": {},
        "shapes": {
            "Top": {
                "type": "structure",
                "members": {
                    "ratio": {"shape": "Ratio"},
                    "body": {"shape": "Body"},
                    "when": {"shape": "When"},
                    "either": {"shape": "Either"},
                },
            },
            "Ratio": {"type": "double", "max": 1},
            "Body": {"type": "blob"},
            "When": {"type": "timestamp"},
            "Either": {"type": "structure", "union": True, "members": {"a": {"shape": "Body"}, "b": {"shape": "Body"}}},
        },
    }
    top = ServiceModel(description, "x").shape_for("Top")
    good = {"ratio": 1, "body": b"x", "when": "2026-01-05", "either": {"a": b""}}
    assert list(find_problems(top, good, "")) == []
    bad = {"ratio": 1.5, "body": 7, "when": object(), "either": {"a": b"", "b": b""}}
    assert [(problem.path, problem.rule) for problem in find_problems(top, bad, "")] == [
        ("ratio", Rule.RANGE),
        ("body", Rule.TYPE),
        ("either", Rule.UNION),
    ]


def test_a_value_over_its_length_is_not_matched_against_the_pattern(monkeypatch):
    """Matching takes time that may grow faster than the value; the length alone refuses it."""

    def never(pattern, value):
        raise AssertionError(f"matched {len(value)} characters")

    monkeypatch.setattr(model, "matches", never)
    (problem,) = [
        problem
        for problem in validate("GetDataAutomationStatus", {"invocationArn": "x" * 100_000})
        if problem.path == "invocationArn"
    ]
    assert problem.rule is Rule.LENGTH
