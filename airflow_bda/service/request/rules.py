"""What is wrong with a request: the model's rules, the service's own, what templates spoil; and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from airflow_bda.service.arguments import (
    MEMBER_OF_ARGUMENT,
    NONE_AS_TEXT,
    TEMPLATE_REMEDY,
    argument_of,
    explain,
    holds_template,
    is_none_text,
    member,
    root,
    texts_in,
)
from airflow_bda.service.arns import BLUEPRINT, PROFILE, PROFILE_OF_REGION, PROJECT, Arn
from airflow_bda.service.model import INVOKE, Problem, Rule, input_shape, matches, shorten, validate
from airflow_bda.service.s3 import SCHEME, S3Uri

# The shortest segment is 5 minutes long, whatever the bounds of its two ends:
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_TimestampSegment.html
SHORTEST_SEGMENT_MILLIS = 300_000

_OURS = frozenset(MEMBER_OF_ARGUMENT.values())
_PROFILE = MEMBER_OF_ARGUMENT["profile_arn"]


def find_request_problems(members: Any, region: str | None = None, *, operation: str = INVOKE) -> list[Problem]:
    """
    Return all that is wrong with *members*, each problem with the argument's name for its path.

    A request without a profile is sound: the profile may be added later.

    :param region: the region that the call is made in; None where it is not known.
    :param operation: which of the API's operations the members are for.
    :raises LookupError: when the installed botocore does not know the operation.
    """
    problems = [
        *_find_in_model(members, operation),
        *_one_object(members),
        *_long_enough(members),
        *_of_one_region(members, region),
    ]
    troubled = {root(argument_of(problem.path)) for problem in problems}
    for argument in MEMBER_OF_ARGUMENT:
        # Where something is wrong already, the hint says that it is a template.
        if argument not in troubled:
            problems += _spoiled_by_a_template(members, argument)
    return [replace(problem, path=argument_of(problem.path)) for problem in problems]


def sentence(problem: Problem) -> str:
    """Return a problem of :func:`find_request_problems` as a sentence, and what to do about it as a second one."""
    shown, hint = problem, _hint(problem)
    if hint and problem.rule is Rule.PATTERN and problem.valid.startswith("it must match "):
        # The pattern is long, and says less than the hint.
        shown = replace(shown, valid="it does not match BDA's pattern")
    if root(problem.path) == "kms_encryption_context" and problem.rule is not Rule.REQUIRED:
        shown = replace(shown, value=_NotShown())
    return f"{shown} {hint}".rstrip()


class _NotShown:
    """Replaces a value in a message that must not be logged."""

    def __repr__(self) -> str:
        return "(not shown)"


# -- rules


def _find_in_model(members: Any, operation: str) -> Iterator[Problem]:
    problems = validate(operation, members)
    # A model that lacks one of our members may require its predecessor, which no argument sets.
    too_old = any(problem.rule is Rule.UNKNOWN and problem.path in _OURS for problem in problems)
    for problem in problems:
        if problem.rule is Rule.REQUIRED and (problem.path == _PROFILE or (too_old and problem.path not in _OURS)):
            continue
        is_uri = problem.rule is Rule.PATTERN and problem.path.endswith(".s3Uri")
        refused = _refused_characters(problem.value) if is_uri else ""
        yield replace(problem, valid=f"it holds {refused}, which BDA refuses in a key") if refused else problem


def _refused_characters(uri: Any) -> str:
    """Return the characters of an S3 key that the service's pattern does not allow."""
    if not isinstance(uri, str) or not uri.startswith(SCHEME):
        return ""
    pattern = input_shape(INVOKE).members["inputConfiguration"].members["s3Uri"].metadata.get("pattern", ".*")
    key = uri.removeprefix(SCHEME).partition("/")[2]
    refused = (character for character in dict.fromkeys(key) if not matches(pattern, f"{SCHEME}bucket/{character}"))
    return ", ".join(map(repr, refused))


def _one_object(members: Any) -> Iterator[Problem]:
    uri = member(members, "input_s3_uri")
    try:
        key = S3Uri.parse(uri).key
    except (AttributeError, TypeError, ValueError):  # no text, bytes, no URI
        return
    if not key:
        yield _problem("input_s3_uri", uri, "it names a bucket; a call takes one object, s3://bucket/key")
    elif key.endswith("/"):
        yield _problem("input_s3_uri", uri, "it names a prefix; a call takes one object, so make one call for each")


def _long_enough(members: Any) -> Iterator[Problem]:
    segment = member(members, "video_segment")
    if not isinstance(segment, Mapping):
        return
    start, end = segment.get("startTimeMillis"), segment.get("endTimeMillis")
    if isinstance(start, int) and isinstance(end, int) and end - start < SHORTEST_SEGMENT_MILLIS:
        yield _problem(
            "video_segment",
            segment,
            f"it is {(end - start) / 1000:g} s long; the service takes segments of at least 5 minutes",
        )


def _of_one_region(members: Any, region: str | None) -> Iterator[Problem]:
    """Check that profile, project and blueprints are of the region of the call, or at least of the same one."""
    made_in = f"the call is made in {region!r}"
    for path, arn in _arns(members):
        try:
            found = Arn.parse(arn).region
        except (TypeError, ValueError):
            continue
        if region is None:
            region, made_in = found, f"{argument_of(path)} is of {found!r}"
        if found == region:
            continue
        only = ", where the service takes that region's own profiles only" if path == _PROFILE else ""
        remedy = "" if only else f": name one of {region!r}, or make the call in {found!r}"
        yield Problem(path, arn, Rule.SERVICE, f"it is of region {found!r}, and {made_in}{only}{remedy}")


def _arns(members: Any) -> Iterator[tuple[str, Any]]:
    for argument in ("profile_arn", "project_arn"):
        yield MEMBER_OF_ARGUMENT[argument], member(members, argument)
    blueprints = member(members, "blueprints")
    for index, item in enumerate(blueprints if isinstance(blueprints, (list, tuple)) else ()):
        arn = item.get("blueprintArn") if isinstance(item, Mapping) else None
        yield f"blueprints[{index}].blueprintArn", arn


def _spoiled_by_a_template(members: Any, argument: str) -> Iterator[Problem]:
    value = member(members, argument)
    texts = list(texts_in(value))
    if any(map(holds_template, texts)):
        said = f"it holds an unrendered template. {TEMPLATE_REMEDY}"
    elif argument != "tags" and any(map(is_none_text, texts)):
        said = NONE_AS_TEXT[0].lower() + NONE_AS_TEXT[1:]
    else:
        return
    yield Problem(MEMBER_OF_ARGUMENT[argument], value, Rule.TEMPLATE, said)


def _problem(argument: str, value: Any, valid: str) -> Problem:
    return Problem(MEMBER_OF_ARGUMENT[argument], value, Rule.SERVICE, valid)


# -- hints

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
        "kms_encryption_context": "Pass a mapping of keys to values.",
        "video_segment": "Pass (start, end), in timedeltas or milliseconds.",
    }
)
# What the arguments take that take no text.
_WANTED: Mapping[str, str] = MappingProxyType(
    {
        "blueprints": "list",
        "tags": "mapping",
        "kms_encryption_context": "mapping",
        "video_segment": "mapping",
        "startTimeMillis": "number",
        "endTimeMillis": "number",
        "event_bridge_enabled": "flag",
    }
)
_STAGES = frozenset({"LIVE", "DEVELOPMENT"})
_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?")
_TOKEN_CHARACTERS = re.compile(r"[A-Za-z0-9-]*")


def _hint(problem: Problem) -> str:
    """Return what is probably meant, or how to correct it; empty where that is not known."""
    argument = problem.path.rpartition(".")[2]
    if problem.rule is Rule.REQUIRED:
        return f"{_NEEDED_BY[argument]} is of no use without it." if argument in _NEEDED_BY else ""
    if problem.rule in {Rule.SERVICE, Rule.TEMPLATE}:
        return ""
    spoiled = explain(problem.value, _WANTED.get(argument, "text"))
    if spoiled:
        return f"{spoiled}."
    if problem.rule is Rule.TYPE and argument.partition("[")[0] in _FRIENDLY_SHAPES:
        return _FRIENDLY_SHAPES[argument.partition("[")[0]]
    return _hint_at_text(argument, problem) if isinstance(problem.value, str) else ""


def _hint_at_text(argument: str, problem: Problem) -> str:
    if problem.rule is Rule.TYPE and argument in {"event_bridge_enabled", "startTimeMillis", "endTimeMillis"}:
        return "A template renders text: set render_template_as_native_obj=True on the DAG to get numbers and booleans."
    if problem.rule is Rule.ENUM and (stage := problem.value.strip().upper()) in _STAGES:
        return f"Write {stage}."
    if argument == "client_token" and not _TOKEN_CHARACTERS.fullmatch(problem.value):
        return (
            "Airflow's ids hold characters that a token may not: hash them, hashlib.sha256(text.encode()).hexdigest()."
        )
    if problem.rule is not Rule.PATTERN:
        return ""
    found = _hint_at_uri(problem.value) if argument.endswith("_s3_uri") else _hint_at_arn(argument, problem.value)
    # An example is the last resort.
    return found or (f"For example {_EXAMPLES[argument]}." if argument in _EXAMPLES else "")


def _hint_at_uri(value: str) -> str:
    if value.lower().startswith(("http://", "https://")):
        return _hint_at_url(value)
    if value.startswith("arn:"):
        return "BDA takes no ARN here, of a bucket or of an access point: name the bucket, s3://bucket/key."
    if not _refused_characters(value):
        return ""
    decoded = decoded_uri(value) if "%" in value else None
    if decoded is None:
        return "Copy the object to a key without such characters."
    refused = _refused_characters(decoded)
    return (
        f"It is percent-encoded, as keys in S3's events are; the key as S3 has it is probably {shorten(decoded)}"
        f"{f', which holds {refused}: copy the object to a key without that' if refused else ''}. "
        "urllib.parse.unquote_plus decodes the keys of events."
    )


def _hint_at_url(value: str) -> str:
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


def _hint_at_arn(argument: str, value: str) -> str:
    """Return which ARN it is instead, the likeliest mistake first."""
    if argument == "project_arn" and ":data-automation/" in value:
        return f"A project's ARN reads {value.replace(':data-automation/', f':{PROJECT}/')}."
    try:
        arn = Arn.parse(value)
    except ValueError:
        return "Leave profile_arn out, and it is derived from the region." if argument == "profile_arn" else ""
    wanted = _ARN_TYPES.get(argument)
    if wanted and arn.resource_type != wanted:
        return f"It is the ARN of a {arn.resource_type}, and {wanted} is wanted."
    listed = PROFILE_OF_REGION.get(arn.region) if argument == "profile_arn" else None
    return f"The profile of {arn.region} is {listed}." if listed else ""


def decoded_uri(uri: str) -> str | None:
    """Return the URI that *uri* is an encoded form of, as in S3's events; None where nothing in it is encoded."""
    # S3's events write a space as a plus sign; where it is written %20, a plus sign is one.
    decoded = unquote(uri) if "%20" in uri else unquote_plus(uri)
    return None if decoded == uri or "\ufffd" in decoded else decoded
