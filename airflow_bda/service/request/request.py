"""
The request that starts a job: built from friendly arguments, checked before it is sent, the same text every time.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, Modality, extension
from airflow_bda.service.model import Problem, Rule, validate
from airflow_bda.service.profiles import PROFILE_OF_REGION
from airflow_bda.service.request.arguments import MEMBER_OF_ARGUMENT, argument_of, member, root, to_members
from airflow_bda.service.request.hints import hint
from airflow_bda.service.request.rules import find_broken_rules, find_template
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

OPERATION = "InvokeDataAutomationAsync"


@dataclass(frozen=True, repr=False)
class InvocationRequest:
    """
    A request that has been checked; there is no other way to have one.

    :param canonical: the API's members as JSON, keys sorted, without blanks: equal requests have equal texts. It can
        be stored, and read again by the constructor.
    :raises BdaRequestError: lists all that is wrong with it.
    :raises ValueError: when *canonical* is not JSON.
    """

    canonical: str

    def __post_init__(self) -> None:
        members = json.loads(self.canonical)
        _refuse(_find_problems(members), members)
        # The one write to a frozen field: whatever JSON comes in, its canonical form is kept.
        object.__setattr__(self, "canonical", _canonical_json(members))

    def to_api(self) -> dict[str, Any]:
        """Give the keyword arguments of ``client.invoke_data_automation_async``, as a copy of its own."""
        members: dict[str, Any] = json.loads(self.canonical)
        return members

    def digest(self) -> str:
        """
        Give the SHA-256 of what is asked, as 64 hex digits: the same in every process.

        The client token is not part of it: it says which try this is, and is itself made from the digest.
        """
        asked = {name: value for name, value in self.to_api().items() if name != "clientToken"}
        return hashlib.sha256(_canonical_json(asked).encode()).hexdigest()

    def with_client_token(self, client_token: str) -> InvocationRequest:
        """
        Give the same request under another client token.

        :raises BdaRequestError: when the token is not one.
        """
        return InvocationRequest(_canonical_json(self.to_api() | {"clientToken": client_token}))

    @property
    def input_s3_uri(self) -> str:
        """The document."""
        return str(member(self.to_api(), "input_s3_uri"))

    @property
    def output_s3_uri(self) -> str:
        """The prefix that the service writes under, without a trailing slash."""
        return str(member(self.to_api(), "output_s3_uri"))

    @property
    def profile_arn(self) -> str:
        """The data automation profile."""
        return str(member(self.to_api(), "profile_arn"))

    @property
    def project_arn(self) -> str | None:
        """The project, where one is given."""
        project_arn: str | None = member(self.to_api(), "project_arn")
        return project_arn

    @property
    def blueprint_arns(self) -> tuple[str, ...]:
        """The blueprints that are given beside or instead of a project."""
        return tuple(blueprint["blueprintArn"] for blueprint in member(self.to_api(), "blueprints") or ())

    @property
    def client_token(self) -> str | None:
        """The client token, where one is set."""
        client_token: str | None = member(self.to_api(), "client_token")
        return client_token

    def __repr__(self) -> str:
        # The encryption context stays out of logs.
        return f"InvocationRequest({self.input_s3_uri} -> {self.output_s3_uri})"


def build_request(  # noqa: PLR0913  one argument for each member of the API
    *,
    input_s3_uri: str,
    output_s3_uri: str,
    profile_arn: str,
    project_arn: str | None = None,
    project_stage: str | None = None,
    blueprints: Sequence[str | Mapping[str, str]] | None = None,
    video_segment: Mapping[str, int] | tuple[timedelta | int, timedelta | int] | None = None,
    event_bridge_enabled: bool | None = None,
    kms_key_id: str | None = None,
    kms_encryption_context: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    client_token: str | None = None,
    region: str | None = None,
) -> InvocationRequest:
    """
    Build the request for one document, and check it. An argument that is None is not sent.

    :param input_s3_uri: one object, ``s3://bucket/key``. A key with any of ``{ } ^ % ` " < > [ ] ~ # |`` or a backslash
        is not taken by the service.
    :param output_s3_uri: a prefix, ``s3://bucket/prefix``; the service writes under ``<prefix>/<job id>/``. Trailing
        slashes are stripped.
    :param profile_arn: the data automation profile, of the region that the call is made in.
    :param project_arn: the project; AWS's own have ``aws`` for the account, as in
        ``arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default``.
    :param project_stage: ``LIVE`` or ``DEVELOPMENT``.
    :param blueprints: 1 to 40: ARNs, or mappings with ``blueprintArn`` and, as wanted, ``version`` and ``stage``.
    :param video_segment: the part of a video to process, as ``(start, end)`` in timedeltas or milliseconds, or as
        ``{"startTimeMillis": ..., "endTimeMillis": ...}``; at least 5 minutes.
    :param event_bridge_enabled: whether the job's events go to EventBridge; the service's default is not to.
    :param kms_key_id: the key to encrypt with: id, ARN or alias.
    :param kms_encryption_context: 1 to 10 pairs, with *kms_key_id*.
    :param tags: of the invocation: a mapping, or a list of ``{"key": ..., "value": ...}``; at most 200.
    :param client_token: the idempotency token, of letters, digits and hyphens.
    :param region: the region that the call is made in, to check the profile by; not sent.
    :raises BdaRequestError: lists all that is wrong, each with the argument's name, its value and what is valid.
    """
    members = to_members(
        {
            "input_s3_uri": input_s3_uri,
            "output_s3_uri": output_s3_uri,
            "profile_arn": profile_arn,
            "project_arn": project_arn,
            "project_stage": project_stage,
            "blueprints": blueprints,
            "video_segment": video_segment,
            "event_bridge_enabled": event_bridge_enabled,
            "kms_key_id": kms_key_id,
            "kms_encryption_context": kms_encryption_context,
            "tags": tags,
            "client_token": client_token,
        }
    )
    # Checked before it becomes JSON, which would hide a wrong type or choke on it.
    _refuse(_find_problems(members, region), members)
    return InvocationRequest(_canonical_json(members))


def request_warnings(request: InvocationRequest) -> tuple[str, ...]:
    """Give what is odd about a request without being wrong for sure, a sentence each."""
    return (*_warn_of_extraction(request), *_warn_of_format(request), *_warn_of_profile(request))


def _warn_of_extraction(request: InvocationRequest) -> Iterator[str]:
    if request.project_arn and request.blueprint_arns:
        yield (
            "Both project_arn and blueprints are given. AWS describes them as alternatives and does not say which one "
            "decides: pass one of them."
        )
    if not request.project_arn and not request.blueprint_arns:
        yield (
            "Neither project_arn nor blueprints is given: the service gives its default standard output and no fields. "
            "Pass one of them to say what to extract."
        )


def _warn_of_format(request: InvocationRequest) -> Iterator[str]:
    found = extension(S3Uri.parse(request.input_s3_uri).key)
    modalities = MODALITIES_OF_EXTENSION.get(found)
    if modalities is None:
        yield (
            f"{request.input_s3_uri} has {f'the extension {found!r}' if found else 'no extension'}; the formats that "
            f"AWS lists (the list moves) are {', '.join(MODALITIES_OF_EXTENSION)}."
        )
    elif member(request.to_api(), "video_segment") is not None and Modality.VIDEO not in modalities:
        yield f"video_segment is given, and {request.input_s3_uri} does not look like a video."


def _warn_of_profile(request: InvocationRequest) -> Iterator[str]:
    _, _, place = request.profile_arn.partition(":bedrock:")
    region = place.partition(":")[0]
    listed = PROFILE_OF_REGION.get(region)
    if listed and not request.profile_arn.endswith(f"/{listed}"):
        yield f"{request.profile_arn} is not the profile that AWS lists for {region} (the list moves): {listed}."


def _find_problems(members: Any, region: str | None = None) -> Iterator[Problem]:
    """Give all problems, each with the argument's name for its path."""
    problems = [*_without_echoes(validate(OPERATION, members)), *find_broken_rules(members, region)]
    # Where something is wrong already, the hint says that it is a template.
    troubled = {root(argument_of(problem.path)) for problem in problems}
    for argument in MEMBER_OF_ARGUMENT:
        if argument not in troubled:
            problems += find_template(members, argument)
    for problem in problems:
        yield replace(problem, path=argument_of(problem.path))


def _without_echoes(problems: list[Problem]) -> Iterator[Problem]:
    """
    Leave out what follows from an old botocore alone.

    A model that lacks one of our members may require its predecessor, which no argument sets.
    """
    ours = set(MEMBER_OF_ARGUMENT.values())
    too_old = any(problem.rule is Rule.UNKNOWN and problem.path in ours for problem in problems)
    for problem in problems:
        if not (too_old and problem.rule is Rule.REQUIRED and problem.path not in ours):
            yield problem


class _NotShown:
    """Stands in a message for a value that is not to be logged."""

    def __repr__(self) -> str:
        return "(not shown)"


def _sentence(problem: Problem) -> str:
    shown = problem
    if root(problem.path) == "kms_encryption_context" and problem.rule is not Rule.REQUIRED:
        shown = replace(problem, value=_NotShown())
    return " ".join(filter(None, (str(shown), hint(problem.path, problem))))


def _refuse(problems: Iterator[Problem], members: Any) -> None:
    sentences = [_sentence(problem) for problem in problems]
    if sentences:
        input_s3_uri = member(members, "input_s3_uri")
        raise BdaRequestError(
            f"The request was not sent: {len(sentences)} {'problem' if len(sentences) == 1 else 'problems'}.",
            problems=sentences,
            input_s3_uri=input_s3_uri if isinstance(input_s3_uri, str) else None,
        )


def _canonical_json(members: Mapping[str, Any]) -> str:
    return json.dumps(members, sort_keys=True, separators=(",", ":"))
