"""
Run all checks, in the order in which one failing makes the next ones pointless.

The checks of the machine and of what a request names are here, those of places and of the account beside it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, NoRegionError
from packaging.requirements import Requirement

from airflow_bda.access.preflight.account_checks import (
    check_bucket_policies,
    check_input,
    check_key,
    check_output,
    check_permissions,
    check_queue,
    check_quotas,
)
from airflow_bda.access.preflight.findings import Report, Scene, fault, hint, ok
from airflow_bda.service.arns import PROFILE_OF_REGION, derive_profile_arn
from airflow_bda.service.aws_errors import Failure, Refusal, answer_or_refusal
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import CONTROL_SERVICE, INVOKE, UPGRADE, botocore_version, service_model
from airflow_bda.service.request.request import build_request, request_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.access.preflight.findings import Check, Connection, Subject

# us-east-1, us-gov-west-1, us-isob-east-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")

_NO_REGION = (
    "Pass --region, set AWS_DEFAULT_REGION in the environment, or set region_name in the Airflow connection's extra."
)
_NO_WAY = (
    "Check the endpoint (--endpoint-url, AWS_ENDPOINT_URL, endpoint_url in the connection's extra), the proxy, and the "
    "way to AWS of this network."
)
_NO_IDENTITY = "Check the Airflow connection, or the environment's or the machine's AWS credentials."


def run_preflight(connection: Connection, subject: Subject) -> Report:
    """Check everything that jobs need; errors become findings."""
    return Report(tuple(_checks(connection, subject)))


def _checks(connection: Connection, subject: Subject) -> Iterator[Check]:
    yield from check_versions()
    yield from check_libraries()
    if connection.missing:
        # So does the Amazon provider, with a line in the log.
        yield hint("connection", f"there is no {connection.missing!r}; the machine's own credentials are used.")
    try:
        region = connection.region()
    except BotoCoreError as error:
        yield fault("region", "no AWS region is set." if isinstance(error, NoRegionError) else str(error), _NO_REGION)
        return
    yield _judge_region(region)
    if not _REGION.fullmatch(region):
        return
    caller = answer_or_refusal(lambda: connection.client("sts").get_caller_identity())
    if isinstance(caller, Refusal):
        if caller.kind is Failure.UNREACHABLE:
            yield fault("network", f"AWS cannot be reached. {caller.text}", _NO_WAY)
        else:
            yield fault("identity", f"AWS does not know the caller: {caller.text}", _NO_IDENTITY)
        return
    yield ok("identity", caller["Arn"])
    yield from check_clock(caller)
    scene = Scene(
        connection.client,
        subject,
        region,
        caller["Account"],
        caller["Arn"],
        connection.status_requests_per_second,
        connection.job_events_queue,
    )
    checks = (
        check_regions,
        check_request,
        check_project,
        check_blueprints,
        check_input,
        check_output,
        check_bucket_policies,
        check_key,
        check_queue,
        check_permissions,
        check_quotas,
    )
    for check in checks:
        yield from check(scene)


def _judge_region(region: str) -> Check:
    if region in PROFILE_OF_REGION:
        return ok("region", f"{region} has BDA")
    known = ", ".join(sorted(PROFILE_OF_REGION))
    if not _REGION.fullmatch(region):
        return fault("region", f"{region!r} is not the name of an AWS region.", f"Regions with BDA: {known}.")
    return hint(
        "region",
        f"whether {region} has BDA is not known here; known: {known}.",
        "Pass the profile's ARN if it has.",
    )


_DISTRIBUTION = "airflow-provider-bda"
# Without these the API of today cannot be called at all; the preview had neither.
_NEEDED_MEMBERS = ("dataAutomationProfileArn", "dataAutomationConfiguration", "blueprints")
# AWS refuses signatures that are older or newer than this.
_REFUSED_SKEW = timedelta(minutes=5)
_WORRYING_SKEW = timedelta(minutes=1)


def check_versions() -> Iterator[Check]:
    """Compare what is installed to what this package asks for: an installer's override, or another tool, may differ."""
    try:
        wanted = [Requirement(line) for line in metadata.requires(_DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        # It is imported from a folder, such as MWAA's plugins; nothing says what it asks for.
        return
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    installed: dict[str, str | None] = dict.fromkeys(each.name for each in needed)
    for name in installed:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    lacking = [
        each
        for each in needed
        if not ((version := installed[each.name]) and each.specifier.contains(version, prereleases=True))
    ]
    for requirement in lacking:
        yield fault(
            "versions",
            f"{requirement.name} is {installed[requirement.name] or 'not installed'}, and {requirement.specifier} is "
            "asked for.",
            f"pip install '{requirement}'",
        )
    if not lacking:
        yield ok("versions", ", ".join(f"{name} {version}" for name, version in installed.items()))


def check_libraries() -> Iterator[Check]:
    """Look at the versions that decide what can be sent, and how jobs are waited for."""
    try:
        model = service_model()
    except BdaRequestError as error:
        yield fault("botocore", error.message, UPGRADE)
        return
    members = model.operation_model(INVOKE).input_shape.members
    missing = [name for name in _NEEDED_MEMBERS if name not in members]
    if missing:
        yield fault("botocore", f"{botocore_version()} does not know {', '.join(missing)} of {INVOKE}.", UPGRADE)
    elif "tags" not in members:
        yield hint("botocore", f"{botocore_version()} does not know the tags of {INVOKE}.", UPGRADE)
    else:
        yield ok("botocore", f"{botocore_version()} has the API")
    if find_spec("aiobotocore") is None:
        yield fault(
            "aiobotocore",
            "it is not installed, and jobs are waited for with it.",
            "pip install 'apache-airflow-providers-amazon[aiobotocore]'",
        )
    else:
        yield ok("aiobotocore", "is installed")


def check_clock(answer: Mapping[str, Any]) -> Iterator[Check]:
    """
    Compare this machine's clock with AWS's.

    :param answer: any answer of AWS, with its headers.
    """
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return
    skew = abs(datetime.now(timezone.utc) - parsedate_to_datetime(date))
    text = f"{skew.total_seconds():.0f} s from AWS's"
    remedy = "Let the machine take its time from a time server (chrony, ntpd)."
    if skew > _REFUSED_SKEW:
        yield fault("clock", f"{text}; AWS refuses signatures of such a time.", remedy)
    elif skew > _WORRYING_SKEW:
        yield hint("clock", f"{text}; from five minutes on AWS refuses signatures.", remedy)
    else:
        yield ok("clock", text)


_COMPLETED, _FAILED, _ASYNC, _LIVE = "COMPLETED", "FAILED", "ASYNC", "LIVE"
_SAMPLE_DOCUMENT = "sample.pdf"


def check_regions(scene: Scene) -> Iterator[Check]:
    """Compare the regions in the ARNs with the one that is called: the service answers for its own only."""
    for name, arn in _arns(scene.subject):
        # What is not an ARN is found by the request's check or by the lookup.
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
        lambda: scene.client(CONTROL_SERVICE).get_data_automation_project(
            projectArn=subject.project_arn, projectStage=stage
        )
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
        found = answer_or_refusal(lambda arn=arn: scene.client(CONTROL_SERVICE).get_blueprint(blueprintArn=arn))  # type: ignore[misc]
        if isinstance(found, Refusal):
            yield _not_seen("blueprint", arn, "bedrock:GetBlueprint", found)
        else:
            yield ok("blueprint", f"{found.get('blueprint', {}).get('blueprintName', arn)} exists")


def _not_seen(name: str, what: str, action: str, refusal: Refusal) -> Check:
    if refusal.is_absence:
        return fault(name, f"{what} does not exist.", "Correct the ARN or the stage, or create it.")
    if refusal.is_denial:
        return hint(name, f"{what} could not be checked.", f"Allow {action} to have it checked.")
    return hint(name, f"{what} could not be checked: {refusal.text}")
