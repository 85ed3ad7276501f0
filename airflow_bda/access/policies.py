"""
The policies that let a workload run, filled in: the caller's own, the buckets' and the key's.

The caller's own is all that is needed within one account; the buckets' are for buckets of another account and for those
who want BDA's service principal named (https://docs.aws.amazon.com/bedrock/latest/userguide/s3-bucket-access.html).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_bda.access.permissions import (
    KEY_ACTIONS,
    LIST,
    READ,
    WRITE,
    Extras,
    Permission,
    bucket_arn,
    caller_permissions,
    doctor_permissions,
    function_permissions,
    input_objects,
    output_objects,
    project_permissions,
    via_service,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_bda.access.workload import Place, Workload

BDA_PRINCIPAL = "bedrock.amazonaws.com"
DEFAULT_FUNCTION = "airflow-bda"
Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class PolicyOptions:
    """
    What a policy needs to know beyond the workload.

    :param principal: the ARN of the role or user that makes the calls, where the policy must name it.
    :param function: the Lambda function's name.
    :param extras: what the caller does beyond single jobs.
    """

    principal: str | None = None
    function: str = DEFAULT_FUNCTION
    extras: Extras = field(default_factory=Extras)


def caller_policy(workload: Workload, options: PolicyOptions | None = None) -> Document:
    """Return the policy of the identity that makes the calls: an Airflow worker's and triggerer's role."""
    return _document(map(_statement, caller_permissions(workload, (options or PolicyOptions()).extras)))


def lambda_policy(workload: Workload, options: PolicyOptions | None = None) -> Document:
    """Return the policy of a Lambda function's role: the caller's own, and its log."""
    return _document(map(_statement, (*function_permissions(workload), _function_log(workload, options))))


def doctor_policy(workload: Workload, options: PolicyOptions | None = None) -> Document:
    """Return the policy of an identity that runs `airflow-bda doctor`, beside the caller's own."""
    extras = (options or PolicyOptions()).extras
    return _document(map(_statement, doctor_permissions(workload, extras.queue_arns)))


def project_policy(place: Place, kms_key_arn: str | None = None) -> Document:
    """Return the policy of the identity that applies files of projects and blueprints; it need not run jobs."""
    return _document(map(_statement, project_permissions(place, kms_key_arn)))


def input_bucket_policy(workload: Workload, options: PolicyOptions | None = None) -> Document:
    """Return the policy of the input's bucket."""
    grants = _Grants(workload.input_uri.bucket, input_objects(workload), service=(READ,), caller=(READ,))
    return _bucket_policy(workload, grants, options)


def output_bucket_policy(workload: Workload, options: PolicyOptions | None = None) -> Document:
    """Return the policy of the output's bucket; the caller also reads the results."""
    grants = _Grants(workload.output_uri.bucket, output_objects(workload), service=(WRITE,), caller=(WRITE, READ))
    return _bucket_policy(workload, grants, options)


def key_policy(workload: Workload, options: PolicyOptions | None = None) -> Document:
    """
    Return the policy of the workload's one key: its account keeps control of it, and the caller uses it through BDA.

    :raises ValueError: when the workload has no key, or several.
    """
    if len(workload.key_arns) != 1:
        found = ", ".join(workload.key_arns) or "none"
        raise ValueError(f"A key's policy is about one key, not {found}. Pass the ARN of one as --kms-key.")
    # The key's own account keeps it; the calls may come from another one.
    root = _root(workload, workload.key_arns[0].split(":")[4])
    caller = (options and options.principal) or _root(workload, workload.account)
    services = ["bedrock"] if workload.kms_key_arn else []
    services += ["s3"] if workload.input_key_arn or workload.output_key_arn else []
    return _document(
        [
            {
                "Sid": "AdministerTheKey",
                "Effect": "Allow",
                "Principal": {"AWS": root},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "UseTheKeyForBda",
                "Effect": "Allow",
                "Principal": {"AWS": caller},
                "Action": list(KEY_ACTIONS),
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"kms:ViaService": _one_or_list([via_service(each, workload) for each in services])}
                },
            },
        ]
    )


POLICIES: Mapping[str, Callable[[Workload, PolicyOptions], Document]] = MappingProxyType(
    {
        "caller": caller_policy,
        "input-bucket": input_bucket_policy,
        "output-bucket": output_bucket_policy,
        "kms": key_policy,
        "lambda": lambda_policy,
        "doctor": doctor_policy,
    }
)


def explain(kind: str, workload: Workload, options: PolicyOptions) -> tuple[str, ...]:
    """
    Say, a sentence or two for each statement of a policy, why it is there and why its wildcards must stay.

    :param kind: a name of ``POLICIES``.
    """
    if kind == "kms":
        return _KEY_EXPLANATIONS
    if kind.endswith("-bucket"):
        return _BUCKET_EXPLANATIONS
    if kind == "lambda":
        permissions = (*function_permissions(workload), _function_log(workload, options))
    elif kind == "doctor":
        permissions = doctor_permissions(workload, options.extras.queue_arns)
    else:
        permissions = caller_permissions(workload, options.extras)
    return explain_permissions(permissions)


def explain_permissions(permissions: Iterable[Permission]) -> tuple[str, ...]:
    """Return for each statement why it is there and why its wildcards must stay."""
    return tuple(
        f"{each.sid}: {each.reason}" + (f" The wildcard stays: {each.wildcard}." if each.wildcard else "")
        for each in permissions
    )


_KEY_EXPLANATIONS = (
    (
        "AdministerTheKey: A key's policy replaces the one before; without this statement it could not be changed."
        " The wildcards stay: in a key's policy Resource '*' is the key itself, and its account keeps full control."
    ),
    (
        "UseTheKeyForBda: The key is used in the caller's name, through the services named, and in no other way. "
        "Without --principal that is every identity of the account whose own policy allows it."
    ),
)
_BUCKET_EXPLANATIONS = (
    (
        "Within one account BDA uses its caller's permissions, and works without this policy; it is for a bucket of "
        "another account, and for accounts whose rules want the service principal named."
    ),
    (
        "The principal is BDA itself, held to jobs of the account by aws:SourceAccount. Pass --principal to let a role "
        "of another account in too. A wildcard in an object's ARN stays where inputs or results have no names yet."
    ),
)


def _function_log(workload: Workload, options: PolicyOptions | None) -> Permission:
    name = (options or PolicyOptions()).function
    log = f"arn:{workload.partition}:logs:{workload.region}:{workload.account}:log-group:/aws/lambda/{name}"
    return Permission(
        "WriteFunctionLog",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        (log, f"{log}:*"),
        "Lambda writes the function's log in its role's name.",
        wildcard="Lambda names the streams of the log itself",
    )


@dataclass(frozen=True)
class _Grants:
    """
    What a bucket's policy allows on its objects.

    :param objects: their ARN, or the pattern of it.
    :param service: the actions of BDA itself.
    :param caller: the actions of the identity that makes the calls.
    """

    bucket: str
    objects: str
    service: tuple[str, ...]
    caller: tuple[str, ...]


def _bucket_policy(workload: Workload, grants: _Grants, options: PolicyOptions | None) -> Document:
    source = {"Condition": {"StringEquals": {"aws:SourceAccount": workload.account}}}
    callers: list[tuple[str, Any, tuple[str, ...], Any]] = [("Bda", {"Service": BDA_PRINCIPAL}, grants.service, source)]
    if options and options.principal:
        callers.append(("Caller", {"AWS": options.principal}, grants.caller, {}))
    statements = []
    for name, principal, actions, condition in callers:
        for sid, allowed, resource in (
            ("Objects", actions, grants.objects),
            ("List", (LIST,), bucket_arn(workload, grants.bucket)),
        ):
            on = {"Action": _one_or_list(allowed), "Resource": resource, **condition}
            statements.append({"Sid": f"{name}{sid}", "Effect": "Allow", "Principal": principal, **on})
    return _document(statements)


def _statement(permission: Permission) -> Document:
    condition = {"Condition": {"StringEquals": {"kms:ViaService": permission.via}}} if permission.via else {}
    return {
        "Sid": permission.sid,
        "Effect": "Allow",
        "Action": _one_or_list(permission.actions),
        "Resource": _one_or_list(permission.resources),
        **condition,
    }


def _document(statements: Iterable[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _root(workload: Workload, account: str) -> str:
    return f"arn:{workload.partition}:iam::{account}:root"


def _one_or_list(values: Iterable[str]) -> str | list[str]:
    listed = list(values)
    return listed[0] if len(listed) == 1 else listed
