"""What to do about a problem of a request: a sentence for each thing that people get wrong."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_bda.service.arns import BLUEPRINT, PROFILE, PROJECT, Arn
from airflow_bda.service.model import Problem, Rule, shorten
from airflow_bda.service.profiles import PROFILE_OF_REGION
from airflow_bda.service.request.rules import TEMPLATE_REMEDY, holds_template

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "input_s3_uri": "s3://bucket/folder/document.pdf",
        "output_s3_uri": "s3://bucket/folder",
        "profile_arn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
        "project_arn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab",
        "blueprintArn": "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab",
    }
)
_ARN_TYPES: Mapping[str, str] = MappingProxyType(
    {"profile_arn": PROFILE, "project_arn": PROJECT, "blueprintArn": BLUEPRINT}
)
_NEEDED_BY: Mapping[str, str] = MappingProxyType(
    {"project_arn": "project_stage", "kms_key_id": "kms_encryption_context"}
)
_FRIENDLY_SHAPES: Mapping[str, str] = MappingProxyType(
    {
        "blueprints": 'Pass a list of ARNs, or of mappings such as {"blueprintArn": ..., "version": "1"}.',
        "tags": "Pass a mapping of keys to values.",
        "video_segment": "Pass (start, end), in timedeltas or milliseconds.",
    }
)
_STAGES = frozenset({"LIVE", "DEVELOPMENT"})
_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?")
_PERCENT_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_TOKEN_CHARACTERS = re.compile(r"[A-Za-z0-9-]*")


def hint(argument_path: str, problem: Problem) -> str:
    """
    Say what is probably meant, or how to mend it; empty where nothing more can be said.

    :param argument_path: the member as the user knows it: ``project_arn``, ``blueprints[2].blueprintArn``.
    """
    argument = argument_path.rpartition(".")[2]
    if problem.rule is Rule.REQUIRED:
        return f"{_NEEDED_BY[argument]} is of no use without it." if argument in _NEEDED_BY else ""
    if problem.rule is Rule.TYPE and argument.partition("[")[0] in _FRIENDLY_SHAPES:
        return _FRIENDLY_SHAPES[argument.partition("[")[0]]
    if not isinstance(problem.value, str):
        return ""
    for find in _HINTS_OF_RULE.get(problem.rule, ()):
        sentence = find(argument, problem.value)
        if sentence:
            return sentence
    return ""


def _template(_argument: str, value: str) -> str:
    return f"It is an unrendered template. {TEMPLATE_REMEDY}." if holds_template(value) else ""


def _https_url(argument: str, value: str) -> str:
    if not argument.endswith("_s3_uri") or not value.lower().startswith(("http://", "https://")):
        return ""
    try:
        url = urlsplit(value)
    except ValueError:
        return ""
    host = _S3_HOST.fullmatch(url.netloc.lower())
    if host is None:
        return "BDA reads and writes S3 only: copy the document to a bucket and name it s3://bucket/key."
    path = unquote(url.path).lstrip("/")
    bucket_and_key = f"{host['bucket']}/{path}" if host["bucket"] else path
    return f"It is the URL of an S3 object, whose S3 URI is s3://{bucket_and_key}."


def _s3_arn(argument: str, value: str) -> str:
    if not argument.endswith("_s3_uri") or not value.startswith("arn:"):
        return ""
    return "BDA takes no ARN here, of a bucket or of an access point: name the bucket, s3://bucket/key."


def _percent_encoded(argument: str, value: str) -> str:
    if not argument.endswith("_s3_uri") or not _PERCENT_ENCODED.search(value):
        return ""
    return f"It is percent-encoded; the key as S3 has it is probably {shorten(unquote(value))}."


def _short_arn_type(argument: str, value: str) -> str:
    if argument != "project_arn" or ":data-automation/" not in value:
        return ""
    return f"A project's ARN reads {value.replace(':data-automation/', f':{PROJECT}/')}."


def _other_arn_type(argument: str, value: str) -> str:
    expected = _ARN_TYPES.get(argument)
    try:
        found = Arn.parse(value).resource_type
    except ValueError:
        return ""
    return f"It is the ARN of a {found}, and {expected} is wanted." if expected and found != expected else ""


def _profile_id(argument: str, value: str) -> str:
    if argument != "profile_arn":
        return ""
    try:
        region = Arn.parse(value).region
    except ValueError:
        return "Leave profile_arn out, and it is derived from the region."
    listed = PROFILE_OF_REGION.get(region)
    return f"The profile of {region} is {listed}." if listed else ""


def _token_characters(argument: str, value: str) -> str:
    if argument != "client_token" or _TOKEN_CHARACTERS.fullmatch(value):
        return ""
    return "Airflow's ids hold characters that a token may not: hash them, hashlib.sha256(text.encode()).hexdigest()."


def _example(argument: str, _value: str) -> str:
    return f"For example {_EXAMPLES[argument]}." if argument in _EXAMPLES else ""


def _stage(_argument: str, value: str) -> str:
    return f"Write {value.strip().upper()}." if value.strip().upper() in _STAGES else ""


def _text_for_value(argument: str, _value: str) -> str:
    if argument not in {"event_bridge_enabled", "startTimeMillis", "endTimeMillis"}:
        return ""
    return "A template renders text: set render_template_as_native_obj=True on the DAG to get numbers and booleans."


# The first that applies is said: it is the likeliest cause, and an example is the last resort.
_HINTS_OF_RULE = {
    Rule.PATTERN: (
        _template,
        _https_url,
        _s3_arn,
        _percent_encoded,
        _short_arn_type,
        _other_arn_type,
        _profile_id,
        _token_characters,
        _example,
    ),
    Rule.LENGTH: (_template, _token_characters),
    Rule.ENUM: (_template, _stage),
    Rule.TYPE: (_template, _text_for_value),
}
