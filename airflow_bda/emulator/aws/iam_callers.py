"""
IAM, where the emulator is asked to enforce it: who made a call, and where moto asks whether the caller may make it.

moto can enforce policies itself, but has no resources for most services and few conditions, and its administrator
must be made first. Here a key that belongs to no user and no role is the account's own, which may do all; so a test
sets things up as it always does, and only what it does as a user or in a role is held to policies. Signatures are not
checked; boundaries and session policies are not read.

moto asks in its S3, for what a caller reads and writes itself, and in its IAM, to simulate policies. The two methods
are put in place when enforcement is first switched on; where it is off, they do what moto's own do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.s3.exceptions import BucketAccessDeniedError, S3AccessDeniedError
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from airflow_bda.emulator.aws.iam_policies import (
    Decision,
    Question,
    decide,
    key_of_object,
    key_question,
    may_use_bucket,
    may_use_key,
    place_of_bucket,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from moto.iam.models import IAMBackend

    from airflow_bda.emulator.aws.iam_policies import Document

_ACCESS_KEY = re.compile(r"Credential=(?P<key>[^/,]+)/")
_SIMULATE = "iam:SimulatePrincipalPolicy"
# IAM's names of S3's actions, where they differ from the operations'.
_ACTION_OF_OPERATION = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
}
_KEY_ACTION_OF_ACTION = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}

# Whether policies hold now: one answer for the process, as moto's state is the process's.
_enforced: list[Callable[[], bool]] = []


@dataclass(frozen=True)
class Place:
    """Where a call was made."""

    region: str
    account: str
    partition: str


@dataclass(frozen=True)
class Caller:
    """
    The user, the session of a role or the account that makes a call.

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
            # moto lets every caller assume a role that was never made; there such a role has no policies.
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


def is_enforced() -> bool:
    """Whether users and roles are held to their policies at the moment."""
    return bool(_enforced) and _enforced[-1]()


def install(enforced: Callable[[], bool]) -> None:
    """
    Put the two methods in place, once.

    :param enforced: says, at each call, whether policies hold.
    """
    is_installed = bool(_enforced)
    _enforced[:] = [enforced]
    if is_installed:
        return
    original = S3Response._authenticate_and_authorize_s3_action  # noqa: SLF001  moto's one gate to S3

    def authorize(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        original(self, bucket_name, key_name)
        if is_enforced():
            _check_s3(self, bucket_name, key_name)

    S3Response._authenticate_and_authorize_s3_action = authorize  # type: ignore[method-assign]  # noqa: SLF001  as above
    IamResponse.simulate_principal_policy = _simulate_principal_policy  # type: ignore[attr-defined]  # moto lacks it


def _place_of(response: Any) -> Place:
    return Place(response.region, response.current_account, get_partition(response.region))


def _check_s3(response: Any, bucket: str | None, key: str | None) -> None:
    place = _place_of(response)
    caller = caller_of(response.headers, place)
    operation = response.data.get("Action", "ListAllMyBuckets")
    action = f"s3:{_ACTION_OF_OPERATION.get(operation, operation)}"
    expected_owner = response.headers.get("x-amz-expected-bucket-owner")
    is_theirs = bucket and expected_owner and place_of_bucket(bucket, place).account != expected_owner
    if is_theirs or not _may(caller, action, bucket, key, place):
        raise BucketAccessDeniedError(bucket) if bucket else S3AccessDeniedError()


def _may(caller: Caller, action: str, bucket: str | None, key: str | None, place: Place) -> bool:
    bucket_arn = f"arn:{place.partition}:s3:::{bucket or '*'}"
    if not bucket:
        return caller.may(Question(action, bucket_arn))
    if not key:
        return may_use_bucket(caller, Question(action, bucket_arn), bucket, place)
    if not may_use_bucket(caller, Question(action, f"{bucket_arn}/{key}"), bucket, place):
        return False
    owner = place_of_bucket(bucket, place)
    found = s3_backends[owner.account][owner.partition].buckets.get(bucket)
    # S3 tells that an object is missing only to those who may list its bucket.
    if action == "s3:GetObject" and (found is None or key not in found.keys):
        return may_use_bucket(caller, Question("s3:ListBucket", bucket_arn), bucket, place)
    kms_key = key_of_object(bucket, key, place)
    if kms_key and action in _KEY_ACTION_OF_ACTION:
        return may_use_key(caller, key_question(_KEY_ACTION_OF_ACTION[action], kms_key, "s3", place))
    return True


def _simulate_principal_policy(response: Any) -> Any:
    place = _place_of(response)
    source = response.querystring.get("PolicySourceArn", [""])[0]
    caller = caller_of(response.headers, place)
    if is_enforced() and not caller.may(Question(_SIMULATE, source)):
        message = f"User: {caller.arn} is not authorized to perform: {_SIMULATE} on resource: {source}"
        return 403, {"status": 403}, _error("AccessDenied", message)
    principal = principal_of(source, place)
    if principal is None:
        return 404, {"status": 404}, _error("NoSuchEntity", f"{source} was not found")
    results = [
        (question, principal.decide(question).value)
        for question in (
            Question(action, resource, _context(response.querystring))
            for action in _members(response.querystring, "ActionNames")
            for resource in _members(response.querystring, "ResourceArns") or ["*"]
        )
    ]
    return (
        200,
        {"status": 200},
        _RESULT.format(
            members="".join(
                _RESULT_MEMBER.format(action=escape(each.action), resource=escape(each.resource), decision=decision)
                for each, decision in results
            )
        ),
    )


def _context(querystring: dict[str, list[str]]) -> dict[str, str]:
    context = {}
    number = 1
    while name := querystring.get(f"ContextEntries.member.{number}.ContextKeyName"):
        values = querystring.get(f"ContextEntries.member.{number}.ContextKeyValues.member.1", [""])
        context[name[0]] = values[0]
        number += 1
    return context


def _members(querystring: dict[str, list[str]], name: str) -> list[str]:
    members: list[str] = []
    while value := querystring.get(f"{name}.member.{len(members) + 1}"):
        members.append(value[0])
    return members


def _error(code: str, message: str) -> str:
    return (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    )


_RESULT = (
    "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
    "<EvaluationResults>{members}</EvaluationResults></SimulatePrincipalPolicyResult>"
    "<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>"
    "</SimulatePrincipalPolicyResponse>"
)
_RESULT_MEMBER = (
    "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
    "<EvalDecision>{decision}</EvalDecision></member>"
)
