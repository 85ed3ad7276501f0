"""A caller of the function cannot use its role on what it is not there for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.aws_lambda.allow_lists import AllowListError, AllowLists, NotAllowedError, is_under
from airflow_bda.aws_lambda.handler import handle
from airflow_bda.service.request.request import build_request
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import JobState, JobStatus

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
OTHER_PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab0"
BLUEPRINT = "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"


@pytest.mark.parametrize(
    "uri",
    ["s3://bucket/in/a.pdf", "s3://bucket/in/deep/er/a.pdf", "s3://bucket/in", "s3://bucket/in/", "s3://bucket/in//a"],
)
@pytest.mark.parametrize("prefix", ["s3://bucket/in", "s3://bucket/in/"])
def test_what_lies_in_a_folder(uri, prefix):
    assert is_under(S3Uri.parse(uri), S3Uri.parse(prefix))


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/in-other/a.pdf",
        "s3://bucket/input/a.pdf",
        "s3://bucket/IN/a.pdf",
        "s3://bucket/i",
        "s3://bucket",
        "s3://bucket//in/a.pdf",
        "s3://bucket-evil/in/a.pdf",
        "s3://evil/bucket/in/a.pdf",
        "s3://bucke/t/in/a.pdf",
        "s3://bucket/in/../secret/a.pdf",
        "s3://bucket/in/..",
        "s3://bucket/in/./a.pdf",
        "s3://bucket/other/../in/a.pdf",
    ],
)
def test_what_only_looks_as_if_it_did(uri):
    assert not is_under(S3Uri.parse(uri), S3Uri.parse("s3://bucket/in"))


def test_a_bucket_alone_allows_all_of_it():
    for prefix in ("s3://bucket", "s3://bucket/"):
        assert is_under(S3Uri.parse("s3://bucket/any/a.pdf"), S3Uri.parse(prefix))
        assert not is_under(S3Uri.parse("s3://bucket-evil/a.pdf"), S3Uri.parse(prefix))
        assert not is_under(S3Uri.parse("s3://bucket/../a.pdf"), S3Uri.parse(prefix))


NAMES = st.text("ab.-", min_size=1, max_size=3)
KEYS = st.lists(NAMES, max_size=4).map("/".join)


@given(NAMES, KEYS, NAMES, KEYS)
def test_what_is_under_a_prefix_is_so_part_by_part(bucket, key, allowed_bucket, allowed_key):
    """Against another way to say it: the prefix's parts begin the object's parts."""
    parts, allowed = key.split("/"), [part for part in allowed_key.split("/") if part]
    expected = bucket == allowed_bucket and parts[: len(allowed)] == allowed and not {".", ".."} & set(parts)

    assert is_under(S3Uri(bucket, key), S3Uri(allowed_bucket, allowed_key)) is expected


def request(**changes):
    members = {"input_s3_uri": "s3://bucket/in/a.pdf", "output_s3_uri": "s3://bucket/out", "profile_arn": PROFILE}
    return build_request(**{**members, **changes})


LISTS = AllowLists.from_environment(
    {
        "BDA_ALLOWED_INPUT_PREFIXES": "s3://bucket/in/, s3://second",
        "BDA_ALLOWED_OUTPUT_PREFIXES": '["s3://bucket/out", "s3://bucket/out,2"]',
        "BDA_ALLOWED_PROJECTS": PROJECT,
        "BDA_ALLOWED_BLUEPRINTS": BLUEPRINT,
        "BDA_ALLOWED_KMS_KEYS": "alias/ours",
    }
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"input_s3_uri": "s3://second/a.pdf"},
        {"output_s3_uri": "s3://bucket/out/deep/"},
        {"output_s3_uri": "s3://bucket/out,2"},
        {"project_arn": PROJECT, "kms_key_id": "alias/ours"},
        {"blueprints": [BLUEPRINT]},
    ],
)
def test_what_the_lists_name_is_allowed(changes):
    LISTS.check(request(**changes))


@pytest.mark.parametrize(
    ("changes", "key", "variable"),
    [
        ({"input_s3_uri": "s3://bucket/out/a.pdf"}, "inputS3Uri", "BDA_ALLOWED_INPUT_PREFIXES"),
        ({"output_s3_uri": "s3://bucket/in"}, "outputS3Uri", "BDA_ALLOWED_OUTPUT_PREFIXES"),
        ({"output_s3_uri": "s3://bucket"}, "outputS3Uri", "BDA_ALLOWED_OUTPUT_PREFIXES"),
        ({"project_arn": OTHER_PROJECT}, "projectArn", "BDA_ALLOWED_PROJECTS"),
        ({"blueprints": [BLUEPRINT, BLUEPRINT + "0"]}, "blueprints", "BDA_ALLOWED_BLUEPRINTS"),
        ({"kms_key_id": "alias/ours2"}, "kmsKeyId", "BDA_ALLOWED_KMS_KEYS"),
    ],
)
def test_all_else_is_refused_by_name(changes, key, variable):
    with pytest.raises(NotAllowedError) as refused:
        LISTS.check(request(**changes))

    (problem,) = refused.value.problems
    assert problem.startswith(key)
    assert variable in problem


def test_without_lists_all_is_allowed():
    """What the function's role allows decides alone."""
    AllowLists.from_environment({"BDA_ALLOWED_PROJECTS": " "}).check(request(project_arn=OTHER_PROJECT))


@pytest.mark.parametrize("text", ["bucket/in", "s3://", "[1]", "[]", '["s3://a"', '[""]', "s3://a,b"])
def test_a_list_that_cannot_be_read_allows_nothing(text):
    with pytest.raises(AllowListError, match="BDA_ALLOWED_INPUT_PREFIXES"):
        AllowLists.from_environment({"BDA_ALLOWED_INPUT_PREFIXES": text})


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("s3://bda-test/in-evil/a.pdf", 403),
        ("s3://bda-test-evil/in/a.pdf", 403),
        ("s3://bda-test/IN/a.pdf", 403),
        ("s3://bda-test/in/../secret/a.pdf", 403),
        ("s3://bda-test/other/../in/a.pdf", 403),
        ("s3://bda-test//in/a.pdf", 403),
        ("s3://bda-test/ in/a.pdf", 403),
        ("s3://bda-test/\uff49n/a.pdf", 403),
        # No URI at all to the service, so that there is no question of its being allowed.
        ("s3://bda-test/in%2F..%2Fsecret/a.pdf", 400),
        ("s3://bda-test/in/%2e%2e/secret/a.pdf", 400),
        ("s3://BDA-TEST/in/a.pdf", 400),
        ("S3://bda-test/in/a.pdf", 400),
        ("s3://bda-test\\in/a.pdf", 400),
        ("https://bda-test.s3.amazonaws.com/in/a.pdf", 400),
        ("s3://bda-test/in\n/a.pdf", 400),
    ],
)
def test_no_trick_with_paths_gets_past_the_function(uri, code, bda_emulator, context, monkeypatch):
    monkeypatch.setenv("BDA_ALLOWED_INPUT_PREFIXES", "s3://bda-test/in")
    monkeypatch.setenv("BDA_ALLOWED_OUTPUT_PREFIXES", "s3://bda-test/in")

    for event in (
        {"inputS3Uri": uri, "outputS3Uri": "s3://bda-test/in"},
        {"inputS3Uri": "s3://bda-test/in/a.pdf", "outputS3Uri": uri},
    ):
        answer = handle(event, context)
        assert answer["statusCode"] == code, answer
    assert bda_emulator.calls == {}


@pytest.mark.parametrize(
    ("allowed", "code"), [("s3://bda-test/in", 200), ("s3://bda-test/other", 403), ("nonsense", 500)]
)
def test_the_function_holds_to_its_lists(allowed, code, bda_emulator, context, monkeypatch):
    monkeypatch.setenv("BDA_ALLOWED_INPUT_PREFIXES", allowed)
    uri = bda_emulator.upload(b"x", "in/a.pdf")

    answer = handle({"inputS3Uri": uri, "outputS3Uri": "s3://bda-test/out"}, context)

    assert answer["statusCode"] == code
    assert len(bda_emulator.jobs) == (1 if code == 200 else 0)
    assert (code == 200) is ("error" not in json.loads(answer["body"]))


FOREIGN = "210987654321"
ONLY_PROJECTS = AllowLists.from_environment({"BDA_ALLOWED_PROJECTS": PROJECT})
ONLY_BLUEPRINTS = AllowLists.from_environment({"BDA_ALLOWED_BLUEPRINTS": BLUEPRINT})
STAGES = AllowLists.from_environment({"BDA_ALLOWED_STAGES": "LIVE"})
PROFILES = AllowLists.from_environment({"BDA_ALLOWED_PROFILES": PROFILE + "x"})


@pytest.mark.parametrize(
    ("lists", "changes", "key"),
    [
        (ONLY_PROJECTS, {"blueprints": [BLUEPRINT]}, "blueprints"),
        (ONLY_PROJECTS, {"project_arn": PROJECT, "blueprints": [BLUEPRINT]}, "blueprints"),
        (ONLY_PROJECTS, {"project_arn": PROJECT, "project_stage": "DEVELOPMENT"}, "projectStage"),
        (ONLY_BLUEPRINTS, {"project_arn": PROJECT}, "projectArn"),
        (ONLY_BLUEPRINTS, {"blueprints": [{"blueprintArn": BLUEPRINT, "stage": "DEVELOPMENT"}]}, "blueprints"),
        (STAGES, {"project_arn": PROJECT, "project_stage": "DEVELOPMENT"}, "projectStage"),
        (PROFILES, {}, "profileArn"),
        (AllowLists(), {"project_arn": PROJECT.replace("123456789012", FOREIGN)}, "projectArn"),
        (AllowLists(), {"blueprints": [BLUEPRINT.replace("123456789012", FOREIGN)]}, "blueprints"),
        (AllowLists(), {"profile_arn": PROFILE.replace("123456789012", FOREIGN)}, "profileArn"),
        (AllowLists(), {"kms_key_id": f"arn:aws:kms:us-east-1:{FOREIGN}:key/1"}, "kmsKeyId"),
    ],
)
def test_what_no_list_names_is_refused(lists, changes, key):
    with pytest.raises(NotAllowedError) as refused:
        lists.check(request(**changes), account="123456789012")

    (problem,) = refused.value.problems
    assert problem.startswith(key)


@pytest.mark.parametrize(
    ("lists", "changes"),
    [
        (ONLY_PROJECTS, {"project_arn": PROJECT, "project_stage": "LIVE"}),
        (AllowLists(), {"project_arn": PROJECT, "project_stage": "DEVELOPMENT"}),
        (AllowLists(), {"project_arn": "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"}),
        (
            AllowLists(projects=(PROJECT.replace("123456789012", FOREIGN),)),
            {"project_arn": PROJECT.replace("123456789012", FOREIGN)},
        ),
    ],
)
def test_what_is_listed_or_needs_no_list_is_allowed(lists, changes):
    lists.check(request(**changes), account="123456789012")


def test_a_job_that_writes_elsewhere_is_not_told_of(bda_emulator, context, monkeypatch):
    uri = bda_emulator.upload(b"x", "in/a.pdf")
    started = handle({"inputS3Uri": uri, "outputS3Uri": "s3://bda-test/secret-place"}, context)
    arn = json.loads(started["body"])["invocationArn"]
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    monkeypatch.setattr(
        "airflow_bda.aws_lambda.handler.JobState.from_response",
        lambda arn, _: JobState(arn, JobStatus.SUCCESS, "Success", "s3://bda-test/secret-place/1/job_metadata.json"),
    )

    assert handle({"invocationArn": arn}, context)["statusCode"] == 200
    monkeypatch.setenv("BDA_ALLOWED_OUTPUT_PREFIXES", "s3://bda-test/out")
    answer = handle({"invocationArn": arn}, context)

    assert answer["statusCode"] == 403
    assert "secret-place" not in answer["body"]
