"""Addresses in the AWS console: of the right partition, quoted, or none at all."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service.s3 import S3Uri, folder_url, object_url

OBJECT = S3Uri("bucket", "in/a.pdf")
CONSOLES = {
    "aws": ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
    "aws-cn": ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    "aws-eusc": ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
}


@pytest.mark.parametrize("partition", botocore.session.get_session().get_available_partitions())
def test_every_partition_has_its_own_console_or_no_address(partition):
    region, host = CONSOLES.get(partition, ("somewhere-1", None))

    for url in (
        object_url(OBJECT, region=region, partition=partition),
        folder_url(OBJECT, region=region, partition=partition),
    ):
        assert (urlsplit(url).hostname if url else None) == host


def test_partitions_with_a_console_are_ones_that_botocore_knows():
    assert {"aws", "aws-cn", "aws-us-gov"} <= set(botocore.session.get_session().get_available_partitions())
    assert object_url(OBJECT, region="moon-1", partition="aws-moon") is None


def test_pages_of_objects_and_folders():
    place = {"region": "us-east-1", "partition": "aws"}

    assert object_url(OBJECT, **place) == (
        "https://us-east-1.console.aws.amazon.com/s3/object/bucket?region=us-east-1&prefix=in/a.pdf"
    )
    for key in ("out/1", "out/1/"):
        assert folder_url(S3Uri("bucket", key), **place) == (
            "https://us-east-1.console.aws.amazon.com/s3/buckets/bucket?region=us-east-1&prefix=out/1/"
        )
    assert folder_url(S3Uri("bucket"), **place) == (
        "https://us-east-1.console.aws.amazon.com/s3/buckets/bucket?region=us-east-1"
    )


def test_a_key_is_quoted_so_that_it_has_one_reading():
    key = "in//ä + b#c?d&e=f%20.pdf"

    url = object_url(S3Uri("bucket", key), region="us-east-1", partition="aws")

    assert url.endswith("prefix=in//%C3%A4%20%2B%20b%23c%3Fd%26e%3Df%2520.pdf")


@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_key_comes_back_as_it_was(key):
    """By whatever rules the query is read: with a plus sign as a space, or as itself."""
    query = urlsplit(object_url(S3Uri("bucket", key), region="us-east-1", partition="aws")).query

    assert parse_qs(query)["prefix"] == [key]
    assert unquote(query.partition("prefix=")[2]) == key
