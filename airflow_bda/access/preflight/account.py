"""
What the account may do: its identity's policies and its quotas.

The quotas' codes are those of https://docs.aws.amazon.com/general/latest/gr/bedrock.html; what is used up of a quota
nobody can ask, because BDA lists no jobs.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_bda.access.bucket_keys import key_of_bucket, key_of_object
from airflow_bda.access.checks import fault, hint, ok
from airflow_bda.access.iam import find_missing
from airflow_bda.access.permissions import caller_permissions
from airflow_bda.access.preflight.findings import Refusal, look
from airflow_bda.access.workload import plan_workload
from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, Modality, extension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.access.checks import Check
    from airflow_bda.access.preflight.findings import Scene
    from airflow_bda.access.workload import Workload

_CONCURRENT_JOBS: Mapping[Modality, str] = MappingProxyType(
    {
        Modality.DOCUMENT: "L-9E3C255A",
        Modality.IMAGE: "L-BDD176EF",
        Modality.AUDIO: "L-3E961CAB",
        Modality.VIDEO: "L-895C7A6C",
    }
)
_OPEN_JOBS = "L-A596AFC0"


def check_permissions(scene: Scene) -> Iterator[Check]:
    """Ask IAM what the caller's policies lack."""
    subject = scene.subject
    if not subject.input_uri or not subject.output_uri:
        yield hint(
            "permissions",
            "they were not looked at: they are about an input and an output.",
            "Name both, and the project or the blueprints (--input, --output, --project, --blueprint).",
        )
        return
    if scene.caller_arn.endswith(":root"):
        yield hint("permissions", "the caller is the account itself, which may do all.", "Use a role that may do less.")
        return
    try:
        workload = plan_workload(
            input_uri=subject.input_uri,
            output_uri=subject.output_uri,
            project_arn=subject.project_arn,
            blueprint_arns=subject.blueprint_arns,
            profile_arn=subject.profile_arn,
            region=scene.region,
            account=scene.account,
            kms_key=_key_of_alias(scene, subject.kms_key),
            input_key=subject.input_key,
            output_key=subject.output_key,
        )
        workload = _with_keys_of_buckets(scene, workload)
    except ValueError as error:
        yield hint("permissions", f"they could not be looked at: {error}")
        return
    yield from _ask(scene, workload)


def _key_of_alias(scene: Scene, key: str | None) -> str | None:
    """Give the key that an alias stands for, where KMS tells; policies name keys."""
    if key is None or not key.rpartition(":")[2].startswith("alias/"):
        return key
    found = look(lambda: scene.client("kms").describe_key(KeyId=key))
    return key if isinstance(found, Refusal) else str(found["KeyMetadata"]["Arn"])


def _with_keys_of_buckets(scene: Scene, workload: Workload) -> Workload:
    """Add the keys of the buckets that nobody named, where S3 tells them."""
    s3, source = scene.client("s3"), workload.input_uri
    input_key = workload.input_key_arn
    if input_key is None:
        input_key = (key_of_object(s3, source) if source.key else None) or key_of_bucket(s3, source.bucket)
    output_key = workload.output_key_arn or key_of_bucket(s3, workload.output_uri.bucket)
    return replace(workload, input_key_arn=input_key, output_key_arn=output_key)


def _ask(scene: Scene, workload: Workload) -> Iterator[Check]:
    found = look(
        lambda: find_missing(
            scene.client("iam"), scene.caller_arn, caller_permissions(workload), region=workload.region
        )
    )
    if isinstance(found, Refusal) and found.is_absence:
        yield hint(
            "permissions",
            f"IAM does not know {scene.caller_arn}.",
            "Compare its policies to what `airflow-bda policy caller` says.",
        )
        return
    if isinstance(found, Refusal):
        yield hint(
            "permissions",
            f"IAM does not say what {scene.caller_arn} may do ({found.text}).",
            "Allow iam:SimulatePrincipalPolicy on the role, or compare it to what `airflow-bda policy caller` says.",
        )
        return
    for missing in found:
        level = fault if missing.is_needed else hint
        yield level("permissions", f"{missing} is not allowed.", "`airflow-bda policy caller` prints the whole policy.")
    if not found:
        yield ok("permissions", f"the policies of {scene.caller_arn} allow all that jobs do")


def check_quotas(scene: Scene) -> Iterator[Check]:
    """Read the quotas that decide how many jobs go at once."""
    uri = scene.subject.input
    modalities = MODALITIES_OF_EXTENSION.get(extension(uri.key)) if uri else None
    codes = [_CONCURRENT_JOBS[modality] for modality in modalities or (Modality.DOCUMENT,)]
    for code in (*codes, _OPEN_JOBS):
        found = look(
            lambda code=code: scene.client("service-quotas").get_service_quota(ServiceCode="bedrock", QuotaCode=code)  # type: ignore[misc]
        )
        if isinstance(found, Refusal):
            yield hint(
                "quotas",
                f"Service Quotas does not tell quota {code} ({found.text}).",
                "Allow servicequotas:GetServiceQuota, or look at Service Quotas, Amazon Bedrock, in the console.",
            )
            return
        quota = found["Quota"]
        yield ok(
            "quotas",
            f"{quota.get('QuotaName', code)}: {quota['Value']:g} in all; how much of it is left BDA does not tell",
        )
