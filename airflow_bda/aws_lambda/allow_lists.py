"""
What the function's role may be used for by those who call it.

Who may invoke the function acts with its role. Where these variables are set, the function refuses what they do not
name, so that callers cannot use its role on other buckets. Each is a list: values with commas between them, or a JSON
list where a value holds a comma. Where none is set, everything is allowed that the role may do. Projects and blueprints
are alternatives: where one of their lists is set, an unset other one allows nothing, and no stage but LIVE is allowed
unless the list of stages says so. ARNs of other accounts must be listed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.service.errors import BdaError
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.service.request.request import InvocationRequest

INPUT_PREFIXES = "BDA_ALLOWED_INPUT_PREFIXES"
OUTPUT_PREFIXES = "BDA_ALLOWED_OUTPUT_PREFIXES"
PROJECTS = "BDA_ALLOWED_PROJECTS"
BLUEPRINTS = "BDA_ALLOWED_BLUEPRINTS"
KMS_KEYS = "BDA_ALLOWED_KMS_KEYS"
STAGES = "BDA_ALLOWED_STAGES"
PROFILES = "BDA_ALLOWED_PROFILES"
_LIVE, _AWS = "LIVE", "aws"


class NotAllowedError(BdaError):
    """
    The request is sound, and this function is not there for it.

    :param problems: each a sentence that names what is not allowed, and what is.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("The request was not sent: this function does not do that.")


class AllowListError(BdaError):
    """An allow-list cannot be read, so nothing is allowed."""


@dataclass(frozen=True)
class AllowLists:
    """
    What is allowed; an empty list allows everything, but for projects and blueprints where the other one has a list.

    :param input_prefixes: folders (``s3://bucket/folder``, with or without a slash at the end), buckets or objects.
    :param kms_keys: keys in the spelling in which callers name them: id, ARN or alias.
    """

    input_prefixes: tuple[S3Uri, ...] = ()
    output_prefixes: tuple[S3Uri, ...] = ()
    projects: tuple[str, ...] = ()
    blueprints: tuple[str, ...] = ()
    kms_keys: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> AllowLists:
        """
        Read the function's environment.

        :raises AllowListError: names the variable that cannot be read.
        """
        return cls(
            input_prefixes=_prefixes(environment, INPUT_PREFIXES),
            output_prefixes=_prefixes(environment, OUTPUT_PREFIXES),
            projects=_values(environment, PROJECTS),
            blueprints=_values(environment, BLUEPRINTS),
            kms_keys=_values(environment, KMS_KEYS),
            stages=_values(environment, STAGES),
            profiles=_values(environment, PROFILES),
        )

    def check(self, request: InvocationRequest, *, account: str | None = None) -> None:
        """
        Refuse what is not allowed.

        :param account: the function's own; None leaves accounts unchecked.
        :raises NotAllowedError: names all that is not.
        """
        problems = (
            *_not_under("inputS3Uri", request.input_s3_uri, self.input_prefixes, INPUT_PREFIXES),
            *_not_under("outputS3Uri", request.output_s3_uri, self.output_prefixes, OUTPUT_PREFIXES),
            *self._extraction_problems(request),
            *_not_among("profileArn", request.profile_arn, self.profiles, PROFILES),
            *_not_among("kmsKeyId", request.kms_key_id, self.kms_keys, KMS_KEYS),
            *self._account_problems(request, account),
        )
        if problems:
            raise NotAllowedError(problems)

    def check_output(self, output_uri: str | None) -> None:
        """
        Refuse the status of a job that writes elsewhere.

        :param output_uri: where it writes; None where that is not known (yet).
        :raises NotAllowedError: names the prefixes that are allowed.
        """
        if output_uri is not None:
            problems = tuple(_not_under("the job's output", output_uri, self.output_prefixes, OUTPUT_PREFIXES))
            if problems:
                # The answer must not reveal where the other job writes.
                allowed = " or ".join(map(str, self.output_prefixes))
                raise NotAllowedError((f"invocationArn: its job does not write under {allowed} ({OUTPUT_PREFIXES}).",))

    def _extraction_problems(self, request: InvocationRequest) -> Iterator[str]:
        if not self.projects and not self.blueprints:
            stages = self.stages
        else:
            stages = self.stages or (_LIVE,)
            yield from _not_listed("projectArn", request.project_arn, self.projects, PROJECTS)
        blueprints = request.argument("blueprints") or []
        for blueprint in blueprints:
            if self.projects or self.blueprints:
                yield from _not_listed("blueprints", blueprint["blueprintArn"], self.blueprints, BLUEPRINTS)
            yield from _not_among("blueprints", blueprint.get("stage"), stages, STAGES)
        yield from _not_among("projectStage", request.argument("project_stage"), stages, STAGES)

    def _account_problems(self, request: InvocationRequest, account: str | None) -> Iterator[str]:
        """Yield the ARNs of other accounts that no list names."""
        listed = {*self.projects, *self.blueprints, *self.profiles, *self.kms_keys}
        given = [("profileArn", request.profile_arn), ("projectArn", request.project_arn)]
        given += [("blueprints", arn) for arn in request.blueprint_arns]
        given.append(("kmsKeyId", request.kms_key_id))
        for key, arn in given:
            parts = (arn or "").split(":")
            is_foreign = len(parts) > _ACCOUNT_PART and parts[_ACCOUNT_PART] not in {account, _AWS}
            if account is not None and is_foreign and arn not in listed:
                yield f"{key} is {arn!r}: it must be of account {account}, or be named in a list of what is allowed."


# arn:<partition>:<service>:<region>:<account>:...
_ACCOUNT_PART = 4


def is_under(uri: S3Uri, prefix: S3Uri) -> bool:
    """
    Whether an object or a prefix is *prefix* itself or lies in it as in a folder.

    ``s3://bucket/in`` holds ``s3://bucket/in/a.pdf``, and neither ``s3://bucket/in-other/a.pdf`` nor
    ``s3://bucket-in/a.pdf``. To S3 ``..`` is a name like others, but not to every program that is handed the key:
    nothing lies anywhere by way of it.
    """
    if uri.bucket != prefix.bucket or not {".", ".."}.isdisjoint(uri.key.split("/")):
        return False
    folder = prefix.key.rstrip("/")
    return not folder or uri.key == folder or uri.key.startswith(f"{folder}/")


def _not_under(key: str, uri: str, prefixes: tuple[S3Uri, ...], variable: str) -> Iterator[str]:
    location = S3Uri.parse(uri)
    if prefixes and not any(is_under(location, prefix) for prefix in prefixes):
        yield f"{key} is {uri!r}: it must lie under {' or '.join(map(str, prefixes))} ({variable})."


def _not_among(key: str, value: str | None, allowed: tuple[str, ...], variable: str) -> Iterator[str]:
    if allowed and value is not None and value not in allowed:
        yield f"{key} is {value!r}: it must be {' or '.join(allowed)} ({variable})."


def _not_listed(key: str, value: str | None, allowed: tuple[str, ...], variable: str) -> Iterator[str]:
    if value is not None and not allowed:
        yield f"{key} is {value!r}: none is allowed ({variable} is not set, and its alternative is)."
    yield from _not_among(key, value, allowed, variable)


def _prefixes(environment: Mapping[str, str], variable: str) -> tuple[S3Uri, ...]:
    try:
        return tuple(S3Uri.parse(value) for value in _values(environment, variable))
    except ValueError as error:
        raise _unreadable(variable, str(error)) from None


def _values(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    text = environment.get(variable, "").strip()
    if not text.startswith("["):
        return tuple(value for part in text.split(",") if (value := part.strip()))
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _unreadable(variable, f"it is not JSON ({error})") from None
    if not values or not all(isinstance(value, str) and value for value in values):
        raise _unreadable(variable, "it is not a list of texts")
    return tuple(values)


def _unreadable(variable: str, why: str) -> AllowListError:
    return AllowListError(
        f"The function's variable {variable} cannot be read: {why}.",
        remedy="Correct it; until then nothing is allowed.",
    )
