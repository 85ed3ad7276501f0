"""What the service refuses, or cannot mean, although its model would let it through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_bda.service.arns import Arn
from airflow_bda.service.model import Problem, Rule
from airflow_bda.service.request.arguments import MEMBER_OF_ARGUMENT, member
from airflow_bda.service.s3 import S3Uri

# The shortest segment is 5 minutes long, whatever the bounds of its two ends:
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_TimestampSegment.html
SHORTEST_SEGMENT_MILLIS = 300_000
TEMPLATE_REMEDY = "Airflow renders only the arguments that the operator names in its template_fields"


def find_broken_rules(members: Mapping[str, Any], region: str | None) -> Iterator[Problem]:
    """
    Give what is wrong with *members* beyond the model. Their types may be wrong: the model's check says so.

    :param region: the region that the call is made in; None where it is not known.
    """
    yield from _one_object(member(members, "input_s3_uri"))
    yield from _long_enough(member(members, "video_segment"))
    yield from _profile_of_region(member(members, "profile_arn"), region)


def find_template(members: Mapping[str, Any], argument: str) -> Iterator[Problem]:
    """Give the problem of an argument that holds an unrendered Jinja template, at any depth."""
    value = member(members, argument)
    if any(holds_template(text) for text in _strings(value)):
        yield _problem(argument, value, f"it holds an unrendered template. {TEMPLATE_REMEDY}")


def holds_template(text: str) -> bool:
    """Whether *text* is a Jinja template that nobody has rendered."""
    return "{{" in text or "{%" in text


def _one_object(uri: Any) -> Iterator[Problem]:
    try:
        key = S3Uri.parse(uri).key
    except (AttributeError, TypeError, ValueError):  # no text, bytes, no URI
        return
    if not key:
        yield _problem("input_s3_uri", uri, "it names a bucket; a call takes one object, s3://bucket/key")
    elif key.endswith("/"):
        yield _problem("input_s3_uri", uri, "it names a prefix; a call takes one object, so make one call for each")


def _long_enough(segment: Any) -> Iterator[Problem]:
    if not isinstance(segment, Mapping):
        return
    start, end = segment.get("startTimeMillis"), segment.get("endTimeMillis")
    if isinstance(start, int) and isinstance(end, int) and end - start < SHORTEST_SEGMENT_MILLIS:
        yield _problem(
            "video_segment",
            segment,
            f"it is {(end - start) / 1000:g} s long; the service takes segments of at least 5 minutes",
        )


def _profile_of_region(profile_arn: Any, region: str | None) -> Iterator[Problem]:
    try:
        profile = Arn.parse(profile_arn)
    except (TypeError, ValueError):
        return
    if region is not None and profile.region != region:
        yield _problem(
            "profile_arn",
            profile_arn,
            f"it is of region {profile.region!r}, and the call is made in {region!r}, "
            "where the service takes that region's own profiles only",
        )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def _problem(argument: str, value: Any, valid: str) -> Problem:
    return Problem(MEMBER_OF_ARGUMENT[argument], value, Rule.SERVICE, valid)
