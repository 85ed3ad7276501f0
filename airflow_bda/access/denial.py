"""
Explain an AccessDenied error of BDA, and ask IAM which permissions an identity lacks.

The service gives one code for many causes, an input that does not exist among them. Looking at the two buckets with the
same credentials tells some of them apart, and IAM, where the identity may ask it, names the rest:
``iam:SimulatePrincipalPolicy`` reads the policies of the identity and of its organization, and runs nothing. It does
not see the policies of buckets and keys, and not every identity may call it: what it says is a help and no verdict.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_bda.access.permissions import caller_permissions, output_objects
from airflow_bda.access.workload import with_keys_of_buckets, workload_of
from airflow_bda.service.arns import ANY_REGION, Arn
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal, error_code
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_bda.access.permissions import Permission
    from airflow_bda.access.workload import Workload
    from airflow_bda.service.request.request import InvocationRequest

_NOT_FOUND = 404


def explain_denial(request: InvocationRequest, client: Callable[[str], Any]) -> tuple[str, str]:
    """
    Return the reason of a denied invoke, as far as it can be found out, and the remedy.

    :param client: makes a boto3 client of a service, with the credentials that the invoke was signed with.
    """
    s3 = client("s3")
    if absent := _explain_absence(request, s3):
        return absent
    profile = Arn.parse(request.profile_arn or "")
    workload = with_keys_of_buckets(workload_of(request, region=profile.region, account=profile.account), s3)
    missing = answer_or_refusal(
        lambda: find_missing(
            client("iam"),
            client("sts").get_caller_identity()["Arn"],
            caller_permissions(workload),
            region=workload.region,
        )
    )
    if missing and not isinstance(missing, Refusal):
        return f"The identity's policies do not allow: {'; '.join(map(str, missing))}.", _WHOLE_POLICY
    if unreadable := _unreadable_input(s3, request.input_s3_uri):
        return unreadable
    return _other_causes(workload) if isinstance(missing, Refusal) else _BEYOND_IAM


_WHOLE_POLICY = "`airflow-bda policy caller` prints the whole policy, and `airflow-bda doctor` checks the rest."
# IAM does not see the policies of buckets and keys, and one account cannot read another's.
_OTHER_ACCOUNTS = (
    "A bucket or a key of another account has a policy that must let in the identity, and bedrock.amazonaws.com: "
    "s3:GetObject and s3:ListBucket on the input's bucket (`airflow-bda policy input-bucket --principal ROLE` prints "
    "it), s3:PutObject and s3:ListBucket on the output's (`airflow-bda policy output-bucket --principal ROLE`), "
    "kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKey on a key (`airflow-bda policy kms "
    "--principal ROLE`)."
)
# What is left when the identity's own policies allow all that can be known beforehand.
_BEYOND_IAM = (
    "The identity's policies allow all of the request, so what denies it is something else.",
    (
        f"Check the other policies. {_OTHER_ACCOUNTS} Check kms:GenerateDataKey and kms:Decrypt on the key of the "
        "output's bucket, the policies of the organization, and whether a KMS key is disabled."
    ),
)
_INVOKE_RESOURCES = (
    "bedrock:InvokeDataAutomationAsync on the project, on each blueprint, on data-automation-invocation/* and on the "
    "profile in every region that it routes to"
)


def _other_causes(workload: Workload) -> tuple[str, str]:
    keys = [f"the use of {key}, through BDA and S3 (kms:ViaService)" for key in workload.key_arns]
    causes = [
        f"s3:PutObject on {output_objects(workload)}",
        _INVOKE_RESOURCES,
        *keys,
        "kms:GenerateDataKey and kms:Decrypt on the key of a bucket that has one",
        "kms:CreateGrant, kms:DescribeKey, kms:GenerateDataKey and kms:Decrypt on the request's own key, if it has one",
    ]
    known = "The input can be read and the output's bucket is there, so what is missing is one of"
    ask_iam = "Allow iam:SimulatePrincipalPolicy to the identity, and the next error names it."
    return f"{known}: {'; '.join(causes)}.", f"{ask_iam} {_WHOLE_POLICY} {_OTHER_ACCOUNTS}"


def _explain_absence(request: InvocationRequest, s3: Any) -> tuple[str, str] | None:
    source, output = S3Uri.parse(request.input_s3_uri), S3Uri.parse(request.output_s3_uri)
    if _is_not_found(answer_or_refusal(lambda: s3.head_object(Bucket=source.bucket, Key=source.key))):
        if _is_not_found(answer_or_refusal(lambda: s3.head_bucket(Bucket=source.bucket))):
            return f"The input bucket {source.bucket!r} does not exist.", "Correct input_s3_uri."
        return (
            f"The input object {request.input_s3_uri} does not exist.",
            "Correct input_s3_uri (mind the extension) or upload the object first.",
        )
    if _is_not_found(answer_or_refusal(lambda: s3.head_bucket(Bucket=output.bucket))):
        return f"The output bucket {output.bucket!r} does not exist.", "Correct output_s3_uri or create the bucket."
    return None


def _is_not_found(found: Any) -> bool:
    return isinstance(found, Refusal) and found.http_status == _NOT_FOUND


def _unreadable_input(s3: Any, uri: str) -> tuple[str, str] | None:
    location = S3Uri.parse(uri)
    found = answer_or_refusal(lambda: s3.head_object(Bucket=location.bucket, Key=location.key))
    if not (isinstance(found, Refusal) and found.http_status):
        return None
    reason = (
        f"The input object {uri} cannot be read with these credentials, or does not exist: without s3:ListBucket, S3 "
        "does not say which."
    )
    return reason, f"Allow s3:GetObject on it and kms:Decrypt on its bucket's key. {_OTHER_ACCOUNTS}"


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
