"""
What a call of BDA must be allowed, and the refusals.

Actions and resources are those of https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html and of
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html; S3 and keys are used with
the caller's permissions, as https://docs.aws.amazon.com/bedrock/latest/userguide/encryption-bda.html shows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_bda.access.policies import BDA_PRINCIPAL
from airflow_bda.emulator.aws.iam_policies import (
    Question,
    key_of_bucket,
    key_of_object,
    key_question,
    may_use_bucket,
    may_use_key,
    place_of_bucket,
    resolve_key,
    service_may_use_bucket,
)
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.errors import access_denied, refuse_unless_allowed
from airflow_bda.service.arns import INVOCATION, PROFILE, Arn
from airflow_bda.service.profiles import ANY_REGION, DESTINATIONS_OF_REGION
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.emulator.aws.iam_callers import Caller, Place

_INVOKES = frozenset({"InvokeDataAutomation", "InvokeDataAutomationAsync"})
_KEY_ACTIONS = ("kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt", "kms:CreateGrant")


def check_access(caller: Caller, operation: str, params: Mapping[str, Any], place: Place) -> None:
    """
    Check that a caller may make a call of the runtime, and all that BDA does with the caller's permissions.

    :raises ApiError: AccessDeniedException, for the first thing that is not allowed.
    """
    action = f"bedrock:{operation}"
    for resource in _bedrock_resources(operation, params, place):
        refuse_unless_allowed(caller, Question(action, resource))
    if operation in _INVOKES and not _may_forward(caller, params, place):
        raise access_denied()


def _bedrock_resources(operation: str, params: Mapping[str, Any], place: Place) -> Iterator[str]:
    if operation not in _INVOKES:
        arn = params.get("invocationArn") or params.get("resourceARN")
        yield str(arn or "*")
        return
    project = (params.get("dataAutomationConfiguration") or {}).get("dataAutomationProjectArn")
    blueprints = [blueprint.get("blueprintArn") for blueprint in params.get("blueprints") or ()]
    yield from filter(None, (project, *blueprints))
    yield from _routed_profiles(params.get("dataAutomationProfileArn", ""), place)
    if assumptions.INVOKE_CHECKS_THE_INVOCATION:
        yield str(Arn(place.partition, place.region, place.account, INVOCATION, assumptions.INVOCATION_BEFORE_IT_IS))


def _routed_profiles(profile_arn: str, place: Place) -> Iterator[str]:
    """Return the profile in each region that it routes to: third parties saw refusals for each of them."""
    try:
        profile = Arn.parse(profile_arn)
    except ValueError:
        return
    for destination in DESTINATIONS_OF_REGION.get(place.region, (place.region,)):
        region = place.region if destination == ANY_REGION else destination
        yield str(Arn(profile.partition, region, profile.account, PROFILE, profile.resource_id))


def _may_forward(caller: Caller, params: Mapping[str, Any], place: Place) -> bool:
    """Whether the caller may do what BDA does in its name; for another account's bucket, whether BDA may too."""
    locations = (_location(params.get(name)) for name in ("inputConfiguration", "outputConfiguration"))
    buckets = [location.bucket for location in locations if location]
    list_bucket = {bucket: Question("s3:ListBucket", f"arn:{place.partition}:s3:::{bucket}") for bucket in buckets}
    return (
        all(
            may_use_bucket(caller, question, bucket, place) and _is_bda_let_in(question, bucket, place)
            for question, bucket in _on_buckets(params, place)
        )
        and all(_is_bda_let_in(question, bucket, place) for bucket, question in list_bucket.items())
        and all(may_use_key(caller, question) for question in _on_keys(params, place))
    )


def _is_bda_let_in(question: Question, bucket: str, place: Place) -> bool:
    if place_of_bucket(bucket, place).account == place.account or not assumptions.OTHER_ACCOUNTS_BUCKETS_NAME_BDA:
        return True
    asked = replace(question, context={"aws:SourceAccount": place.account})
    return service_may_use_bucket(BDA_PRINCIPAL, asked, bucket, place)


def _on_buckets(params: Mapping[str, Any], place: Place) -> Iterator[tuple[Question, str]]:
    source, target = _location(params.get("inputConfiguration")), _location(params.get("outputConfiguration"))
    if source:
        source_arn = f"arn:{place.partition}:s3:::{source.bucket}/{source.key}"
        yield Question("s3:GetObject", source_arn), source.bucket
    if target:
        folder = f"{target.key.rstrip('/')}/" if target.key else ""
        result = f"{target.bucket}/{folder}{assumptions.INVOCATION_BEFORE_IT_IS}/job_metadata.json"
        yield Question("s3:PutObject", f"arn:{place.partition}:s3:::{result}"), target.bucket


def _on_keys(params: Mapping[str, Any], place: Place) -> Iterator[Question]:
    source, target = _location(params.get("inputConfiguration")), _location(params.get("outputConfiguration"))
    if source and (key := key_of_object(source.bucket, source.key, place)):
        yield key_question("kms:Decrypt", key, "s3", place)
    if target and (key := key_of_bucket(target.bucket, place)):
        yield key_question("kms:GenerateDataKey", key, "s3", place)
    if job_key := (params.get("encryptionConfiguration") or {}).get("kmsKeyId"):
        key = resolve_key(job_key, place)
        for action in _KEY_ACTIONS:
            yield key_question(action, key, "bedrock", place)


def _location(configuration: Any) -> S3Uri | None:
    try:
        return S3Uri.parse(configuration["s3Uri"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
