"""What an invoke names and the service looks up before it takes the request: the project and the blueprints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.control_plane.blueprints import LIVE, check_sync_blueprints
from airflow_bda.emulator.control_plane.projects import ASYNC, COMPLETED, SYNC
from airflow_bda.emulator.control_plane.resources import AWS_ACCOUNT
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.errors import parse_arn, validation_error
from airflow_bda.emulator.core.settings import REFUSE
from airflow_bda.emulator.documents.contract import ProjectConfiguration
from airflow_bda.service.arns import PROJECT, Arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.control_plane.models import BdaControlBackend
    from airflow_bda.emulator.control_plane.projects import Project, ProjectStage
    from airflow_bda.emulator.documents.contract import MadeBlueprint


@dataclass(frozen=True)
class Extraction:
    """
    What to look for, and how to write it.

    :param project_arn: the project that was named, if any.
    :param blueprint_arns: the blueprints to apply.
    :param made: those of them, and of the fallbacks, that were made in the control plane.
    :param fallback_arns: the project's blueprints for documents that none of the others matches.
    :param configuration: the members of the project's stage; None where there is no project or nobody made it here.
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
        # A project of the caller's own that nobody made here is taken for whatever the call needs.
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
    # Nobody made this project here: it has all the custom blueprints of the emulator's folder.
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
