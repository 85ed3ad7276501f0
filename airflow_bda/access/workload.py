"""What a job touches: the project, the blueprints, the profile, the places in S3 and the KMS keys."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_bda.service.arns import (
    ANY_REGION,
    PROFILE,
    PROFILE_OF_REGION,
    Arn,
    UnknownRegionError,
    derive_profile_arn,
    partition_of,
    routed_profile_arns,
)
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_bda.service.request.request import InvocationRequest

AWS_OWNED = "aws"
# AWS's partition of China has a suffix of its own.
_DNS_SUFFIX_OF_PARTITION = {"aws-cn": "amazonaws.com.cn"}
# Old buckets may have capitals and underscores.
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Place:
    """
    Where calls are made.

    :param account: twelve digits; the account that makes the calls.
    """

    region: str
    account: str

    @property
    def partition(self) -> str:
        """The partition of the region."""
        return partition_of(self.region)

    @property
    def dns_suffix(self) -> str:
        """The domain of the partition's endpoints."""
        return _DNS_SUFFIX_OF_PARTITION.get(self.partition, "amazonaws.com")


@dataclass(frozen=True)
class Workload(Place):
    """
    One job, or many alike, as permissions are asked about it.

    :param input_uri: one object; or all below a prefix, when the key is empty or ends in a slash.
    :param output_uri: the prefix that results are written under.
    :param profile_arns: the profile in every region that it may route a call to; ``*`` for any region.
    :param kms_key_arn: the key of ``encryptionConfiguration``.
    :param input_key_arn: the key that encrypts the input's bucket.
    :param output_key_arn: the key that encrypts the output's bucket.
    """

    input_uri: S3Uri
    output_uri: S3Uri
    profile_arns: tuple[str, ...]
    project_arn: str | None = None
    blueprint_arns: tuple[str, ...] = ()
    kms_key_arn: str | None = None
    input_key_arn: str | None = None
    output_key_arn: str | None = None

    @property
    def key_arns(self) -> tuple[str, ...]:
        """The keys, each once."""
        keys = (self.kms_key_arn, self.input_key_arn, self.output_key_arn)
        return tuple(dict.fromkeys(filter(None, keys)))


def plan_workload(  # noqa: PLR0913  one argument for each thing that a job touches
    *,
    input_uri: str,
    output_uri: str,
    project_arn: str | None = None,
    blueprint_arns: Sequence[str] = (),
    profile_arn: str | None = None,
    region: str | None = None,
    account: str | None = None,
    kms_key: str | None = None,
    input_key: str | None = None,
    output_key: str | None = None,
) -> Workload:
    """
    Put a workload together; region and account are taken from the ARNs where they are not given.

    :param profile_arn: None takes the region's own.
    :param kms_key: a key's ARN or id; so are *input_key* and *output_key*.
    :raises ValueError: says what is missing or wrong.
    """
    place = find_place((profile_arn, project_arn, *blueprint_arns), region=region, account=account)
    region, account = place.region, place.account
    output = _location("output", output_uri)
    return Workload(
        region=region,
        account=account,
        input_uri=_location("input", input_uri),
        # The service writes <prefix>/<job id>/, and requests have their trailing slashes stripped.
        output_uri=S3Uri(output.bucket, output.key.rstrip("/")),
        profile_arns=profile_destinations(profile_arn, region=region, account=account),
        project_arn=project_arn,
        blueprint_arns=tuple(blueprint_arns),
        kms_key_arn=find_key_arn(kms_key, region, account),
        input_key_arn=find_key_arn(input_key, region, account),
        output_key_arn=find_key_arn(output_key, region, account),
    )


def find_place(arns: Iterable[str | None], *, region: str | None, account: str | None) -> Place:
    """
    Return where calls are made; region and account are taken from ARNs where they are not given.

    :raises ValueError: says what is missing.
    """
    parsed = [Arn.parse(arn) for arn in arns if arn]
    region = region or next((arn.region for arn in parsed), None)
    if not region:
        raise ValueError("The region is not known: pass --region, or the ARN of a project or a profile.")
    account = account or next((arn.account for arn in parsed if arn.account != AWS_OWNED), None)
    if not account:
        raise ValueError("The account is not known: pass --account (aws sts get-caller-identity tells it).")
    return Place(region, account)


def workload_of(request: InvocationRequest, *, region: str, account: str) -> Workload:
    """
    Return what a request touches. A KMS alias is left out: only KMS can resolve it.

    :raises ValueError: when the request's ARNs are not ARNs.
    """
    kms_key = request.kms_key_id
    return plan_workload(
        input_uri=request.input_s3_uri,
        output_uri=request.output_s3_uri,
        project_arn=request.project_arn,
        blueprint_arns=request.blueprint_arns,
        profile_arn=request.profile_arn,
        region=region,
        account=account,
        kms_key=None if kms_key and _is_alias(kms_key) else kms_key,
    )


def profile_destinations(profile_arn: str | None, *, region: str, account: str) -> tuple[str, ...]:
    """
    Return the profile's ARN in every region that it may route a call to.

    Where the routes of the profile are not known, that is any region.

    :param profile_arn: None takes the region's own.
    :raises ValueError: when *profile_arn* is not a profile's, or is None and the region's profile is not known.
    """
    if profile_arn is None and region not in PROFILE_OF_REGION:
        raise ValueError(str(UnknownRegionError(region)))
    partition = partition_of(region)
    own = derive_profile_arn(region=region, account=account, partition=partition) if region in PROFILE_OF_REGION else ""
    if profile_arn in {None, own}:
        return routed_profile_arns(region=region, account=account, partition=partition)
    profile = Arn.parse(profile_arn or "")
    if profile.resource_type != PROFILE:
        raise ValueError(f"{profile_arn!r} is the ARN of a {profile.resource_type}, and a {PROFILE} is wanted.")
    return (str(Arn(profile.partition, ANY_REGION, profile.account, PROFILE, profile.resource_id)),)


def with_keys_of_buckets(workload: Workload, s3: Any) -> Workload:
    """
    Add the keys that encrypt the document and the buckets, where they were not named and S3 returns them.

    :param s3: a boto3 client of S3.
    """
    source, input_key = workload.input_uri, workload.input_key_arn
    if input_key is None and source.key:
        found = answer_or_refusal(lambda: s3.head_object(Bucket=source.bucket, Key=source.key))
        key = None if isinstance(found, Refusal) else found.get("SSEKMSKeyId")
        input_key = key if key and key.startswith("arn:") else None
    if input_key is None:
        input_key = _key_of_bucket(s3, source.bucket)
    output_key = workload.output_key_arn or _key_of_bucket(s3, workload.output_uri.bucket)
    return replace(workload, input_key_arn=input_key, output_key_arn=output_key)


def _key_of_bucket(s3: Any, bucket: str) -> str | None:
    found = answer_or_refusal(lambda: s3.get_bucket_encryption(Bucket=bucket))
    if isinstance(found, Refusal):
        return None
    rules = found["ServerSideEncryptionConfiguration"]["Rules"]
    keys = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules]
    # A key may be named by its id alone, which says too little to ask IAM about it.
    return next((key for key in keys if key and key.startswith("arn:")), None)


def _location(name: str, uri: str) -> S3Uri:
    location = S3Uri.parse(uri)
    if not _BUCKET.fullmatch(location.bucket):
        # In a policy a wildcard would let the identity into the buckets of others.
        raise ValueError(
            f"{location.bucket!r} is not a bucket's name ({name}: {uri!r}): it has letters, digits, dots and hyphens, "
            "and no wildcards."
        )
    return location


def _is_alias(key: str) -> bool:
    return key.startswith("alias/") or ":alias/" in key


def find_key_arn(key: str | None, region: str, account: str) -> str | None:
    """
    Return the ARN of a KMS key that is named by its ARN or its id.

    :raises ValueError: for an alias.
    """
    if key is None or key.startswith("arn:"):
        if key and _is_alias(key):
            raise ValueError(_ALIAS.format(key=key))
        return key
    if _is_alias(key):
        raise ValueError(_ALIAS.format(key=key))
    return f"arn:{partition_of(region)}:kms:{region}:{account}:key/{key}"


_ALIAS = (
    "{key!r} is an alias, and policies name keys: pass the key's ARN (aws kms describe-key --key-id {key} tells it)."
)
