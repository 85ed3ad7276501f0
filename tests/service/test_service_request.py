"""A request is built from friendly arguments, and none leaves unchecked: what is refused is explained, all at once."""

import base64
import dataclasses
import json
import pickle
from datetime import timedelta
from urllib.parse import quote_plus

import boto3
import pytest
import regex
from botocore.stub import Stubber
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service import model
from airflow_bda.service.arguments import MEMBER_OF_ARGUMENT
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import INVOKE, service_model
from airflow_bda.service.request import rules
from airflow_bda.service.request.request import InvocationRequest, build_request, request_warnings

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
BLUEPRINT = "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"
PUBLIC_BLUEPRINT = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"
GOOD = {"input_s3_uri": "s3://bucket/a.pdf", "output_s3_uri": "s3://bucket/out", "profile_arn": PROFILE}
EVERYTHING = GOOD | {
    "project_arn": PROJECT,
    "project_stage": "LIVE",
    "blueprints": [BLUEPRINT, {"blueprintArn": PUBLIC_BLUEPRINT, "version": "1", "stage": "DEVELOPMENT"}],
    "video_segment": (timedelta(minutes=1), timedelta(minutes=7)),
    "event_bridge_enabled": False,
    "kms_key_id": "alias/documents",
    "kms_encryption_context": {"department": "claims"},
    "tags": {"team": "claims", "cost centre": "42"},
    "client_token": "0123-abc",
}


def problems_of(**changes):
    with pytest.raises(BdaRequestError) as caught:
        build_request(**GOOD | changes)
    return caught.value.problems


def problem_of(**changes):
    (problem,) = problems_of(**changes)
    return problem


class TestWhatIsSent:
    def test_nothing_but_what_is_given(self):
        assert build_request(**GOOD).to_api() == {
            "inputConfiguration": {"s3Uri": "s3://bucket/a.pdf"},
            "outputConfiguration": {"s3Uri": "s3://bucket/out"},
            "dataAutomationProfileArn": PROFILE,
        }

    def test_every_argument_has_its_member(self):
        assert build_request(**EVERYTHING).to_api() == {
            "inputConfiguration": {
                "s3Uri": "s3://bucket/a.pdf",
                "assetProcessingConfiguration": {
                    "video": {
                        "segmentConfiguration": {
                            "timestampSegment": {"startTimeMillis": 60_000, "endTimeMillis": 420_000}
                        }
                    }
                },
            },
            "outputConfiguration": {"s3Uri": "s3://bucket/out"},
            "dataAutomationProfileArn": PROFILE,
            "dataAutomationConfiguration": {"dataAutomationProjectArn": PROJECT, "stage": "LIVE"},
            "blueprints": [
                {"blueprintArn": BLUEPRINT},
                {"blueprintArn": PUBLIC_BLUEPRINT, "version": "1", "stage": "DEVELOPMENT"},
            ],
            "notificationConfiguration": {"eventBridgeConfiguration": {"eventBridgeEnabled": False}},
            "encryptionConfiguration": {
                "kmsKeyId": "alias/documents",
                "kmsEncryptionContext": {"department": "claims"},
            },
            "tags": [{"key": "cost centre", "value": "42"}, {"key": "team", "value": "claims"}],
            "clientToken": "0123-abc",
        }

    def test_every_member_of_the_api_can_be_given(self):
        """A member that AWS adds makes this fail, so that it is noticed."""
        sent = set(build_request(**EVERYTHING).to_api())
        assert sent == set(service_model().operation_model(INVOKE).input_shape.members)

    @pytest.mark.parametrize(
        "segment",
        [
            (60_000, 420_000),
            [60_000, 420_000],
            (timedelta(minutes=1), 420_000),
            {"startTimeMillis": 60_000, "endTimeMillis": 420_000},
        ],
    )
    def test_the_shapes_of_a_video_segment_mean_the_same(self, segment):
        assert build_request(**EVERYTHING | {"video_segment": segment}) == build_request(**EVERYTHING)

    def test_the_shapes_of_tags_mean_the_same(self):
        listed = [{"key": "cost centre", "value": "42"}, {"key": "team", "value": "claims"}]
        turned = {"cost centre": "42", "team": "claims"}
        requests = {build_request(**GOOD, tags=tags) for tags in (listed, turned, EVERYTHING["tags"])}
        assert len(requests) == 1

    @pytest.mark.parametrize(
        ("given_uri", "sent"),
        [
            ("s3://bucket/out/", "s3://bucket/out"),
            ("s3://bucket/out///", "s3://bucket/out"),
            ("s3://bucket/", "s3://bucket"),
            ("s3://bucket", "s3://bucket"),
        ],
    )
    def test_trailing_slashes_of_the_output_are_stripped(self, given_uri, sent):
        """BDA puts a slash and the job's id behind the prefix: one more slash and the keys hold //."""
        assert build_request(**GOOD | {"output_s3_uri": given_uri}).output_s3_uri == sent

    @pytest.mark.parametrize(
        "key", ["a b.pdf", "Rechnung für Müller.pdf", "a+b=c&d@e:f,g.pdf", "日本/語.pdf", "//a.pdf"]
    )
    def test_odd_keys_that_the_service_takes_are_taken(self, key):
        assert build_request(**GOOD | {"input_s3_uri": f"s3://bucket/{key}"}).input_s3_uri == f"s3://bucket/{key}"

    def test_boto3_sends_it(self):
        client = boto3.client(
            "bedrock-data-automation-runtime",
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        request = build_request(**EVERYTHING)
        arn = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e36a3f0-1111-2222-3333-444455556666"
        with Stubber(client) as stubber:
            stubber.add_response("invoke_data_automation_async", {"invocationArn": arn}, request.to_api())
            assert client.invoke_data_automation_async(**request.to_api())["invocationArn"] == arn


class TestTheRequestItself:
    def test_survives_json_and_pickle(self):
        request = build_request(**EVERYTHING)
        assert InvocationRequest(request.canonical) == request
        assert InvocationRequest(json.dumps(request.to_api(), indent=3)) == request
        assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301  our own bytes

    def test_cannot_be_had_unchecked(self):
        request = build_request(**GOOD)
        with pytest.raises(BdaRequestError, match=r"input_s3_uri is missing"):
            InvocationRequest("{}")
        with pytest.raises(BdaRequestError, match="it must be a mapping"):
            InvocationRequest("[]")
        with pytest.raises(BdaRequestError, match="output_s3_uri is 'x'"):
            dataclasses.replace(request, members=request.canonical.replace("s3://bucket/out", "x"))
        with pytest.raises(BdaRequestError, match="client_token is '-'"):
            request.with_client_token("-")
        with pytest.raises(BdaRequestError, match="profile_arn is 'x'"):
            request.with_profile("x")

    def test_does_not_change_through_the_copy_that_it_gives(self):
        tags = [{"key": "team", "value": "claims"}]
        request = build_request(**GOOD, tags=tags)
        request.to_api()["inputConfiguration"]["s3Uri"] = "s3://bucket/other.pdf"
        tags[0]["value"] = "other"
        assert request.input_s3_uri == "s3://bucket/a.pdf"
        assert request.argument("tags") == [{"key": "team", "value": "claims"}]
        with pytest.raises(TypeError):
            request.members["clientToken"] = "x"

    def test_tells_its_parts(self):
        request = build_request(**EVERYTHING)
        assert (request.profile_arn, request.project_arn) == (PROFILE, PROJECT)
        assert request.blueprint_arns == (BLUEPRINT, PUBLIC_BLUEPRINT)
        assert request.client_token == "0123-abc"
        assert build_request(**GOOD).blueprint_arns == ()

    def test_the_digest_is_of_what_is_asked(self):
        request = build_request(**EVERYTHING)
        assert request.with_client_token("ffff").digest() == request.digest()
        assert build_request(**EVERYTHING | {"tags": {"team": "x"}}).digest() != request.digest()

    @pytest.mark.parametrize(
        ("changes", "digest"),
        [
            ({}, "4a87ac00d76cff80ec3efb26b8d717a82409a868f694e1fcdce8a30d60112fe0"),
            (EVERYTHING, "064f3a6c622d140eb78da3e409fa6721979d550b029bc606c2ea0e6a0ee05324"),
            ({"tags": {"b": "1", "a": "2"}}, "e701e16850b78025c9765b0d70d3578362c0eeb9f386f127313f6612109baded"),
            (
                {"tags": [{"value": "1", "key": "b"}, {"key": "a", "value": "2"}]},
                "ac8e0187c573e6a0cd66920fb47213f606cfac966d6da5741766c4d1d93e13a7",
            ),
            (
                {
                    "input_s3_uri": "s3://bucket/a.mp4",
                    "video_segment": {"endTimeMillis": 420_000, "startTimeMillis": 60_000},
                },
                "b7024c748015b38ffe47c5efe40fee736b7bd305f0f4b7e67036a87ddaf428c2",
            ),
            (
                {"event_bridge_enabled": True, "output_s3_uri": "s3://bucket/out///"},
                "f59a9988654375f3756fd81f432ccd7eb6afba35ea71a53fe5b0cd57991ca04a",
            ),
            (
                {"input_s3_uri": "s3://bucket/Rechnung für Müller 日本.pdf"},
                "899dd002816733dbc34e2e501dfaf4a62569e365bb5f4bd43fd1e73c17e5b1f6",
            ),
            (
                {"kms_key_id": "alias/documents", "kms_encryption_context": {"z": "1", "a": "ü"}},
                "619b41d488bbcd5a36b47dde31395b3c19d9f505b7b056ddd0c58463c38055f0",
            ),
            # The Lambda function finds the profile.
            (
                {"profile_arn": None, "project_arn": PROJECT},
                "0aef41929a53dc835c85fcff152adc85cab67ceb7111bf8a297a0d26737655a5",
            ),
        ],
    )
    def test_the_digest_is_stable_across_releases(self, changes, digest):
        """It is part of the client token: a change would start second jobs after an upgrade."""
        request = build_request(**GOOD | changes)
        assert request.digest() == digest
        assert request.with_client_token("ab").digest() == digest

    def test_the_canonical_text_is_stable_across_releases(self):
        request = build_request(
            **GOOD | {"input_s3_uri": "s3://bucket/ü.pdf", "client_token": "0123-abc", "tags": {"b": "1", "a": "2"}}
        )
        assert request.canonical == (
            f'{{"clientToken":"0123-abc","dataAutomationProfileArn":"{PROFILE}",'
            '"inputConfiguration":{"s3Uri":"s3://bucket/\\u00fc.pdf"},'
            '"outputConfiguration":{"s3Uri":"s3://bucket/out"},'
            '"tags":[{"key":"a","value":"2"},{"key":"b","value":"1"}]}'
        )

    def test_a_pickle_of_an_earlier_release_still_loads(self):
        stored = (
            "gASVPgEAAAAAAACMI2FpcmZsb3dfYmRhLnNlcnZpY2UucmVxdWVzdC5yZXF1ZXN0lIwRSW52b2NhdGlvblJlcXVlc3SUk5QpgZR9lIwJY2Fu"
            "b25pY2FslIzreyJjbGllbnRUb2tlbiI6ImFiIiwiZGF0YUF1dG9tYXRpb25Qcm9maWxlQXJuIjoiYXJuOmF3czpiZWRyb2NrOnVzLWVhc3Qt"
            "MToxMjM0NTY3ODkwMTI6ZGF0YS1hdXRvbWF0aW9uLXByb2ZpbGUvdXMuZGF0YS1hdXRvbWF0aW9uLXYxIiwiaW5wdXRDb25maWd1cmF0aW9u"
            "Ijp7InMzVXJpIjoiczM6Ly9idWNrZXQvYS5wZGYifSwib3V0cHV0Q29uZmlndXJhdGlvbiI6eyJzM1VyaSI6InMzOi8vYnVja2V0L291dCJ9"
            "fZRzYi4="
        )
        request = pickle.loads(base64.b64decode(stored))  # noqa: S301  our own bytes
        assert request == build_request(**GOOD, client_token="ab")

    def test_the_profile_may_be_added_later(self):
        later = build_request(**EVERYTHING | {"profile_arn": None})
        assert later.profile_arn is None
        assert later.with_profile(PROFILE, region="us-east-1") == build_request(**EVERYTHING)
        with pytest.raises(BdaRequestError, match=r"profile_arn is .*'us-east-1'.*'eu-west-1'"):
            later.with_profile(PROFILE, region="eu-west-1")
        with pytest.raises(BdaRequestError, match="profile_arn is missing"):
            later.to_api()
        assert InvocationRequest(later.canonical) == later

    def test_a_change_checks_nothing_else_again(self, monkeypatch):
        request = build_request(**EVERYTHING | {"profile_arn": None})
        checked = []
        find = rules.validate
        monkeypatch.setattr(
            rules, "validate", lambda operation, members: checked.append(members) or find(operation, members)
        )
        request.with_profile(PROFILE).with_client_token("ffff")
        assert checked == [{"dataAutomationProfileArn": PROFILE}, {"clientToken": "ffff"}]

    def test_its_repr_keeps_the_encryption_context_out_of_logs(self):
        assert repr(build_request(**EVERYTHING)) == "InvocationRequest(s3://bucket/a.pdf -> s3://bucket/out)"


class TestProblems:
    def test_all_come_at_once_under_the_users_own_names(self):
        problems = problems_of(
            input_s3_uri=None,
            output_s3_uri=7,
            profile_arn={"arn": PROFILE},
            project_arn=b"arn",
            blueprints=[BLUEPRINT, 7, {"blueprintArn": "x"}],
            video_segment=(0, "300000"),
            event_bridge_enabled="yes",
            kms_key_id="",
            kms_encryption_context=["a"],
            tags=[("a", "b")],
            client_token=timedelta(1),
        )
        assert [problem.split(" is ")[0] for problem in problems] == [
            "input_s3_uri",
            "video_segment.endTimeMillis",
            "output_s3_uri",
            "profile_arn",
            "project_arn",
            "blueprints[1]",
            "blueprints[2].blueprintArn",
            "event_bridge_enabled",
            "kms_key_id",
            "kms_encryption_context",
            "tags[0]",
            "client_token",
        ]

    def test_the_error_carries_the_document_and_the_list(self):
        with pytest.raises(BdaRequestError) as caught:
            build_request(**GOOD | {"project_arn": "x", "client_token": "-"})
        assert caught.value.input_s3_uri == "s3://bucket/a.pdf"
        assert "2 problems" in str(caught.value)
        assert all(problem in str(caught.value) for problem in caught.value.problems)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"input_s3_uri": "s3://bucket/{{ ds }}.pdf"}, r"input_s3_uri is .* unrendered template.*template_fields"),
            ({"output_s3_uri": "s3://{{ var.value.b }}/x"}, r"output_s3_uri is .* unrendered template"),
            ({"client_token": "{{ run_id }}"}, r"client_token is .* unrendered template"),
            ({"blueprints": [BLUEPRINT, "{{ b }}"]}, r"blueprints\[1\]\.blueprintArn is .* unrendered template"),
            ({"tags": {"run": "{{ run_id }}"}}, r"tags\[0\]\.value is .* unrendered template"),
            ({"video_segment": ("{{ a }}", 300_000)}, r"video_segment\.startTimeMillis is .* unrendered template"),
            (
                {"kms_key_id": "k1", "kms_encryption_context": {"run": "{% x %}"}},
                r"kms_encryption_context is .* unrendered template",
            ),
            ({"input_s3_uri": "s3://bucket/a%20b.pdf"}, r"percent-encoded.*'s3://bucket/a b\.pdf'"),
            (
                {"input_s3_uri": "https://b1b.s3.eu-west-1.amazonaws.com/x/a%20b.pdf?v=1"},
                r"S3 URI is s3://b1b/x/a b\.pdf\.",
            ),
            ({"input_s3_uri": "https://my.b.s3.amazonaws.com/a.pdf"}, r"S3 URI is s3://my\.b/a\.pdf\."),
            ({"input_s3_uri": "https://s3.us-east-1.amazonaws.com/b1b/a.pdf"}, r"S3 URI is s3://b1b/a\.pdf\."),
            ({"input_s3_uri": "https://b1b.s3-us-west-2.amazonaws.com/a.pdf"}, r"S3 URI is s3://b1b/a\.pdf\."),
            ({"output_s3_uri": "https://example.com/a"}, r"S3 only"),
            ({"input_s3_uri": "https://[x/a"}, r"For example s3://"),
            ({"input_s3_uri": "arn:aws:s3:us-east-1:123456789012:accesspoint/ap/object/a.pdf"}, r"access point"),
            ({"input_s3_uri": "s3://bucket"}, r"input_s3_uri is .*names a bucket"),
            ({"input_s3_uri": "s3://bucket/"}, r"input_s3_uri is .*names a bucket"),
            ({"input_s3_uri": "s3://bucket/inbox/"}, r"input_s3_uri is .*a prefix.*one object"),
            ({"input_s3_uri": "/data/a.pdf"}, r"For example s3://bucket/folder/document\.pdf"),
            (
                {"project_arn": PROJECT.replace("data-automation-project", "data-automation")},
                rf"A project's ARN reads {PROJECT}",
            ),
            ({"project_arn": BLUEPRINT}, r"the ARN of a blueprint, and data-automation-project is wanted"),
            ({"blueprints": [PROJECT]}, r"blueprints\[0\].*the ARN of a data-automation-project, and blueprint"),
            ({"project_arn": "my-project"}, r"For example arn:aws:bedrock:"),
            ({"profile_arn": PROFILE.replace("1234", "")}, r"Leave profile_arn out"),
            ({"profile_arn": PROFILE.replace("/us.", "/us:")}, r"profile of us-east-1 is us\.data-automation-v1"),
            ({"project_arn": PROJECT, "project_stage": "live"}, r"project_stage is 'live'.*Write LIVE\."),
            ({"project_arn": PROJECT, "project_stage": "PROD"}, r"one of LIVE, DEVELOPMENT\.$"),
            ({"project_stage": "LIVE"}, r"project_arn is missing.*project_stage is of no use without it"),
            ({"kms_encryption_context": {"a": "b"}}, r"kms_key_id is missing.*kms_encryption_context is of no use"),
            ({"client_token": "scheduled__2026-01-05T00:00:00+00:00"}, r"client_token is .*hash them"),
            ({"video_segment": (0, "300000")}, r"render_template_as_native_obj"),
            ({"event_bridge_enabled": "True"}, r"event_bridge_enabled is 'True'.*render_template_as_native_obj"),
            ({"video_segment": (60_000, 300_000)}, r"video_segment is .*240 s long.*at least 5 minutes"),
            ({"video_segment": (timedelta(hours=1), timedelta(minutes=5))}, r"video_segment is .*at least 5 minutes"),
            ({"video_segment": (0, 300_000, 1)}, r"video_segment is .*Pass \(start, end\)"),
            ({"blueprints": BLUEPRINT}, r"blueprints is .*it must be a list, not str\. Pass a list of ARNs"),
            ({"blueprints": [7]}, r"blueprints\[0\] is 7.*Pass a list of ARNs"),
            ({"tags": "a=b"}, r"tags is .*Pass a mapping"),
            ({"blueprints": [{"blueprintArn": BLUEPRINT, "arn": 1}]}, r"blueprints\[0\]\.arn .*it knows blueprintArn"),
            ({"profile_arn": PROFILE, "region": "eu-west-1"}, r"profile_arn is .*'us-east-1'.*'eu-west-1'"),
        ],
    )
    def test_each_is_told_with_its_remedy(self, changes, said):
        assert regex.search(said, problem_of(**changes))

    def test_an_encryption_context_is_never_shown(self):
        context = {"a": "{{ secret }}", "b": 7.5, "c": "secret" * 1000}
        with pytest.raises(BdaRequestError) as caught:
            build_request(**GOOD, kms_key_id="key", kms_encryption_context=context)
        assert len(caught.value.problems) == 2
        assert "secret" not in str(caught.value)

    def test_a_profile_of_the_same_region_is_taken(self):
        assert build_request(**GOOD, region="us-east-1").profile_arn == PROFILE


class TestOldBotocore:
    """The model as the preview had it: the project's member had another name, and there was no profile."""

    @pytest.fixture
    def preview_model(self, monkeypatch):
        description = json.loads(json.dumps(service_model()._service_description))
        shapes = description["shapes"]
        shapes["InvokeDataAutomationAsyncRequest"]["required"].remove("dataAutomationProfileArn")
        for name in ("dataAutomationProfileArn", "tags"):
            del shapes["InvokeDataAutomationAsyncRequest"]["members"][name]
        shapes["DataAutomationConfiguration"] = {
            "type": "structure",
            "required": ["dataAutomationArn"],
            "members": {"dataAutomationArn": {"shape": "DataAutomationArn"}},
        }
        del shapes["InputConfiguration"]["members"]["assetProcessingConfiguration"]
        doctored = type(service_model())(description, model.SERVICE)
        monkeypatch.setattr(model, "service_model", lambda *_: doctored)
        monkeypatch.setattr("airflow_bda.service.model.botocore_version", lambda *_: "1.37.3")

    @pytest.mark.usefixtures("preview_model")
    def test_what_it_lacks_is_named_with_its_version_and_the_remedy(self):
        problems = problems_of(project_arn=PROJECT, tags={"a": "b"}, video_segment=(0, 300_000))
        assert [problem.split(" is ")[0] for problem in problems] == [
            "video_segment",
            "profile_arn",
            "project_arn",
            "tags",
        ]
        assert all("botocore 1.37.3 knows no member" in problem for problem in problems)
        assert all("Upgrade boto3 and botocore" in problem for problem in problems)


class TestWarnings:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"project_arn": PROJECT, "blueprints": [BLUEPRINT]}, "Both project_arn and blueprints"),
            ({}, "Neither project_arn nor blueprints"),
            ({"project_arn": PROJECT, "input_s3_uri": "s3://bucket/a.xlsx"}, "extension 'xlsx'.*pdf.*webm"),
            ({"project_arn": PROJECT, "input_s3_uri": "s3://bucket/a"}, "no extension"),
            ({"project_arn": PROJECT, "video_segment": (0, 300_000)}, "does not look like a video"),
            ({"project_arn": PROJECT, "profile_arn": PROFILE.replace("/us.", "/eu.")}, r"us\.data-automation-v1\.$"),
        ],
    )
    def test_what_is_odd_is_told_and_let_through(self, changes, said):
        (warning,) = request_warnings(build_request(**GOOD | changes))
        assert regex.search(said, warning)

    def test_nothing_odd_nothing_said(self):
        assert request_warnings(build_request(**GOOD, project_arn=PROJECT)) == ()
        video = {"input_s3_uri": "s3://bucket/a.MP4", "video_segment": (0, 300_000)}
        assert request_warnings(build_request(**GOOD | video, blueprints=[BLUEPRINT])) == ()

    def test_a_region_that_is_not_listed_is_left_alone(self):
        profile = PROFILE.replace("us-east-1", "Mars-1")
        assert request_warnings(build_request(**GOOD | {"profile_arn": profile}, project_arn=PROJECT)) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
uris = st.from_regex(r"(s3|https)://[a-z0-9.-]{0,6}(/.{0,6}){0,3}", fullmatch=True)
keys = st.builds("s3://bucket/{}".format, st.text(min_size=1, max_size=8))
arns = st.from_regex(r"arn:aws:bedrock:us-east-1:(123456789012|aws):[a-z-]{1,10}/[a-z0-9-]{1,14}", fullmatch=True)
stages = st.sampled_from(["LIVE", "DEVELOPMENT", "live", ""])
kinds = {
    "input_s3_uri": uris | keys,
    "output_s3_uri": uris | keys,
    "profile_arn": st.just(PROFILE) | arns,
    "project_arn": st.just(PROJECT) | arns,
    "project_stage": stages,
    "blueprints": st.lists(
        st.sampled_from([BLUEPRINT, PUBLIC_BLUEPRINT])
        | st.fixed_dictionaries(
            {"blueprintArn": st.just(BLUEPRINT)}, optional={"version": st.text("019x", max_size=3), "stage": stages}
        ),
        max_size=3,
    ),
    "video_segment": st.tuples(*[st.integers(0, 10**6) | st.timedeltas()] * 2),
    "event_bridge_enabled": st.booleans(),
    "kms_key_id": st.text("aZ9:_/+=,@.- ", max_size=8),
    "kms_encryption_context": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=11),
    "tags": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
    "client_token": st.text("aZ9-_", max_size=8),
}
likely_good = GOOD | {"project_arn": PROJECT, "kms_key_id": "key"}


@st.composite
def arguments_of_all_kinds(draw):
    """Good arguments, some of them replaced: mostly by what looks right, now and then by anything at all."""
    changed = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=3, unique=True))
    return likely_good | {
        name: draw(kinds[name] | json_values if draw(st.booleans()) else kinds[name]) for name in changed
    }


def broken_rules(shape, value):
    """Check once more, by other means: botocore's model, and a library that reads its patterns."""
    rules = shape.metadata
    if shape.type_name == "structure":
        assert not rules.get("union") or len(value) == 1
        for name, item in value.items():
            yield from broken_rules(shape.members[name], item)
    elif shape.type_name == "list":
        yield not rules.get("min", 0) <= len(value) <= rules.get("max", len(value))
        for item in value:
            yield from broken_rules(shape.member, item)
    elif shape.type_name == "map":
        yield not rules.get("min", 0) <= len(value) <= rules.get("max", len(value))
        for key, item in value.items():
            yield from broken_rules(shape.key, key)
            yield from broken_rules(shape.value, item)
    elif shape.type_name == "string":
        yield not rules.get("min", 0) <= len(value) <= rules.get("max", len(value))
        yield bool(shape.enum) and value not in shape.enum
        pattern = rules.get("pattern", r"[\s\S]*")
        yield regex.fullmatch(pattern, value, 0 if r"\p" in pattern else regex.ASCII) is None
    elif shape.type_name in {"long", "integer"}:
        yield not rules.get("min", value) <= value <= rules.get("max", value)


def assert_explained(refusal):
    assert refusal.problems
    for problem in refusal.problems:
        assert regex.match(r"\w+", problem).group() in MEMBER_OF_ARGUMENT
        assert regex.search(r" is (missing: .|.*: it |.*: botocore |.*: exactly )", problem, regex.DOTALL)


@pytest.mark.parametrize("character", [*'{}^%`"<>[]~#|', "\x07", "\x7f"])
@pytest.mark.parametrize("argument", ["input_s3_uri", "output_s3_uri"])
def test_a_character_that_a_key_may_not_hold_is_named(argument, character):
    problem = problem_of(**{argument: f"s3://bucket/in/a {character} b.pdf"})
    assert f"it holds {character!r}, which BDA refuses in a key. Copy the object" in problem


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        ("Rechnung+Nr.+5+%28M%C3%A4rz%29.pdf", "Rechnung Nr. 5 (März).pdf"),
        ("a%2Bb+c.pdf", "a+b c.pdf"),
        ("a+b%20c.pdf", "a+b c.pdf"),
        ("50%25+off.pdf", "50% off.pdf"),
    ],
)
def test_a_key_as_events_encode_it_is_offered_decoded(encoded, decoded):
    problem = problem_of(input_s3_uri=f"s3://bucket/{encoded}")
    assert f"the key as S3 has it is probably {f's3://bucket/{decoded}'!r}" in problem
    assert ("which holds '%': copy the object" in problem) == ("%" in decoded)


def test_a_plus_sign_alone_may_be_meant_and_is_warned_of():
    (warning,) = request_warnings(build_request(**GOOD | {"input_s3_uri": "s3://bucket/a+b.pdf"}, project_arn=PROJECT))
    assert "which gives s3://bucket/a b.pdf" in warning


@given(st.text("aé +&=,()/", min_size=1, max_size=8))
def test_any_key_that_an_event_encodes_is_found_again(key):
    """S3's events encode as HTML forms do, and leave slashes alone."""
    uri = f"s3://bucket/{key}"
    encoded = f"s3://bucket/{quote_plus(key, safe='/')}"
    assert rules.decoded_uri(encoded) == (None if encoded == uri else uri)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"project_arn": PROJECT.replace("us-east-1", "eu-west-1")},
            "project_arn is .* and profile_arn is of 'us-east-1'",
        ),
        (
            {"blueprints": [BLUEPRINT, PUBLIC_BLUEPRINT.replace("us-east-1", "eu-west-1")], "region": "us-east-1"},
            r"blueprints\[1\]\.blueprintArn is .*'eu-west-1', and the call is made in 'us-east-1'",
        ),
    ],
)
def test_an_arn_of_another_region_is_named(changes, said):
    assert regex.search(said, problem_of(**changes))


def test_bytes_are_no_uri():
    with pytest.raises(BdaRequestError, match="input_s3_uri"):
        build_request(input_s3_uri=b"s3://bucket/a.pdf", output_s3_uri="s3://bucket/out", profile_arn=PROFILE)


@given(arguments_of_all_kinds())
def test_what_is_let_through_is_valid_and_what_is_refused_is_explained(arguments):
    try:
        request = build_request(**arguments)
    except BdaRequestError as error:
        refusal = error
    else:
        refusal = None
    if refusal:
        assert_explained(refusal)
        return
    if request.profile_arn is None:
        request = request.with_profile(PROFILE)
    shape = service_model().operation_model(INVOKE).input_shape
    assert not any(broken_rules(shape, request.to_api()))
    assert not ParamValidator().validate(request.to_api(), shape).has_errors()
    assert InvocationRequest(request.canonical).digest() == request.digest()
