"""
Check the account: the places that jobs read and write, the policies of identity and buckets, the key, and quotas.

The codes of the quotas are those of https://docs.aws.amazon.com/general/latest/gr/bedrock.html; how much of a quota is
used cannot be asked, because BDA lists no jobs.
"""

from __future__ import annotations

import json
import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_bda.access.denial import find_missing
from airflow_bda.access.permissions import Extras, caller_permissions
from airflow_bda.access.policies import BDA_PRINCIPAL
from airflow_bda.access.preflight.findings import fault, hint, ok
from airflow_bda.access.workload import plan_workload, with_keys_of_buckets
from airflow_bda.service.arns import Queue
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal
from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality, extension, is_known_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.access.preflight.findings import Check, Scene
    from airflow_bda.access.workload import Workload
    from airflow_bda.service.s3 import S3Uri

_PROBE = ".airflow-bda-probe"
_SOME_KEYS = 100
_NO_SUCH_BUCKET = "NoSuchBucket"
_ENABLED, _ENCRYPTS = "Enabled", "ENCRYPT_DECRYPT"


def check_input(scene: Scene) -> Iterator[Check]:
    """Look at the document, or at whether there is any."""
    uri = scene.subject.input
    if uri is None:
        return
    yield from _check_bucket(scene, "input", uri.bucket)
    if not uri.key or uri.key.endswith("/"):
        yield from _check_prefix(scene, uri)
        return
    # Where the output is known too, the request's check has said so.
    if not is_known_format(uri.key) and scene.subject.output is None:
        yield hint(
            "input",
            f"{uri} has no extension that BDA lists.",
            f"It lists {', '.join(sorted(MODALITIES_OF_EXTENSION))}.",
        )
    found = answer_or_refusal(lambda: scene.client("s3").head_object(Bucket=uri.bucket, Key=uri.key))
    if not isinstance(found, Refusal) and not found.get("ContentLength"):
        yield fault("input", f"{uri} is empty.", "Upload the document again: BDA needs a file with contents.")
    elif not isinstance(found, Refusal):
        yield ok("input", f"{uri} can be read, {found['ContentLength']:,} bytes")
    elif found.is_absence:
        yield fault("input", f"{uri} does not exist.", "Correct the URI (mind the extension) or upload the document.")
    elif found.is_denial:
        yield fault(
            "input",
            f"{uri} cannot be read, or does not exist.",
            "Allow s3:GetObject on it, kms:Decrypt on its bucket's key, and s3:ListBucket to tell the two apart.",
        )
    else:
        yield hint("input", f"{uri} could not be checked: {found.text}")


def _check_prefix(scene: Scene, uri: S3Uri) -> Iterator[Check]:
    found = answer_or_refusal(
        lambda: scene.client("s3").list_objects_v2(Bucket=uri.bucket, Prefix=uri.key, MaxKeys=_SOME_KEYS)
    )
    if isinstance(found, Refusal):
        yield hint("input", f"{uri} could not be listed: {found.text}")
    elif not any(each.get("Size") for each in found.get("Contents", ())):
        # Consoles make an empty object for the folder itself.
        yield hint("input", f"there is nothing below {uri}, or only empty objects")
    else:
        yield ok("input", f"there are documents below {uri}")


def check_output(scene: Scene) -> Iterator[Check]:
    """Look at the output's bucket; write there only when asked to."""
    uri = scene.subject.output
    if uri is None:
        return
    yield from _check_bucket(scene, "output", uri.bucket)
    if scene.subject.write_probe:
        yield from _probe(scene, uri)
    else:
        yield hint(
            "write probe",
            f"writing below {uri} was not tried; what follows on permissions is what IAM says of it.",
            "With --write-probe (write_probe=True) an empty object is written there and deleted again.",
        )


def _check_bucket(scene: Scene, name: str, bucket: str) -> Iterator[Check]:
    s3 = scene.client("s3")
    found = answer_or_refusal(lambda: s3.head_bucket(Bucket=bucket))
    answer = {} if isinstance(found, Refusal) else found
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    if region and region != scene.region:
        yield hint(
            f"{name} bucket",
            f"{bucket} is in {region}, and jobs run in {scene.region}.",
            f"Use a bucket in {scene.region}, or call BDA in {region} (--region {region}).",
        )
    if not isinstance(found, Refusal):
        own = answer_or_refusal(lambda: s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=scene.account))
        if isinstance(own, Refusal) and own.is_denial:
            yield hint(
                f"{name} bucket",
                f"{bucket} is of another account.",
                f"Its policy must let in the caller and BDA: airflow-bda policy {name}-bucket --principal ROLE prints "
                "it.",
            )
        else:
            yield ok(f"{name} bucket", f"{bucket} can be reached")
    elif found.is_absence:
        yield fault(f"{name} bucket", f"{bucket} does not exist.", "Correct the URI, or create the bucket.")
    elif found.is_denial:
        yield hint(
            f"{name} bucket", f"{bucket} is not yours to list.", f"Allow s3:ListBucket on {bucket}, or check it."
        )
    else:
        yield hint(f"{name} bucket", f"{bucket} could not be reached: {found.text}")


def _probe(scene: Scene, uri: S3Uri) -> Iterator[Check]:
    folder = f"{uri.key.rstrip('/')}/" if uri.key else ""
    key = f"{folder}{_PROBE}-{uuid.uuid4()}"
    written = answer_or_refusal(lambda: scene.client("s3").put_object(Bucket=uri.bucket, Key=key, Body=b""))
    if isinstance(written, Refusal):
        yield fault(
            "write probe",
            f"nothing can be written below {uri}: {written.text}",
            f"Allow s3:PutObject on {uri}/*, and kms:GenerateDataKey on the bucket's key.",
        )
        return
    if scene.subject.is_batch:
        yield _check_conditions(scene, uri, key)
    # In a bucket with versions, deleting without one would leave the object, and a marker beside it.
    version = {"VersionId": written["VersionId"]} if "VersionId" in written else {}
    deleted = answer_or_refusal(lambda: scene.client("s3").delete_object(Bucket=uri.bucket, Key=key, **version))
    if isinstance(deleted, Refusal):
        yield hint(
            "write probe",
            f"s3://{uri.bucket}/{key} was written and cannot be deleted.",
            "Delete it by hand; allow s3:DeleteObject (in a bucket with versions s3:DeleteObjectVersion).",
        )
    else:
        yield ok("write probe", f"an object was written below {uri} and deleted again")


def _check_conditions(scene: Scene, uri: S3Uri, key: str) -> Check:
    """Write the probe again on the condition that it is not there, which S3 refuses and some other stores do not."""
    written = answer_or_refusal(
        lambda: scene.client("s3").put_object(Bucket=uri.bucket, Key=key, Body=b"", IfNoneMatch="*")
    )
    if isinstance(written, Refusal) and written.code == "PreconditionFailed":
        return ok("conditional writes", f"two runners cannot both own a batch below {uri}")
    if isinstance(written, Refusal):
        return hint("conditional writes", f"they could not be tried below {uri}: {written.text}")
    return fault(
        "conditional writes",
        f"the store of {uri} ignores If-None-Match, so that two runners could both own a batch.",
        "Use a store that honours conditional writes, as S3 does.",
    )


def check_bucket_policies(scene: Scene) -> Iterator[Check]:
    """Check whether the buckets' policies name BDA's service principal, which is not needed within one account."""
    wanted = {"input": scene.subject.input, "output": scene.subject.output}
    for name, uri in wanted.items():
        if uri is None:
            continue
        found = answer_or_refusal(lambda uri=uri: scene.client("s3").get_bucket_policy(Bucket=uri.bucket))  # type: ignore[misc]
        if isinstance(found, Refusal) and found.code == _NO_SUCH_BUCKET:
            continue
        if isinstance(found, Refusal) and not found.is_absence:
            yield hint(f"{name} bucket policy", f"that of {uri.bucket} could not be read.")
        elif isinstance(found, Refusal) or not _names_bda(found["Policy"]):
            yield hint(
                f"{name} bucket policy",
                f"that of {uri.bucket} does not name {BDA_PRINCIPAL}; within one account jobs run without.",
                f"For a bucket of another account: airflow-bda policy {name}-bucket prints it.",
            )
        else:
            yield ok(f"{name} bucket policy", f"that of {uri.bucket} names {BDA_PRINCIPAL}")


def _names_bda(text: str) -> bool:
    statements: Any = json.loads(text).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        named = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and BDA_PRINCIPAL in named:
            return True
    return False


def check_key(scene: Scene) -> Iterator[Check]:
    """Look at the key that jobs are encrypted with."""
    key = scene.subject.kms_key
    if not key:
        return
    found = answer_or_refusal(lambda: scene.client("kms").describe_key(KeyId=key))
    if isinstance(found, Refusal) and found.is_absence:
        yield fault("KMS key", f"{key} does not exist.", "Correct its ARN, id or alias, or create it.")
        return
    if isinstance(found, Refusal):
        # With kms:ViaService in the policy, a direct call is denied.
        yield hint("KMS key", f"{key} could not be checked: {found.text}", "Allow kms:DescribeKey to have it checked.")
        return
    facts = found["KeyMetadata"]
    if facts.get("KeyState") != _ENABLED:
        yield fault("KMS key", f"{key} is {facts.get('KeyState')}.", "Enable it, or choose another key.")
    elif facts.get("KeyUsage", _ENCRYPTS) != _ENCRYPTS:
        yield fault("KMS key", f"{key} is for {facts['KeyUsage']}.", "Choose a key that encrypts and decrypts.")
    else:
        yield ok("KMS key", f"{key} is enabled")


def check_queue(scene: Scene) -> Iterator[Check]:
    """Look whether the queue of job events is there; IAM is asked about reading it with the other permissions."""
    url = scene.job_events_queue
    if url is None:
        return
    region = Queue.parse(url).region
    if region not in {None, scene.region}:
        yield hint("job events", f"{url} is in {region}, and jobs run in {scene.region}: it was not looked at.")
        return
    found = answer_or_refusal(
        lambda: scene.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    )
    if not isinstance(found, Refusal):
        yield ok("job events", f"{found['Attributes']['QueueArn']} is there")
    elif found.is_denial:
        yield hint("job events", f"{url} could not be checked.", "Allow sqs:GetQueueAttributes to have it checked.")
    else:
        yield hint(
            "job events",
            f"{url} cannot be reached: {found.text} Waits poll only.",
            "Correct [bda] job_events_queue, or create the queue.",
        )


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
            "they were not checked: an input and an output are needed.",
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
        yield hint("permissions", f"they could not be checked: {error}")
        return
    yield from _ask_iam(scene, with_keys_of_buckets(workload, scene.client("s3")))


def _ask_iam(scene: Scene, workload: Workload) -> Iterator[Check]:
    url = scene.job_events_queue
    extras = Extras(
        is_batch=scene.subject.is_batch,
        queue_arns=(Queue.parse(url).arn_in(scene.region, scene.account),) if url else (),
    )
    needed = caller_permissions(workload, extras)
    options = f"{' --batch' if extras.is_batch else ''}{f' --queue {url}' if url else ''}"
    command = f"`airflow-bda policy caller{options}`"
    found = answer_or_refusal(
        lambda: find_missing(scene.client("iam"), scene.caller_arn, needed, region=workload.region)
    )
    if isinstance(found, Refusal) and found.is_absence:
        yield hint(
            "permissions",
            f"IAM does not know {scene.caller_arn}.",
            f"Compare its policies to what {command} says.",
        )
    elif isinstance(found, Refusal):
        yield hint(
            "permissions",
            f"IAM does not say what {scene.caller_arn} may do ({found.text}).",
            "Allow iam:SimulatePrincipalPolicy on the role (`airflow-bda policy doctor` prints that and the rest), or "
            f"compare it to what {command} says.",
        )
    elif not found:
        yield ok("permissions", f"the policies of {scene.caller_arn} allow all that jobs do")
    else:
        for missing in found:
            level = fault if missing.is_needed else hint
            yield level("permissions", f"{missing} is not allowed.", f"{command} prints the whole policy.")


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
        f"{told}; each triggerer and each waiting worker makes up to {wanted:g} ([bda] max_status_requests_per_second) "
        "while jobs end faster than they can be looked at, and fewer as soon as one is throttled. Waits continue, and "
        "other callers may be throttled now and then.",
        "To leave a fifth of the quota to others, set AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND="
        f"{rate * _SHARE_OF_A_RATE:g}, divided by the number of triggerers; or ask for a higher quota {code}.",
    )


def _per_second(quota: Mapping[str, Any]) -> float:
    """Return a rate in requests a second; a quota that names no period is taken to be one a second already."""
    period = quota.get("Period") or {}
    seconds = period.get("PeriodValue", 1) * _SECONDS_OF_UNIT.get(str(period.get("PeriodUnit", "SECOND")), 1)
    if not period and "per minute" in str(quota.get("QuotaName", "")).lower():
        seconds = 60
    rate: float = quota["Value"] / seconds
    return rate
