"""ARNs, S3 URIs, profiles and formats: what is parsed comes together again, what is none says so."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service.arns import (
    ANY_REGION,
    DESTINATIONS_OF_REGION,
    PROFILE,
    PROFILE_OF_REGION,
    Arn,
    UnknownRegionError,
    derive_profile_arn,
    routed_profile_arns,
)
from airflow_bda.service.model import validate
from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality, S3Uri, extension, is_known_format

INVOCATION_ARN = (
    "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e36a3f0-1111-2222-3333-444455556666"
)


class TestArn:
    def test_is_taken_apart(self):
        assert Arn.parse(INVOCATION_ARN) == Arn(
            "aws",
            "us-east-1",
            "123456789012",
            "data-automation-invocation",
            "4e36a3f0-1111-2222-3333-444455556666",
        )

    @pytest.mark.parametrize(
        "text",
        [
            INVOCATION_ARN,
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:data-automation-profile/us-gov.data-automation-v1",
            "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default",
        ],
    )
    def test_comes_together_again(self, text):
        assert str(Arn.parse(text)) == text

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "4e36a3f0-1111-2222-3333-444455556666",
            "arn:aws:s3:::bucket/key",
            "arn:aws:bedrock:us-east-1:1234:data-automation-project/x",
            f"{INVOCATION_ARN} and more",
            f"see {INVOCATION_ARN}",
            INVOCATION_ARN.partition("/")[0],
        ],
    )
    def test_what_is_none_says_what_one_looks_like(self, text):
        with pytest.raises(ValueError, match=r"is not a Bedrock ARN; expected arn:<partition>:bedrock"):
            Arn.parse(text)


class TestS3Uri:
    @given(st.from_regex(r"[a-z0-9][a-z0-9.-]{2,10}", fullmatch=True), st.text(min_size=1))
    def test_keeps_any_key_as_it_is(self, bucket, key):
        """BDA's own output may hold //: a key that is tidied up names another object."""
        uri = S3Uri.parse(f"s3://{bucket}/{key}")
        assert (uri.bucket, uri.key) == (bucket, key)
        assert str(uri) == f"s3://{bucket}/{key}"

    @pytest.mark.parametrize("text", ["s3://bucket", "s3://bucket/"])
    def test_a_bucket_alone_has_no_key(self, text):
        assert S3Uri.parse(text) == S3Uri("bucket")
        assert str(S3Uri.parse(text)) == "s3://bucket"

    @pytest.mark.parametrize("text", ["", "s3://", "s3:///key", "bucket/key", "https://bucket/key", "S3://bucket/key"])
    def test_what_is_none_says_what_one_looks_like(self, text):
        with pytest.raises(ValueError, match="expected s3://bucket/key"):
            S3Uri.parse(text)


class TestProfiles:
    @pytest.mark.parametrize("region", sorted(PROFILE_OF_REGION))
    def test_every_derived_profile_is_one_to_the_service_model(self, region):
        partition = "aws-us-gov" if region.startswith("us-gov") else "aws"
        arn = derive_profile_arn(region=region, account="123456789012", partition=partition)
        assert Arn.parse(arn).resource_type == PROFILE
        problems = validate("InvokeDataAutomationAsync", {"dataAutomationProfileArn": arn})
        assert "dataAutomationProfileArn" not in {problem.path for problem in problems}

    @pytest.mark.parametrize(
        ("region", "profile"),
        [("us-east-2", "us"), ("ca-central-1", "na"), ("ap-southeast-1", "global"), ("ap-southeast-2", "apac")],
    )
    def test_the_prefix_is_the_tables_and_not_the_regions(self, region, profile):
        arn = derive_profile_arn(region=region, account="123456789012")
        assert arn == f"arn:aws:bedrock:{region}:123456789012:data-automation-profile/{profile}.data-automation-v1"

    def test_an_unknown_region_lists_the_known_ones_and_the_way_round(self):
        with pytest.raises(UnknownRegionError) as caught:
            derive_profile_arn(region="mars-north-1", account="123456789012")
        text = str(caught.value)
        assert "'mars-north-1'" in text
        assert "profile_arn" in text
        assert all(region in text for region in PROFILE_OF_REGION)

    def test_its_error_survives_pickling(self):
        error = UnknownRegionError("mars-north-1")
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
        assert (copy.region, str(copy)) == (error.region, str(error))


class TestFormats:
    @pytest.mark.parametrize(
        ("key", "found"),
        [
            ("a.PDF", "pdf"),
            ("folder.d/a.tar.gz", "gz"),
            ("folder.pdf/a", ""),
            ("a.", ""),
            (".pdf", ""),
            ("", ""),
        ],
    )
    def test_the_extension_is_the_names_last(self, key, found):
        assert extension(key) == found

    def test_knows_the_services_formats(self):
        assert is_known_format("in/a.docx")
        assert not is_known_format("in/a.xlsx")
        assert MODALITIES_OF_EXTENSION["png"] == (Modality.DOCUMENT, Modality.IMAGE)

    @pytest.mark.parametrize(
        ("word", "modality"),
        [
            ("DOCUMENT", Modality.DOCUMENT),
            ("Document", Modality.DOCUMENT),
            ("Hologram", None),
            ("", None),
            (None, None),
        ],
    )
    def test_a_modality_is_read_in_any_case(self, word, modality):
        assert Modality.parse(word) is modality

    def test_a_modality_prints_as_the_services_word(self):
        assert f"{Modality.AUDIO}" == "AUDIO"


def test_both_tables_hold_the_same_regions():
    assert set(DESTINATIONS_OF_REGION) == set(PROFILE_OF_REGION)


@pytest.mark.parametrize("region", sorted(PROFILE_OF_REGION))
def test_a_call_may_stay_where_it_is_made(region):
    """What a policy allows by this table always covers the profile that the call itself names."""
    own = derive_profile_arn(region=region, account="123456789012")
    routed = routed_profile_arns(region=region, account="123456789012")

    assert own in routed or own.replace(f":{region}:", f":{ANY_REGION}:") in routed


def test_profiles_of_an_unknown_region_are_not_guessed():
    with pytest.raises(UnknownRegionError, match="Known: ap-northeast-1"):
        routed_profile_arns(region="mars-north-1", account="123456789012")
