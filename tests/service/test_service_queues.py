"""Queues of SQS, by what AWS, an emulator and a person call them."""

from __future__ import annotations

import pytest

from airflow_bda.service.arns import Queue

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/q"


@pytest.mark.parametrize(
    ("text", "url", "region", "account"),
    [
        (URL, URL, "eu-west-1", "123456789012"),
        ("arn:aws:sqs:eu-west-1:123456789012:q", URL, "eu-west-1", "123456789012"),
        (
            "arn:aws-cn:sqs:cn-north-1:123456789012:q",
            "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q",
            "cn-north-1",
            "123456789012",
        ),
        ("http://localhost:4566/123456789012/q", "http://localhost:4566/123456789012/q", None, "123456789012"),
        ("http://localhost:9324/queue/q", "http://localhost:9324/queue/q", None, None),
        ("https://sqs/q", "https://sqs/q", None, None),
    ],
)
def test_a_queue_is_known_by_its_url_and_by_its_arn(text, url, region, account):
    assert Queue.parse(text) == Queue(url, "q", region, account)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "q",
        "arn:aws:sns:eu-west-1:123456789012:q",
        "arn:aws:sqs:::q",
        "https://sqs",
        "https://",
        "s3://b/q",
    ],
)
def test_what_is_no_queue_is_refused(text):
    with pytest.raises(ValueError, match="is not a queue"):
        Queue.parse(text)


@pytest.mark.parametrize(
    ("text", "arn"),
    [
        (URL, "arn:aws:sqs:eu-west-1:123456789012:q"),
        ("http://localhost:9324/queue/q", "arn:aws:sqs:us-east-1:999999999999:q"),
    ],
)
def test_an_arn_has_the_region_and_account_of_the_url_or_those_it_is_asked_in(text, arn):
    assert Queue.parse(text).arn_in("us-east-1", "999999999999") == arn
