"""
What the identity that runs a job must be allowed to do, and why.

In one account BDA reads and writes S3 with its caller's permissions, and uses KMS keys likewise
(https://docs.aws.amazon.com/bedrock/latest/userguide/encryption-bda.html); the profile must be allowed in every region
that it routes to (https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.service.arns import ANY_REGION, BLUEPRINT, INVOCATION, PROJECT, Arn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.access.workload import Place, Workload
    from airflow_bda.service.s3 import S3Uri

INVOKE = "bedrock:InvokeDataAutomationAsync"
INVOKE_SYNC = "bedrock:InvokeDataAutomation"
GET_STATUS = "bedrock:GetDataAutomationStatus"
READ = "s3:GetObject"
WRITE = "s3:PutObject"
LIST = "s3:ListBucket"
KEY_ACTIONS = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")
_ANY_JOB = "a job's id is not known before it is started"
_ANY_ID = "the service chooses the ids; name the ARNs once they exist"
_UNKNOWN_RESULTS = "results stand below the job's id, which is not known before"


@dataclass(frozen=True)
class Permission:
    """
    Actions that must be allowed together.

    :param sid: its name in a policy: letters and digits.
    :param reason: what it is needed for.
    :param wildcard: why a wildcard in it must stay; empty where it has none.
    :param via: the service that the actions are made through, as ``kms:ViaService`` names it.
    :param is_needed: False where jobs may do without it.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str
    wildcard: str = ""
    via: str | None = None
    is_needed: bool = True


@dataclass(frozen=True)
class Extras:
    """
    What a caller does beyond single jobs.

    :param is_batch: whether batches are run too.
    :param is_sync: whether documents are processed at once too.
    :param queue_arns: the queues of job events that waits and watchers read.
    """

    is_batch: bool = False
    is_sync: bool = False
    queue_arns: tuple[str, ...] = ()


def caller_permissions(workload: Workload, extras: Extras | None = None) -> tuple[Permission, ...]:
    """Return all that running a workload and reading its results takes."""
    extras = extras or Extras()
    permissions = [*function_permissions(workload), *_reading(workload)]
    if extras.is_sync:
        permissions.append(_sync_permission(workload))
    if extras.is_batch:
        permissions += batch_permissions(workload)
    if extras.queue_arns:
        permissions.append(
            Permission(
                "ReadJobEvents",
                ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
                extras.queue_arns,
                "Events of jobs are read from the queue; without it, waits poll only and a watcher sees no event.",
                is_needed=False,
            )
        )
    return tuple(permissions)


def _sync_permission(workload: Workload) -> Permission:
    jobs = str(Arn(workload.partition, workload.region, workload.account, INVOCATION, "*"))
    what_to_extract = filter(None, (workload.project_arn, *workload.blueprint_arns))
    return Permission(
        "InvokeBdaAtOnce",
        (INVOKE_SYNC,),
        (*what_to_extract, *workload.profile_arns, jobs),
        "BdaInvokeSyncOperator has documents processed while the task waits; what a job's start needs is allowed.",
        wildcard=_ANY_JOB,
    )


def batch_permissions(workload: Workload) -> tuple[Permission, ...]:
    """Return what a batch needs beyond the permissions of its single jobs: to list, and to keep its own files."""
    source, output = workload.input_uri, workload.output_uri
    folder = f"{output.key}/_batch" if output.key else "_batch"
    return (
        Permission("ListBatch", (LIST,), buckets(workload), "A batch lists its documents and its own files."),
        Permission(
            "TellVersionsOfBatchInput",
            ("s3:GetBucketVersioning", "s3:ListBucketVersions"),
            (bucket_arn(workload, source.bucket),),
            "In a bucket with versions, documents are told apart by them; without the first, by their ETags.",
            is_needed=False,
        ),
        Permission(
            "KeepBatchFiles",
            (READ, WRITE),
            (f"{bucket_arn(workload, output.bucket)}/{folder}/*",),
            "A batch keeps its plan, its ledger and its rows below the output.",
            wildcard="a batch's files have numbers and random names",
        ),
        Permission(
            "RemoveOldBatchIndex",
            ("s3:DeleteObject",),
            (f"{bucket_arn(workload, output.bucket)}/{folder}/_finished/*",),
            "A batch removes old copies of the index of what is finished; without this they stay.",
            wildcard="the index's files have random names",
            is_needed=False,
        ),
    )


def function_permissions(workload: Workload) -> tuple[Permission, ...]:
    """Return all that a Lambda function needs that starts jobs and asks for their statuses; it reads no results."""
    return (*_bedrock(workload), *_storage(workload), *_keys(workload))


def doctor_permissions(workload: Workload, queue_arns: tuple[str, ...] = ()) -> tuple[Permission, ...]:
    """Return what `airflow-bda doctor` needs beyond the caller's own permissions, all of them read-only."""
    account = f"arn:{workload.partition}"
    read = [arn for arn in (workload.project_arn, *workload.blueprint_arns) if arn]
    lookups = [
        Permission(
            "AskIamWhatIsMissing",
            ("iam:GetRole", "iam:SimulatePrincipalPolicy"),
            (f"{account}:iam::{workload.account}:role/*", f"{account}:iam::{workload.account}:user/*"),
            "IAM is asked what the caller's policies lack.",
            wildcard="whose policy this will be is not known here; name the role or the user",
        ),
        Permission(
            "ReadQuotas",
            ("servicequotas:GetAWSDefaultServiceQuota", "servicequotas:GetServiceQuota"),
            ("*",),
            "The account's quotas are compared with the setup.",
            wildcard="these actions take no resource",
        ),
        Permission(
            "ReadBucketSettings",
            ("s3:GetBucketPolicy", "s3:GetEncryptionConfiguration", LIST),
            buckets(workload),
            "The buckets' policies, keys and regions are checked.",
        ),
    ]
    if read:
        actions = ("bedrock:GetBlueprint", "bedrock:GetDataAutomationProject")
        lookups.append(Permission("ReadProject", actions, tuple(read), "Their states are checked."))
    if workload.key_arns:
        lookups.append(Permission("ReadKeys", ("kms:DescribeKey",), workload.key_arns, "Their states are checked."))
    if queue_arns:
        reason = "Whether the queue is there is checked."
        lookups.append(Permission("FindQueue", ("sqs:GetQueueAttributes",), queue_arns, reason))
    return tuple(lookups)


def project_permissions(place: Place, kms_key_arn: str | None = None) -> tuple[Permission, ...]:
    """
    Return what `airflow-bda project apply` needs. Nothing that deletes is among it.

    :param kms_key_arn: the key of the files' ``encryptionConfiguration``.
    """
    blueprints, projects = (
        str(Arn(place.partition, place.region, place.account, kind, "*")) for kind in (BLUEPRINT, PROJECT)
    )
    own = ("Get", "Update")
    permissions = [
        Permission(
            "FindBdaProjects",
            ("bedrock:ListBlueprints", "bedrock:ListDataAutomationProjects"),
            ("*",),
            "Projects and blueprints are found by their names.",
            wildcard="a listing is of the whole account",
        ),
        Permission(
            "MakeBdaProjects",
            ("bedrock:CreateBlueprint", "bedrock:CreateDataAutomationProject"),
            ("*",),
            "What the account does not have yet is made.",
            wildcard="what is still to be made has no ARN",
        ),
        Permission(
            "ChangeBdaBlueprints",
            (
                *(f"bedrock:{verb}Blueprint" for verb in own),
                "bedrock:CopyBlueprintStage",
                "bedrock:CreateBlueprintVersion",
            ),
            (blueprints,),
            "Blueprints are compared with the files, changed, promoted and versioned.",
            wildcard=_ANY_ID,
        ),
        Permission(
            "ChangeBdaProjects",
            tuple(f"bedrock:{verb}DataAutomationProject" for verb in own),
            (projects,),
            "Projects are compared with the files, changed, and waited for.",
            wildcard=_ANY_ID,
        ),
        Permission(
            "TagBdaProjects",
            ("bedrock:ListTagsForResource", "bedrock:TagResource"),
            (blueprints, projects),
            "Tags are compared with those of the files, and set; files without tags need none of it.",
            wildcard=_ANY_ID,
            is_needed=False,
        ),
    ]
    if kms_key_arn:
        reason = "The projects and blueprints are encrypted with this key, in their caller's name."
        via = via_service("bedrock", place)
        permissions.append(Permission("UseProjectKeyThroughBda", KEY_ACTIONS, (kms_key_arn,), reason, via=via))
    return tuple(permissions)


def _bedrock(workload: Workload) -> Iterator[Permission]:
    jobs = str(Arn(workload.partition, workload.region, workload.account, INVOCATION, "*"))
    what_to_extract = tuple(filter(None, (workload.project_arn, *workload.blueprint_arns)))
    if what_to_extract:
        yield Permission("InvokeBdaProject", (INVOKE,), what_to_extract, "The project and the blueprints are used.")
    any_region = any(f":{ANY_REGION}:" in arn for arn in workload.profile_arns)
    yield Permission(
        "InvokeBdaProfile",
        (INVOKE,),
        workload.profile_arns,
        "The profile routes each call to one of these regions, and the call must be allowed there.",
        wildcard="the profile may route to any region, or its routes are not published" if any_region else "",
    )
    yield Permission(
        "StartBdaJobs",
        (INVOKE,),
        (jobs,),
        "AWS's pages do not ask for it; one deployment was refused without it.",
        wildcard=_ANY_JOB,
        is_needed=False,
    )
    yield Permission("FollowBdaJobs", (GET_STATUS,), (jobs,), "Jobs are asked about by their ARNs.", wildcard=_ANY_JOB)


def _storage(workload: Workload) -> Iterator[Permission]:
    yield Permission(
        "ReadBdaInput",
        (READ,),
        (input_objects(workload),),
        "BDA reads the input with its caller's permissions.",
        wildcard="" if _is_object(workload.input_uri) else "the input is given as a prefix; one document can be named",
    )
    yield Permission(
        "WriteBdaResults",
        (WRITE,),
        (output_objects(workload),),
        "BDA writes the results with its caller's permissions.",
        wildcard=_UNKNOWN_RESULTS,
    )
    yield Permission(
        "TellMissingFromForbidden",
        (LIST,),
        buckets(workload),
        "S3 says that an object or a bucket is missing only to those who may list the bucket; to others it says 403.",
        is_needed=False,
    )


def _reading(workload: Workload) -> Iterator[Permission]:
    yield Permission(
        "ReadBdaResults",
        (READ,),
        (output_objects(workload),),
        "The caller reads the results.",
        wildcard=_UNKNOWN_RESULTS,
    )


def _keys(workload: Workload) -> Iterator[Permission]:
    if workload.kms_key_arn:
        yield Permission(
            "UseJobKeyThroughBda",
            KEY_ACTIONS,
            (workload.kms_key_arn,),
            "BDA encrypts the job's data with this key, in its caller's name.",
            via=via_service("bedrock", workload),
        )
    if workload.input_key_arn:
        yield Permission(
            "DecryptInputThroughS3",
            ("kms:Decrypt",),
            (workload.input_key_arn,),
            "The input's bucket is encrypted with this key.",
            via=via_service("s3", workload),
        )
    if workload.output_key_arn:
        yield Permission(
            "EncryptResultsThroughS3",
            ("kms:Decrypt", "kms:GenerateDataKey"),
            (workload.output_key_arn,),
            "The output's bucket is encrypted with this key.",
            via=via_service("s3", workload),
        )


def input_objects(workload: Workload) -> str:
    """Return the ARN of the input, or the pattern of all inputs below a prefix."""
    uri = workload.input_uri
    return f"{bucket_arn(workload, uri.bucket)}/{uri.key if _is_object(uri) else f'{uri.key}*'}"


def output_objects(workload: Workload) -> str:
    """Return the pattern of all that jobs write."""
    uri = workload.output_uri
    return f"{bucket_arn(workload, uri.bucket)}/{f'{uri.key}/*' if uri.key else '*'}"


def buckets(workload: Workload) -> tuple[str, ...]:
    """Return the ARNs of the buckets, each once."""
    names = dict.fromkeys((workload.input_uri.bucket, workload.output_uri.bucket))
    return tuple(bucket_arn(workload, name) for name in names)


def bucket_arn(workload: Workload, bucket: str) -> str:
    """Return a bucket's ARN."""
    return f"arn:{workload.partition}:s3:::{bucket}"


def via_service(service: str, place: Place) -> str:
    """Return a service's name as the condition key ``kms:ViaService`` has it."""
    return f"{service}.{place.region}.{place.dns_suffix}"


def _is_object(uri: S3Uri) -> bool:
    return bool(uri.key) and not uri.key.endswith("/")
