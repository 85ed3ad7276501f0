"""Who made a call, and the policies that this identity has, read from moto's IAM and STS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from airflow_bda.emulator.aws.permissions.evaluation import Decision, Question, decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moto.iam.models import IAMBackend

    from airflow_bda.emulator.aws.permissions.evaluation import Document

_ACCESS_KEY = re.compile(r"Credential=(?P<key>[^/,]+)/")


@dataclass(frozen=True)
class Place:
    """Where a call was made."""

    region: str
    account: str
    partition: str


@dataclass(frozen=True)
class Caller:
    """
    An identity.

    :param policies: the documents of its policies; None for the account itself, which may do all.
    :param role: the role of a session, which policies name beside the session itself.
    """

    arn: str
    policies: tuple[Document, ...] | None = None
    role: str | None = None

    @property
    def account(self) -> str:
        """The account that it belongs to."""
        return self.arn.split(":")[4]

    @property
    def names(self) -> tuple[str, ...]:
        """What the policies of buckets and keys may call it."""
        return (self.arn, self.role) if self.role else (self.arn,)

    def decide(self, question: Question) -> Decision:
        """Return what its policies decide."""
        return Decision.ALLOWED if self.policies is None else decide(self.policies, question)

    def may(self, question: Question) -> bool:
        """Whether it may do something."""
        return self.decide(question) is Decision.ALLOWED


def caller_of(headers: Mapping[str, str], place: Place) -> Caller:
    """Return the user or the role's session that signed a request; for any other key, the account itself."""
    signature = _ACCESS_KEY.search(headers.get("Authorization", ""))
    key = signature["key"] if signature else ""
    iam = iam_backends[place.account][place.partition]
    for user in iam.users.values():
        if any(own.access_key_id == key for own in user.access_keys):
            return Caller(user.arn, tuple(_user_policies(iam, user)))
    for session in sts_backends[place.account][place.partition].assumed_roles:
        if session.access_key_id == key:
            name = session.role_arn.rpartition("/")[2]
            arn = f"arn:{place.partition}:sts::{place.account}:assumed-role/{name}/{session.session_name}"
            # moto lets anybody act in a role that was never made; there such a role has no policies.
            role = next((role for role in iam.roles.values() if role.name == name), None)
            return Caller(arn, tuple(_policies(role)) if role else (), session.role_arn)
    return Caller(f"arn:{place.partition}:iam::{place.account}:root")


def principal_of(arn: str, place: Place) -> Caller | None:
    """Return the user or the role that an ARN of IAM names; None when there is none."""
    iam = iam_backends[place.account][place.partition]
    for role in iam.roles.values():
        if role.arn == arn:
            return Caller(arn, tuple(_policies(role)))
    for user in iam.users.values():
        if user.arn == arn:
            return Caller(arn, tuple(_user_policies(iam, user)))
    return None


def _user_policies(iam: IAMBackend, user: Any) -> Iterator[Document]:
    yield from _policies(user)
    for group in iam.get_groups_for_user(user.name):
        yield from _policies(group)


def _policies(identity: Any) -> Iterator[Document]:
    """Return the policies of a user, a group or a role: those written into it, and those attached."""
    texts = list(identity.policies.values())
    texts += (
        next(version.document for version in managed.versions if version.is_default)
        for managed in identity.managed_policies.values()
    )
    for text in texts:
        # moto may keep a policy as it was sent, percent-encoded.
        yield json.loads(text if text.lstrip().startswith("{") else unquote(text))
