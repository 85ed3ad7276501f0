"""
What is looked up before an operation of the runtime does its work: permissions, the project and the blueprints.

Actions and resources are those of https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html and of
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html; S3 and keys are used with
the caller's permissions, as https://docs.aws.amazon.com/bedrock/latest/userguide/encryption-bda.html shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from airflow_bda.emulator.control_plane.blueprints import LIVE, check_sync_blueprints
from airflow_bda.emulator.control_plane.projects import ASYNC, COMPLETED, SYNC
from airflow_bda.emulator.control_plane.resources import AWS_ACCOUNT
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.api_errors import access_denied, parse_arn, refuse_unless_allowed, validation_error
from airflow_bda.emulator.core.emulator import REFUSE
from airflow_bda.emulator.documents.contract import ProjectConfiguration
from airflow_bda.service.arns import ANY_REGION, DESTINATIONS_OF_REGION, INVOCATION, PROFILE, PROJECT, Arn
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.emulator.aws.iam_callers import Caller, Place
    from airflow_bda.emulator.control_plane.control_api import BdaControlBackend
    from airflow_bda.emulator.control_plane.projects import Project, ProjectStage
    from airflow_bda.emulator.documents.contract import MadeBlueprint

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


@dataclass(frozen=True)
class Extraction:
    """
    What to look for, and how to write it.

    :param project_arn: the project that was named, if any.
    :param blueprint_arns: the blueprints to apply.
    :param made: those of them, and of the fallbacks, that were made in the control plane.
    :param fallback_arns: the project's blueprints for documents that none of the others matches.
    :param configuration: the members of the project's stage; None without a project that was made here.
    """

    project_arn: str | None = None
    blueprint_arns: tuple[str, ...] = ()
    made: tuple[MadeBlueprint, ...] = ()
    fallback_arns: tuple[str, ...] = ()
    configuration: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def project(self) -> ProjectConfiguration:
        """What of it decides how inputs are processed."""
        members = self.configuration or {}
        return ProjectConfiguration(
            standard_output=members.get("standardOutputConfiguration") or {},
            override=members.get("overrideConfiguration") or {},
            fallback_arn=next(iter(self.fallback_arns), None),
        )


def look_up(params: Mapping[str, Any], control: BdaControlBackend, *, sync: bool = False) -> Extraction:
    """
    Find what a request names: its own blueprints, else its project's.

    :param sync: whether the rules of the synchronous call hold too.
    :raises ApiError: when there is no such project or blueprint, or the project is not ready.
    """
    named = (params.get("dataAutomationConfiguration") or {}).get("dataAutomationProjectArn")
    arn = _check_project(named, control) if named else None
    if sync and arn is None and not params.get("blueprints"):
        raise validation_error(assumptions.SYNC_NEEDS_PROJECT_OR_BLUEPRINTS_MESSAGE)
    project = control.projects.get(str(arn)) if arn else None
    if arn is not None and project is None and arn.account != AWS_ACCOUNT:
        if control.emulator.settings.unknown_projects == REFUSE:
            raise validation_error(assumptions.UNKNOWN_PROJECT_MESSAGE)
    elif sync and arn is not None and (project.type if project else ASYNC) != SYNC:
        # A project of the caller's own that was not made here is taken for whatever the call needs.
        raise validation_error(assumptions.SYNC_PROJECT_TYPE_MESSAGE)
    stage = _ready_stage(params, project) if project else None
    extraction = _choose(params, arn, stage, control)
    if sync:
        check_sync_blueprints(extraction.made)
    return extraction


def _choose(
    params: Mapping[str, Any], arn: Arn | None, stage: ProjectStage | None, control: BdaControlBackend
) -> Extraction:
    project_arn = str(arn) if arn else None
    if asked := params.get("blueprints"):
        if not all(map(control.blueprints.is_known, asked)):
            raise validation_error(assumptions.UNKNOWN_BLUEPRINT_MESSAGE)
        configuration = stage.configuration if stage else None
        return Extraction(project_arn, _arns(asked), control.blueprints.made(asked), (), configuration)
    if stage is not None:
        # What was deleted since the project named it is passed over.
        known = [item for item in stage.blueprints if control.blueprints.is_known(item)]
        fallbacks = [item for item in stage.fallback_blueprints if control.blueprints.is_known(item)]
        made = control.blueprints.made([*known, *fallbacks])
        return Extraction(project_arn, _arns(known), made, _arns(fallbacks), stage.configuration)
    if arn is None or arn.account == AWS_ACCOUNT:
        return Extraction(project_arn)
    # This project was not made here: it has all the custom blueprints of the emulator's folder.
    listed = control.emulator.processor.blueprints(region=arn.region, account=arn.account)
    return Extraction(project_arn, tuple(each for each, _ in listed if Arn.parse(each).account != AWS_ACCOUNT))


def _check_project(text: str, control: BdaControlBackend) -> Arn:
    arn = parse_arn(text, assumptions.UNKNOWN_PROJECT_MESSAGE)
    is_own = arn.account == control.account_id
    is_public = arn.account == AWS_ACCOUNT and arn.resource_id in assumptions.PUBLIC_PROJECTS
    if arn.resource_type != PROJECT or arn.region != control.region_name or not (is_own or is_public):
        raise validation_error(assumptions.UNKNOWN_PROJECT_MESSAGE)
    return arn


def _ready_stage(params: Mapping[str, Any], project: Project) -> ProjectStage:
    name = params["dataAutomationConfiguration"].get("stage", LIVE)
    stage = project.stages.get(name)
    if stage is None or stage.status != COMPLETED:
        raise validation_error(assumptions.PROJECT_NOT_READY_MESSAGE.format(stage=name))
    return stage


def _arns(items: Any) -> tuple[str, ...]:
    return tuple(item["blueprintArn"] for item in items)
