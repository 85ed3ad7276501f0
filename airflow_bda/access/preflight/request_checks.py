"""Check what a request names: the profile, the project in its stage, the blueprints, and the request as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.access.preflight.findings import fault, hint, ok
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.profiles import PROFILE_OF_REGION, derive_profile_arn
from airflow_bda.service.request.request import build_request, request_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.access.preflight.findings import Check, Scene, Subject

_CONTROL = "bedrock-data-automation"
_COMPLETED, _FAILED, _ASYNC, _LIVE = "COMPLETED", "FAILED", "ASYNC", "LIVE"
_SAMPLE_DOCUMENT = "sample.pdf"


def check_regions(scene: Scene) -> Iterator[Check]:
    """Compare the regions in the ARNs with the one that is called: the service answers for its own only."""
    for name, arn in _arns(scene.subject):
        # What is no ARN, the request's check or the look-up says.
        _, _, _, region, *_ = [*arn.split(":"), "", "", "", ""]
        if region and region != scene.region:
            yield fault(
                name,
                f"{arn} is in {region}, and {scene.region} is called.",
                f"Pass --region {region}, or an ARN of {scene.region}.",
            )


def _arns(subject: Subject) -> Iterator[tuple[str, str]]:
    if subject.profile_arn:
        yield "profile", subject.profile_arn
    if subject.project_arn:
        yield "project", subject.project_arn
    for arn in subject.blueprint_arns:
        yield "blueprint", arn
    for key in (subject.kms_key, subject.input_key, subject.output_key):
        if key and key.startswith("arn:"):
            yield "KMS key", key


def check_request(scene: Scene) -> Iterator[Check]:
    """Check what would be sent, as the operator does; and the profile with it."""
    subject = scene.subject
    if subject.profile_arn is None and scene.region not in PROFILE_OF_REGION:
        yield fault("profile", f"none is known for {scene.region}.", "Pass the profile's ARN.")
        return
    profile = subject.profile_arn or derive_profile_arn(
        region=scene.region, account=scene.account, partition=scene.partition
    )
    yield _judge_profile(scene, profile)
    if not subject.input_uri or not subject.output_uri:
        return
    document = f"{subject.input_uri}{_SAMPLE_DOCUMENT}" if subject.input_uri.endswith("/") else subject.input_uri
    try:
        request = build_request(
            input_s3_uri=document,
            output_s3_uri=subject.output_uri,
            profile_arn=profile,
            project_arn=subject.project_arn,
            project_stage=subject.stage if subject.project_arn else None,
            blueprints=list(subject.blueprint_arns) or None,
            kms_key_id=subject.kms_key,
            region=scene.region,
        )
    except BdaRequestError as error:
        for problem in error.problems:
            yield fault("request", problem, "")
        return
    warnings = request_warnings(request)
    for warning in warnings:
        yield hint("request", warning)
    if not warnings:
        yield ok("request", "would be sent as it is")


def _judge_profile(scene: Scene, profile: str) -> Check:
    listed = PROFILE_OF_REGION.get(scene.region)
    if listed and not profile.endswith(f"/{listed}"):
        return fault("profile", f"{profile} is not the profile of {scene.region}, {listed}.", "Leave it out.")
    if listed:
        return ok("profile", profile)
    return hint("profile", f"{profile}; whether {scene.region} has it is not known here.")


def check_project(scene: Scene) -> Iterator[Check]:
    """Look the project up, in its stage."""
    subject = scene.subject
    if not subject.project_arn:
        return
    stage = subject.stage or _LIVE
    found = answer_or_refusal(
        lambda: scene.client(_CONTROL).get_data_automation_project(projectArn=subject.project_arn, projectStage=stage)
    )
    if isinstance(found, Refusal):
        yield _not_seen("project", f"{subject.project_arn} in stage {stage}", "bedrock:GetDataAutomationProject", found)
        return
    yield _judge_project(found["project"], stage)


def _judge_project(project: dict[str, Any], stage: str) -> Check:
    name, status = project.get("projectName", project["projectArn"]), project["status"]
    if status == _FAILED:
        return fault(
            "project", f"{name} is {status} in stage {stage}.", "Update the project, and see why in its answer."
        )
    if status != _COMPLETED:
        return fault("project", f"{name} is {status} in stage {stage}.", "Wait until it is COMPLETED.")
    if project.get("projectType", _ASYNC) != _ASYNC:
        return hint(
            "project",
            f"{name} is of type {project['projectType']}, and jobs run asynchronously.",
            "Make a project of type ASYNC for them.",
        )
    return ok("project", f"{name} is COMPLETED in stage {stage}")


def check_blueprints(scene: Scene) -> Iterator[Check]:
    """Look each blueprint up."""
    for arn in scene.subject.blueprint_arns:
        found = answer_or_refusal(lambda arn=arn: scene.client(_CONTROL).get_blueprint(blueprintArn=arn))  # type: ignore[misc]
        if isinstance(found, Refusal):
            yield _not_seen("blueprint", arn, "bedrock:GetBlueprint", found)
        else:
            yield ok("blueprint", f"{found.get('blueprint', {}).get('blueprintName', arn)} exists")


def _not_seen(name: str, what: str, action: str, refusal: Refusal) -> Check:
    if refusal.is_absence:
        return fault(name, f"{what} does not exist.", "Correct the ARN or the stage, or create it.")
    if refusal.is_denial:
        return hint(name, f"{what} could not be looked at.", f"Allow {action} to have it checked.")
    return hint(name, f"{what} could not be looked at: {refusal.text}")
