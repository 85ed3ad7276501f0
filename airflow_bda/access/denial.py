"""
Explain an AccessDenied error of BDA.

The service gives one code for many causes, an input that does not exist among them. Looking at the two buckets with the
same credentials tells some of them apart, and IAM, where the identity may ask it, names the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.access.iam import find_missing
from airflow_bda.access.permissions import caller_permissions, output_objects
from airflow_bda.access.workload import with_keys_of_buckets, workload_of
from airflow_bda.service.arns import Arn
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.access.workload import Workload
    from airflow_bda.service.request.request import InvocationRequest

_NOT_FOUND = 404


def explain_denial(request: InvocationRequest, client: Callable[[str], Any]) -> str:
    """
    Return which of the known causes a denied invoke has, and the remedy.

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
        return f"The identity's policies do not allow: {'; '.join(map(str, missing))}. {_WHOLE_POLICY}"
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
    f"The identity's policies allow all of the request. What is left: {_OTHER_ACCOUNTS} kms:GenerateDataKey and "
    "kms:Decrypt on the key of the output's bucket; the policies of the organization; a KMS key that is disabled."
)
_INVOKE_RESOURCES = (
    "bedrock:InvokeDataAutomationAsync on the project, on each blueprint, on data-automation-invocation/* and on the "
    "profile in every region that it routes to"
)


def _other_causes(workload: Workload) -> str:
    keys = [f"the use of {key}, through BDA and S3 (kms:ViaService)" for key in workload.key_arns]
    causes = [
        f"s3:PutObject on {output_objects(workload)}",
        _INVOKE_RESOURCES,
        *keys,
        "kms:GenerateDataKey and kms:Decrypt on the key of a bucket that has one",
        "kms:CreateGrant, kms:DescribeKey, kms:GenerateDataKey and kms:Decrypt on the request's own key, if it has one",
    ]
    return (
        "The input can be read and the output's bucket is there, so what is missing is one of: "
        f"{'; '.join(causes)}. Allow iam:SimulatePrincipalPolicy to the identity, and the next error names it. "
        f"{_WHOLE_POLICY} {_OTHER_ACCOUNTS}"
    )


def _explain_absence(request: InvocationRequest, s3: Any) -> str | None:
    source, output = S3Uri.parse(request.input_s3_uri), S3Uri.parse(request.output_s3_uri)
    if _is_not_found(answer_or_refusal(lambda: s3.head_object(Bucket=source.bucket, Key=source.key))):
        if _is_not_found(answer_or_refusal(lambda: s3.head_bucket(Bucket=source.bucket))):
            return f"The input bucket {source.bucket!r} does not exist: correct input_s3_uri."
        return (
            f"The input object {request.input_s3_uri} does not exist: correct input_s3_uri (mind the extension) or "
            "upload it first."
        )
    if _is_not_found(answer_or_refusal(lambda: s3.head_bucket(Bucket=output.bucket))):
        return f"The output bucket {output.bucket!r} does not exist: correct output_s3_uri or create the bucket."
    return None


def _is_not_found(found: Any) -> bool:
    return isinstance(found, Refusal) and found.http_status == _NOT_FOUND


def _unreadable_input(s3: Any, uri: str) -> str | None:
    location = S3Uri.parse(uri)
    found = answer_or_refusal(lambda: s3.head_object(Bucket=location.bucket, Key=location.key))
    if not (isinstance(found, Refusal) and found.http_status):
        return None
    return (
        f"The input object {uri} cannot be read with these credentials (or does not exist, which S3 tells only those "
        "who may s3:ListBucket): allow s3:GetObject on it and kms:Decrypt on its bucket's key. "
        f"{_OTHER_ACCOUNTS}"
    )
