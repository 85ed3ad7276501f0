"""
Check what the account may do: its identity's policies and its quotas.

The quotas' codes are those of https://docs.aws.amazon.com/general/latest/gr/bedrock.html; how much of a quota is used
nobody can ask, because BDA lists no jobs.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_bda.access.denial import find_missing
from airflow_bda.access.permissions import caller_permissions
from airflow_bda.access.preflight.findings import fault, hint, ok
from airflow_bda.access.workload import plan_workload, with_keys_of_buckets
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal
from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, Modality, extension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.access.preflight.findings import Check, Scene
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
_NO_SUCH_QUOTA = "NoSuchResourceException"
_INVOKE_RATE, _STATUS_RATE = "L-0DF688AB", "L-FC4A46BE"
_SECONDS_OF_UNIT = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}
# Room for other callers of the account, and for bursts.
_SHARE_OF_A_RATE = 0.8


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
    kms_key = subject.kms_key
    if kms_key and kms_key.rpartition(":")[2].startswith("alias/"):
        # Policies name keys and not their aliases; KMS may tell which key this is.
        described = answer_or_refusal(lambda: scene.client("kms").describe_key(KeyId=kms_key))
        kms_key = kms_key if isinstance(described, Refusal) else str(described["KeyMetadata"]["Arn"])
    try:
        workload = plan_workload(
            input_uri=subject.input_uri,
            output_uri=subject.output_uri,
            project_arn=subject.project_arn,
            blueprint_arns=subject.blueprint_arns,
            profile_arn=subject.profile_arn,
            region=scene.region,
            account=scene.account,
            kms_key=kms_key,
            input_key=subject.input_key,
            output_key=subject.output_key,
        )
    except ValueError as error:
        yield hint("permissions", f"they could not be looked at: {error}")
        return
    yield from _ask_iam(scene, with_keys_of_buckets(workload, scene.client("s3")))


def _ask_iam(scene: Scene, workload: Workload) -> Iterator[Check]:
    found = answer_or_refusal(
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
    elif isinstance(found, Refusal):
        yield hint(
            "permissions",
            f"IAM does not say what {scene.caller_arn} may do ({found.text}).",
            "Allow iam:SimulatePrincipalPolicy on the role (`airflow-bda policy doctor` prints that and the rest), or "
            "compare it to what `airflow-bda policy caller` says.",
        )
    elif not found:
        yield ok("permissions", f"the policies of {scene.caller_arn} allow all that jobs do")
    else:
        for missing in found:
            level = fault if missing.is_needed else hint
            yield level(
                "permissions", f"{missing} is not allowed.", "`airflow-bda policy caller` prints the whole policy."
            )


def check_quotas(scene: Scene) -> Iterator[Check]:
    """Compare the account's quotas with what this setup would use of them."""
    uri = scene.subject.input
    modalities = MODALITIES_OF_EXTENSION.get(extension(uri.key)) if uri else None
    codes = [_CONCURRENT_JOBS[modality] for modality in modalities or (Modality.DOCUMENT,)]
    unknown = []
    for code in (*codes, _OPEN_JOBS, _INVOKE_RATE, _STATUS_RATE):
        quota = _quota(scene, code)
        if isinstance(quota, Refusal) and quota.code == _NO_SUCH_QUOTA:
            unknown.append(code)
        elif isinstance(quota, Refusal):
            yield hint(
                "quotas",
                f"Service Quotas does not tell quota {code} ({quota.text}).",
                "Allow servicequotas:GetServiceQuota and servicequotas:GetAWSDefaultServiceQuota, or look at Service "
                "Quotas, Amazon Bedrock, in the console.",
            )
            return
        elif code in {_INVOKE_RATE, _STATUS_RATE}:
            yield _judge_rate(scene, code, quota)
        else:
            yield _judge_number_of_jobs(scene, code, quota)
    if unknown:
        # A region, or an endpoint that is not AWS's own, may lack some of them.
        yield hint("quotas", f"Service Quotas does not have these quotas here: {', '.join(unknown)}.")


def _quota(scene: Scene, code: str) -> Any:
    """Return the account's own value of a quota; AWS's default where the account has none of its own."""
    client = scene.client("service-quotas")
    asked = {"ServiceCode": "bedrock", "QuotaCode": code}
    own = answer_or_refusal(lambda: client.get_service_quota(**asked)["Quota"])
    if isinstance(own, Refusal) and own.code == _NO_SUCH_QUOTA:
        return answer_or_refusal(lambda: client.get_aws_default_service_quota(**asked)["Quota"])
    return own


def _judge_number_of_jobs(scene: Scene, code: str, quota: Mapping[str, Any]) -> Check:
    name, value = quota.get("QuotaName", code), quota["Value"]
    told = f"{name}: {value:g} in all; how much of it is left BDA does not tell"
    wanted = scene.subject.jobs_at_once
    if wanted is None or wanted <= value:
        return ok("quotas", told)
    waits = "further ones are refused" if code == _OPEN_JOBS else "the rest waits in the state Created"
    return hint(
        "quotas",
        f"{told}; this setup has up to {wanted} open at once, and {waits}.",
        f"Set the pool's slots, or max_active_tis_per_dag, to {value:g} or less, or ask for a higher quota {code}.",
    )


def _judge_rate(scene: Scene, code: str, quota: Mapping[str, Any]) -> Check:
    rate = _per_second(quota)
    name, wanted = quota.get("QuotaName", code), scene.status_requests_per_second
    told = f"{name}: {rate:g} a second, all callers of the account together"
    if code != _STATUS_RATE or wanted is None or wanted <= rate:
        return ok("quotas", told)
    return hint(
        "quotas",
        f"{told}; [bda] max_status_requests_per_second lets each triggerer and each waiting worker make {wanted:g}.",
        f"Set AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND={rate * _SHARE_OF_A_RATE:g}, divided by the number of "
        f"triggerers, or ask for a higher quota {code}.",
    )


def _per_second(quota: Mapping[str, Any]) -> float:
    """Return a rate in requests a second; a quota that names no period is taken to be one a second already."""
    period = quota.get("Period") or {}
    seconds = period.get("PeriodValue", 1) * _SECONDS_OF_UNIT.get(str(period.get("PeriodUnit", "SECOND")), 1)
    if not period and "per minute" in str(quota.get("QuotaName", "")).lower():
        seconds = 60
    rate: float = quota["Value"] / seconds
    return rate
