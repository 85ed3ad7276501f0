"""
Which permissions an identity lacks, as IAM itself says.

``iam:SimulatePrincipalPolicy`` reads an identity's policies and its organization's, and runs nothing. It does not see
the policies of buckets and keys, and not every identity may call it: what it says is a help and no verdict.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_bda.service.aws_errors import error_code
from airflow_bda.service.profiles import ANY_REGION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_bda.access.permissions import Permission

ALLOWED = "allowed"
_NO_SUCH_ENTITY = "NoSuchEntity"
_SESSION = re.compile(
    r"arn:(?P<partition>[a-z-]+):sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[^/]+)/(?P<session>.+)"
)
# What stands for a wildcard's part when one case of it is asked about.
_ANY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Missing:
    """
    An action that a resource's use takes, and that the identity's policies do not allow.

    :param is_needed: False where jobs may do without it.
    """

    action: str
    resource: str
    is_needed: bool = True

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def find_missing(iam: Any, caller_arn: str, permissions: Iterable[Permission], *, region: str) -> tuple[Missing, ...]:
    """
    Ask IAM what a caller lacks.

    :param iam: a boto3 client of IAM, with credentials that may simulate the caller's policies.
    :param caller_arn: as STS returns it.
    :param region: what stands for any region.
    :raises ClientError: when IAM refuses to say, or does not know the caller.
    """
    asked = tuple(permissions)
    session = _SESSION.fullmatch(caller_arn)
    # The path of a role is not in a session's ARN; without it IAM does not find a role that has one.
    source = f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}" if session else caller_arn
    try:
        return _find_missing(iam, source, asked, region)
    except ClientError as error:
        role = _role_with_its_path(iam, caller_arn) if error_code(error) == _NO_SUCH_ENTITY else None
        if role is None:
            raise
    return _find_missing(iam, role, asked, region)


def _role_with_its_path(iam: Any, caller_arn: str) -> str | None:
    """Return the ARN of a session's role: roles that services make have a path, which sessions do not show."""
    session = _SESSION.fullmatch(caller_arn)
    if session is None:
        return None
    try:
        return str(iam.get_role(RoleName=session["role"])["Role"]["Arn"])
    except ClientError:
        return None


def _find_missing(iam: Any, source: str, permissions: Iterable[Permission], region: str) -> tuple[Missing, ...]:
    found = []
    for permission in permissions:
        # IAM is asked about one resource of each pattern: asking about the pattern would ask for a policy like it.
        named = {
            resource.replace(f":{ANY_REGION}:", f":{region}:").replace("*", _ANY): resource
            for resource in permission.resources
        }
        via = [{"ContextKeyName": "kms:ViaService", "ContextKeyValues": [permission.via], "ContextKeyType": "string"}]
        answer = iam.simulate_principal_policy(
            PolicySourceArn=source,
            ActionNames=list(permission.actions),
            ResourceArns=list(named),
            ContextEntries=via if permission.via else [],
        )
        for result in answer["EvaluationResults"]:
            if result["EvalDecision"] != ALLOWED:
                resource = result.get("EvalResourceName", "*")
                found.append(Missing(result["EvalActionName"], named.get(resource, resource), permission.is_needed))
    return tuple(found)
