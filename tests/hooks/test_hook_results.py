"""BdaHook, results: every segment of every asset, from the bucket that the job wrote to and from no other."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_bda.hooks import BdaHook
from airflow_bda.service.errors import BdaError


def put(emulator, key, content):
    return emulator.upload(json.dumps(content).encode(), key, bucket="bda-results")


@pytest.fixture
def metadata_uri(bda_emulator):
    """Two assets, three segments, in an order of their own."""
    segments = []
    for asset, segment in ((0, 1), (0, 0), (1, 0)):
        standard = put(
            bda_emulator,
            f"p/job/{asset}/standard_output/{segment}/result.json",
            {"metadata": {"semantic_modality": "DOCUMENT", "number_of_pages": 2}, "document": {}},
        )
        segments.append((asset, {"standard_output_path": standard, "custom_output_status": "NO_MATCH"}))
    custom = put(
        bda_emulator,
        "p/job/0/custom_output/0/result.json",
        {"matched_blueprint": {"name": "Invoice"}, "inference_result": {"Total": 3}, "split_document": None},
    )
    segments[1][1].update(custom_output_path=custom, custom_output_status="MATCH")
    return put(
        bda_emulator,
        "p/job/job_metadata.json",
        {
            "job_id": "job",
            "job_status": "PROCESSED",
            "semantic_modality": "DOCUMENT",
            "a_member_of_tomorrow": 1,
            "output_metadata": [
                {"asset_id": asset, "segment_metadata": [paths for owner, paths in segments if owner == asset]}
                for asset in (0, 1)
            ],
        },
    )


def test_every_segment_is_read_both_ways(metadata_uri):
    result = BdaHook().get_results(metadata_uri)

    assert (result.segment_count, result.matched, result.unmatched, result.pages) == (3, 1, 2, 6)
    assert [field.value for segment in result.segments if segment.custom for field in segment.custom.fields()] == [3]
    assert asyncio.run(BdaHook().get_results_async(metadata_uri)) == result


def test_file_in_another_bucket_is_not_read(bda_emulator):
    elsewhere = bda_emulator.upload(b"{}", "secret.json", bucket="somebody-elses")
    uri = put(
        bda_emulator,
        "p/job/job_metadata.json",
        {"output_metadata": [{"asset_id": 0, "segment_metadata": [{"standard_output_path": elsewhere}]}]},
    )

    with pytest.raises(BdaError, match="not in the bucket that the job wrote to"):
        BdaHook().get_results(uri)


def test_missing_metadata_is_said_with_its_uri(bda_emulator):
    bda_emulator.make_bucket("bda-results")

    for read in (BdaHook().get_results, lambda uri: asyncio.run(BdaHook().get_results_async(uri))):
        with pytest.raises(BdaError, match=r"s3://bda-results/none\.json"):
            read("s3://bda-results/none.json")


@pytest.mark.parametrize("content", [b"not json", b"[]", b"\xff\xfe"])
def test_malformed_metadata_is_said_with_its_uri(bda_emulator, content):
    uri = bda_emulator.upload(content, "bad.json", bucket="bda-results")

    with pytest.raises(BdaError, match=r"bad\.json"):
        BdaHook().get_results(uri)


def test_for_want_of_credentials_the_remedy_is_not_the_file_s(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(BdaError, match=r"credentials are missing or not valid.*\n.*Check the Airflow connection"):
        BdaHook(aws_conn_id=None).get_results("s3://bucket/job_metadata.json")
