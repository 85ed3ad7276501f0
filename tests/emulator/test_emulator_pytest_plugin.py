"""The fixture ``bda_emulator`` as users' tests see it."""

from __future__ import annotations

import json
import os

import boto3
import pytest


def test_clients_of_any_session_go_to_the_emulator(bda_emulator):
    bda_emulator.upload(b"hello", "a.pdf", bucket="mine")
    for session in (bda_emulator.session, boto3.Session()):
        assert [bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]] == ["mine"]
    assert [bucket.name for bucket in bda_emulator.session.resource("s3").buckets.all()] == ["mine"]


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_finds_it_empty_and_with_default_settings(bda_emulator, attempt):
    """What the first attempt leaves behind, the second does not find."""
    assert (bda_emulator.jobs, bda_emulator.calls) == ([], {})
    assert bda_emulator.settings.open_jobs == 1800
    assert bda_emulator.faults.to_json()["faults"] == []
    assert bda_emulator.client("s3").list_buckets()["Buckets"] == []
    bda_emulator.make_bucket()
    bda_emulator.configure(open_jobs=1)
    bda_emulator.faults.add("throttling")


def test_airflows_default_connection_leads_to_it(bda_emulator):
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection["conn_type"] == "aws"
    assert connection["extra"] == {"endpoint_url": bda_emulator.endpoint_url, "region_name": "us-east-1"}


def test_the_amazon_providers_hooks_go_to_it(bda_emulator):
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    for service in ("s3", "bedrock-data-automation-runtime"):
        hook = AwsBaseHook(aws_conn_id="aws_default", client_type=service)
        assert hook.conn.meta.endpoint_url == bda_emulator.endpoint_url
        assert hook.account_id == "123456789012"


def test_upload_takes_files_and_bytes(bda_emulator, tmp_path):
    file = tmp_path / "form.pdf"
    file.write_bytes(b"hello")
    assert bda_emulator.upload(file) == "s3://bda-test/form.pdf"
    assert bda_emulator.upload(str(file), "in/other.pdf") == "s3://bda-test/in/other.pdf"
    assert bda_emulator.upload(b"hello", "x.pdf", bucket="second") == "s3://second/x.pdf"
    with pytest.raises(ValueError, match="key"):
        bda_emulator.upload(b"hello")


def test_what_would_lead_past_it_is_out_of_the_way(monkeypatch, request):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere.invalid")
    emulator = request.getfixturevalue("bda_emulator")
    emulator.make_bucket("mine")
    assert [bucket["Name"] for bucket in boto3.Session().client("s3").list_buckets()["Buckets"]] == ["mine"]
