"""
The request that starts a job: built from friendly arguments and checked once, before it is sent.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_bda.service.arguments import MEMBER_OF_ARGUMENT, is_none_text, member, root, texts_in, to_members
from airflow_bda.service.arns import PROFILE_OF_REGION
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.request.rules import decoded_uri, find_request_problems, sentence
from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality, S3Uri, extension

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import timedelta

_PROFILE = MEMBER_OF_ARGUMENT["profile_arn"]
_TOKEN = MEMBER_OF_ARGUMENT["client_token"]
# In the digest of a request whose profile is left to the Lambda function. Client tokens are made from digests:
# another text would start second jobs for the tasks that are running while the package is upgraded.
_PROFILE_IN_DIGESTS = "arn:aws:bedrock:us-east-1:000000000000:data-automation-profile/us.data-automation-v1"


@dataclass(frozen=True, repr=False)
class InvocationRequest:
    """
    A request, which is checked when it is made, so that each one is valid.

    :param members: the API's own members, as a mapping or as the JSON text of :attr:`canonical`; kept as an immutable
        copy. The profile may be missing: :meth:`with_profile` adds it.
    :raises BdaRequestError: lists all that is wrong with it.
    :raises ValueError: when *members* is a text that is not JSON.
    """

    members: Mapping[str, Any]

    def __post_init__(self) -> None:
        members: Any = json.loads(self.members) if isinstance(self.members, str) else self.members
        refuse(members, map(sentence, find_request_problems(members)))
        object.__setattr__(self, "members", _frozen(members))

    def to_api(self) -> dict[str, Any]:
        """
        Return the keyword arguments of ``client.invoke_data_automation_async``, as a copy of its own.

        :raises BdaRequestError: when the request has no profile yet.
        """
        if _PROFILE not in self.members:
            refuse(self.members, ["profile_arn is missing: add it with with_profile()."])
        members: dict[str, Any] = _thawed(self.members)
        return members

    @cached_property
    def canonical(self) -> str:
        """The members as JSON, keys sorted, without blanks: equal requests have equal texts. It can be stored."""
        return _canonical_json(_thawed(self.members))

    def digest(self) -> str:
        """
        Return the SHA-256 of what is asked for, as 64 hex digits: the same in every process.

        The client token is not part of it: it says which try this is, and is itself made from the digest.
        """
        asked = {_PROFILE: _PROFILE_IN_DIGESTS} | _thawed(self.members)
        asked.pop(_TOKEN, None)
        return hashlib.sha256(_canonical_json(asked).encode()).hexdigest()

    def with_client_token(self, client_token: str) -> InvocationRequest:
        """
        Return the same request with another client token; only the token is checked.

        :raises BdaRequestError: when the token is not valid.
        """
        return self._with("client_token", client_token, region=None)

    def with_profile(self, profile_arn: str, *, region: str | None = None) -> InvocationRequest:
        """
        Return the same request with a profile; only the profile is checked.

        :param region: the region that the call is made in; None leaves the profile's region unchecked.
        :raises BdaRequestError: when the profile is not valid.
        """
        return self._with("profile_arn", profile_arn, region=region)

    def _with(self, argument: str, value: Any, *, region: str | None) -> InvocationRequest:
        changed = {MEMBER_OF_ARGUMENT[argument]: value}
        # The others are missing here, which says nothing about the request.
        problems = [problem for problem in find_request_problems(changed, region) if root(problem.path) == argument]
        refuse(self.members, map(sentence, problems))
        return _of_checked({**self.members, **changed})

    def argument(self, name: str) -> Any:
        """
        Return the value of an argument as the API takes it; None where it is not set.

        :param name: as :func:`build_request` names it.
        """
        return _thawed(member(self.members, name))

    @property
    def input_s3_uri(self) -> str:
        """The document."""
        return str(member(self.members, "input_s3_uri"))

    @property
    def output_s3_uri(self) -> str:
        """The prefix that the service writes under, without a trailing slash."""
        return str(member(self.members, "output_s3_uri"))

    @property
    def profile_arn(self) -> str | None:
        """The data automation profile; None where it is still to be added."""
        profile_arn: str | None = member(self.members, "profile_arn")
        return profile_arn

    @property
    def project_arn(self) -> str | None:
        """The project, where there is one."""
        project_arn: str | None = member(self.members, "project_arn")
        return project_arn

    @property
    def blueprint_arns(self) -> tuple[str, ...]:
        """The blueprints beside or instead of a project."""
        return tuple(blueprint["blueprintArn"] for blueprint in member(self.members, "blueprints") or ())

    @property
    def kms_key_id(self) -> str | None:
        """The key that encrypts the job's data, where there is one."""
        kms_key_id: str | None = member(self.members, "kms_key_id")
        return kms_key_id

    @property
    def client_token(self) -> str | None:
        """The client token, where one is set."""
        client_token: str | None = member(self.members, "client_token")
        return client_token

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __repr__(self) -> str:
        # The encryption context stays out of logs.
        return f"InvocationRequest({self.input_s3_uri} -> {self.output_s3_uri})"

    # Pickles hold the text, as they always have: a read-only mapping cannot be pickled.
    def __getstate__(self) -> dict[str, str]:
        return {"canonical": self.canonical}

    def __setstate__(self, state: Mapping[str, str]) -> None:
        object.__setattr__(self, "members", _frozen(json.loads(state["canonical"])))


def build_request(  # noqa: PLR0913  one argument for each member of the API
    *,
    input_s3_uri: str,
    output_s3_uri: str,
    profile_arn: str | None = None,
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
    problems: Iterable[str] = (),
) -> InvocationRequest:
    """
    Build the request for one document, and check it. An argument that is None is not sent.

    Where the API takes text, a whole number is taken as its digits, and an ``ObjectStoragePath`` as its URI.

    :param input_s3_uri: one object, ``s3://bucket/key``. The service refuses keys with any of
        ``{ } ^ % ` " < > [ ] ~ # |`` or a control character.
    :param output_s3_uri: a prefix, ``s3://bucket/prefix``; the service writes under ``<prefix>/<job id>/``. Trailing
        slashes are stripped.
    :param profile_arn: the data automation profile, of the region that the call is made in; None leaves it to
        :meth:`InvocationRequest.with_profile`.
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
    :param region: the region that the call is made in, to check the ARNs by; not sent.
    :param problems: what the caller has found already, to be raised together with what is found here.
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
    refuse(members, [*problems, *map(sentence, find_request_problems(members, region))])
    return _of_checked(members)


def request_warnings(request: InvocationRequest) -> tuple[str, ...]:
    """Return warnings about a valid but suspicious request, a sentence each."""
    return (
        *_warn_of_extraction(request),
        *_warn_of_format(request),
        *_warn_of_profile(request),
        *_warn_of_templates(request),
    )


def _warn_of_extraction(request: InvocationRequest) -> Iterator[str]:
    if request.project_arn and request.blueprint_arns:
        yield (
            "Both project_arn and blueprints are given. AWS describes them as alternatives and does not say which one "
            "decides: pass one of them."
        )
    if not request.project_arn and not request.blueprint_arns:
        yield (
            "Neither project_arn nor blueprints is given: the service returns its default standard output and no "
            "fields. Pass one of them to say what to extract."
        )


def _warn_of_format(request: InvocationRequest) -> Iterator[str]:
    found = extension(S3Uri.parse(request.input_s3_uri).key)
    modalities = MODALITIES_OF_EXTENSION.get(found)
    if modalities is None:
        yield (
            f"{request.input_s3_uri} has {f'the extension {found!r}' if found else 'no extension'}; the formats that "
            f"AWS lists (the list changes) are {', '.join(MODALITIES_OF_EXTENSION)}."
        )
    elif member(request.members, "video_segment") is not None and Modality.VIDEO not in modalities:
        yield f"video_segment is given, and {request.input_s3_uri} does not look like a video."


def _warn_of_profile(request: InvocationRequest) -> Iterator[str]:
    if request.profile_arn is None:
        return
    # Not by Arn.parse: the service's own pattern for profiles is looser.
    region = request.profile_arn.partition(":bedrock:")[2].partition(":")[0]
    listed = PROFILE_OF_REGION.get(region)
    if listed and not request.profile_arn.endswith(f"/{listed}"):
        yield f"{request.profile_arn} is not the profile that AWS lists for {region} (the list changes): {listed}."


def _warn_of_templates(request: InvocationRequest) -> Iterator[str]:
    decoded = decoded_uri(request.input_s3_uri) if " " not in request.input_s3_uri else None
    if decoded:
        yield (
            f"{request.input_s3_uri} holds a plus sign. S3's events write a space so: if the key is from one, decode "
            f"it with urllib.parse.unquote_plus, which gives {decoded}."
        )
    for uri in (request.input_s3_uri, request.output_s3_uri):
        if "None" in S3Uri.parse(uri).key.split("/"):
            yield f"{uri} holds the name 'None', which is what a template makes of None."
    if any(map(is_none_text, texts_in(request.argument("tags")))):
        yield "tags hold the text 'None', which is what a template makes of None."


def _of_checked(members: Mapping[str, Any]) -> InvocationRequest:
    """Make a request of members that have been checked."""
    request = object.__new__(InvocationRequest)
    object.__setattr__(request, "members", _frozen(members))
    return request


def refuse(members: Any, problems: Iterable[str]) -> None:
    """
    Raise what is wrong with a request.

    :raises BdaRequestError: lists the problems, where there are any.
    """
    sentences = list(problems)
    if sentences:
        input_s3_uri = member(members, "input_s3_uri")
        raise BdaRequestError(
            f"The request was not sent: {len(sentences)} {'problem' if len(sentences) == 1 else 'problems'}.",
            problems=sentences,
            input_s3_uri=input_s3_uri if isinstance(input_s3_uri, str) else None,
        )


def _canonical_json(members: Mapping[str, Any]) -> str:
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({name: _frozen(item) for name, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _thawed(item) for name, item in value.items()}
    return list(map(_thawed, value)) if isinstance(value, tuple) else value
