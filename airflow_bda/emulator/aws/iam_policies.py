"""
Decide whether policies allow a call: those of an identity, of a bucket and of a KMS key, and which keys a call uses.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, and for buckets of other
accounts https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html; for
keys, whose own policy always counts, https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.utilities.arns import parse_arn

if TYPE_CHECKING:
    from airflow_bda.emulator.aws.iam_callers import Caller, Place

Document = Mapping[str, Any]
_KMS_ALGORITHMS = frozenset({"aws:kms", "aws:kms:dsse"})
# AWS's own suffix of China's services.
_CHINA, _CHINESE_SUFFIX, _SUFFIX = "aws-cn", "amazonaws.com.cn", "amazonaws.com"


class Decision(str, Enum):
    """The outcome, in the words of ``SimulatePrincipalPolicy``."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True)
class Question:
    """
    A call that policies allow or deny.

    :param context: the values of condition keys, as in ``{"kms:ViaService": "s3.us-east-1.amazonaws.com"}``.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def decide(documents: Iterable[Document], question: Question) -> Decision:
    """Decide whether policy documents allow a call; one statement that denies is enough to refuse it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _listed(document["Statement"])
        if _applies(statement, question)
    }
    if "Deny" in effects:
        return Decision.EXPLICIT_DENY
    return Decision.ALLOWED if "Allow" in effects else Decision.IMPLICIT_DENY


def _applies(statement: Mapping[str, Any], question: Question) -> bool:
    # Actions are compared without their case, resources with it.
    return (
        _names(statement, "Action", question.action, re.IGNORECASE)
        and _names(statement, "Resource", question.resource, 0)
        and _conditions_hold(statement.get("Condition", {}), question.context)
    )


def _names(statement: Mapping[str, Any], element: str, value: str, flags: int) -> bool:
    if element in statement:
        return any(_matches(pattern, value, flags) for pattern in _listed(statement[element]))
    return not any(_matches(pattern, value, flags) for pattern in _listed(statement[f"Not{element}"]))


def _matches(pattern: str, value: str, flags: int = 0) -> bool:
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, value, flags | re.DOTALL) is not None


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _condition_holds(name, known.get(key.lower()), _listed(expected))
        for name, expectations in conditions.items()
        for key, expected in expectations.items()
    )


def _condition_holds(name: str, actual: str | None, expected: list[Any]) -> bool:
    base = name.removesuffix("IfExists")
    if base not in _OPERATORS:
        raise NotImplementedError(f"The emulator's IAM does not support the condition operator {name!r}.")
    compare, is_negated = _OPERATORS[base]
    if actual is None:
        return is_negated or base != name
    return any(compare(str(value), actual) for value in expected) != is_negated


def _equal_in_any_case(expected: str, actual: str) -> bool:
    return expected.lower() == actual.lower()


# Each with whether it asks for the opposite.
_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "ArnEquals": (_matches, False),
    "ArnLike": (_matches, False),
    "ArnNotEquals": (_matches, True),
    "ArnNotLike": (_matches, True),
    "Bool": (_equal_in_any_case, False),
    "StringEquals": (operator.eq, False),
    "StringEqualsIgnoreCase": (_equal_in_any_case, False),
    "StringLike": (_matches, False),
    "StringNotEquals": (operator.eq, True),
    "StringNotLike": (_matches, True),
}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


class _Word(Enum):
    """What a resource's policy says to a caller."""

    NOTHING = 0
    DENIED = 1
    # Its account is allowed, which leaves the rest to that account's own policies.
    LEFT_TO_ITS_ACCOUNT = 2
    ALLOWED = 3


def place_of_bucket(bucket: str, place: Place) -> Place:
    """Return the account that a bucket is in: its names are shared by all accounts."""
    _, owner = s3_backends.bucket_accounts.get(bucket, ("", place.account))
    return replace(place, account=owner)


def may_use_bucket(caller: Caller, question: Question, bucket: str, place: Place) -> bool:
    """Whether a caller may do something with a bucket or what is in it, by its own policies and the bucket's."""
    owner = place_of_bucket(bucket, place)
    own, word = caller.decide(question), _word(_policy_of_bucket(bucket, owner), caller, question)
    if Decision.EXPLICIT_DENY is own or word is _Word.DENIED:
        return False
    if caller.account == owner.account:
        return own is Decision.ALLOWED or word is _Word.ALLOWED
    return own is Decision.ALLOWED and word is not _Word.NOTHING


def may_use_key(caller: Caller, question: Question) -> bool:
    """Whether a caller may use a key, by its own policies and the key's."""
    key = parse_arn(question.resource)
    found = kms_backends[key.account][key.region].keys.get(key.resource_id)
    policy: Document | None = json.loads(found.policy) if found else None
    own, word = caller.decide(question), _word(policy, caller, question)
    if Decision.EXPLICIT_DENY is own or word is _Word.DENIED:
        return False
    if caller.account == key.account and word is _Word.ALLOWED:
        return True
    return own is Decision.ALLOWED and word is not _Word.NOTHING


def service_may_use_bucket(service: str, question: Question, bucket: str, place: Place) -> bool:
    """Whether a bucket's policy allows a service."""
    policy = _policy_of_bucket(bucket, place_of_bucket(bucket, place))
    return decide([_naming(policy, "Service", {service})], question) is Decision.ALLOWED


def _word(policy: Document | None, caller: Caller, question: Question) -> _Word:
    account = f"arn:{caller.arn.split(':')[1]}:iam::{caller.account}:root"
    direct = decide([_naming(policy, "AWS", {*caller.names, "*"})], question)
    by_account = decide([_naming(policy, "AWS", {account, caller.account})], question)
    if Decision.EXPLICIT_DENY in {direct, by_account}:
        return _Word.DENIED
    if direct is Decision.ALLOWED:
        return _Word.ALLOWED
    return _Word.LEFT_TO_ITS_ACCOUNT if by_account is Decision.ALLOWED else _Word.NOTHING


def _naming(policy: Document | None, kind: str, names: Iterable[str]) -> Document:
    """Return the part of a policy that is about some principals."""
    statements: Any = (policy or {}).get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return {"Statement": [each for each in listed if not _principals(each, kind).isdisjoint(names)]}


def _principals(statement: Any, kind: str) -> set[str]:
    if "Principal" not in statement:
        raise NotImplementedError("The emulator's IAM does not support NotPrincipal.")
    principal = statement["Principal"]
    found = ("*" if kind == "AWS" else []) if principal == "*" else principal.get(kind, [])
    return {found} if isinstance(found, str) else set(found)


def _policy_of_bucket(bucket: str, owner: Place) -> Document | None:
    found = s3_backends[owner.account][owner.partition].buckets.get(bucket)
    text = found.policy if found else None
    return json.loads(text) if text else None


def key_question(action: str, key_arn: str, service: str, place: Place) -> Question:
    """Ask for the use of a key through a service."""
    suffix = _CHINESE_SUFFIX if place.partition == _CHINA else _SUFFIX
    return Question(action, key_arn, {"kms:ViaService": f"{service}.{place.region}.{suffix}"})


def resolve_key(key: str, place: Place) -> str:
    """Return the ARN of a key named by its ARN, its id or an alias; an alias that is not there stays as it is."""
    _, is_alias, name = key.rpartition("alias/")
    key_id: str | None = None if key.startswith("arn:") else key
    if is_alias:
        key_id = kms_backends[place.account][place.region].get_key_id_from_alias(f"alias/{name}")
    return f"arn:{place.partition}:kms:{place.region}:{place.account}:key/{key_id}" if key_id else key


def key_of_bucket(bucket: str, place: Place) -> str | None:
    """Return the ARN of the customer's key that a bucket encrypts with; None where it has none."""
    owner = place_of_bucket(bucket, place)
    found = s3_backends[owner.account][owner.partition].buckets.get(bucket)
    rule: Any = (found.encryption or {}).get("Rule", {}) if found else {}
    default = (rule[0] if isinstance(rule, list) else rule).get("ApplyServerSideEncryptionByDefault", {})
    key = default.get("KMSMasterKeyID")
    return resolve_key(key, owner) if key and default.get("SSEAlgorithm") in _KMS_ALGORITHMS else None


def key_of_object(bucket: str, key: str, place: Place) -> str | None:
    """Return the ARN of the customer's key that an object is encrypted with: its own, else its bucket's."""
    owner = place_of_bucket(bucket, place)
    found = s3_backends[owner.account][owner.partition].buckets.get(bucket)
    stored = found.keys.get(key) if found else None
    kms_key = getattr(stored, "kms_key_id", None)
    return resolve_key(kms_key, owner) if kms_key else key_of_bucket(bucket, place)
