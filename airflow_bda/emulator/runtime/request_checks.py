"""What the service checks before it takes a request: the model's rules, the profile, the project, the blueprints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.control_plane.blueprints import LIVE
from airflow_bda.emulator.control_plane.projects import COMPLETED
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.errors import ApiError, validation_error
from airflow_bda.emulator.core.settings import REFUSE
from airflow_bda.service.arns import PROFILE, PROJECT, Arn
from airflow_bda.service.model import Problem, Rule, shorten, validate
from airflow_bda.service.profiles import PROFILE_OF_REGION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_bda.emulator.control_plane.models import BdaControlBackend
    from airflow_bda.emulator.control_plane.projects import ProjectStage
    from airflow_bda.emulator.core.state import InputProcessor
    from airflow_bda.emulator.documents.contract import MadeBlueprint


@dataclass(frozen=True)
class Extraction:
    """
    What to look for.

    :param blueprint_arns: the blueprints to apply.
    :param made: those of them that were made in the control plane.
    """

    blueprint_arns: tuple[str, ...] = ()
    made: tuple[MadeBlueprint, ...] = ()


INVALID_PROFILE_MESSAGE = "The provided DataAutomationProfile ARN is invalid."
_AWS = "aws"


def check_model(operation: str, params: Mapping[str, Any]) -> None:
    """
    Check a request against the installed botocore's model.

    :raises ApiError: a ValidationException that tells every problem in AWS's phrasing, or a SerializationException.
    """
    refuse_problems(validate(operation, params))


def refuse_problems(found: Iterable[Problem]) -> None:
    """
    Refuse a request with problems.

    :raises ApiError: a ValidationException that tells every problem in AWS's phrasing, or a SerializationException.
    """
    # Services read past members that they do not know; a client may be newer than the installed botocore.
    problems = [problem for problem in found if problem.rule is not Rule.UNKNOWN]
    if any(problem.rule is Rule.TYPE for problem in problems):
        raise ApiError("SerializationException", "; ".join(map(str, problems)))
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        listed = "; ".join(_phrase(problem) for problem in problems)
        raise validation_error(f"{len(problems)} validation {noun} detected: {listed}")


def _phrase(problem: Problem) -> str:
    if problem.rule is Rule.REQUIRED:
        return f"Value null at '{problem.path}' failed to satisfy constraint: Member must not be null"
    if problem.rule is Rule.PATTERN:
        constraint = "Member must satisfy regular expression pattern: " + problem.valid.removeprefix("it must match ")
    elif problem.rule is Rule.ENUM:
        constraint = f"Member must satisfy enum value set: [{problem.valid.removeprefix('it must be one of ')}]"
    else:
        constraint = problem.valid
    return f"Value {shorten(problem.value)} at '{problem.path}' failed to satisfy constraint: {constraint}"


def check_profile(text: str, *, region: str, account: str) -> None:
    """
    Check that a profile is the one for calls made in *region* by *account*.

    :raises ApiError: when it is not; https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html has the text.
    """
    profile = _parse(text, INVALID_PROFILE_MESSAGE)
    if (profile.resource_type, profile.region, profile.account) != (PROFILE, region, account):
        raise validation_error(INVALID_PROFILE_MESSAGE)
    listed = PROFILE_OF_REGION.get(region)
    if listed != profile.resource_id and not (listed is None and assumptions.UNLISTED_REGIONS_TAKE_ANY_PROFILE):
        raise validation_error(INVALID_PROFILE_MESSAGE)


def check_project(text: str, *, region: str, account: str) -> Arn:
    """
    Check that an ARN may be a project that *account* may use in *region*.

    :raises ApiError: when it may not.
    """
    project = _parse(text, assumptions.UNKNOWN_PROJECT_MESSAGE)
    is_own = project.account == account
    is_public = project.account == _AWS and project.resource_id in assumptions.PUBLIC_PROJECTS
    if project.resource_type != PROJECT or project.region != region or not (is_own or is_public):
        raise validation_error(assumptions.UNKNOWN_PROJECT_MESSAGE)
    return project


def choose_blueprints(
    params: Mapping[str, Any], project: Arn | None, processor: InputProcessor, control: BdaControlBackend
) -> Extraction:
    """
    Give the blueprints to apply: the request's own, else the project's.

    :raises ApiError: when there is no such blueprint or project, or the project is not ready.
    """
    made_project = _made_project(params, project, control)
    asked: Sequence[Mapping[str, str]] = params.get("blueprints") or ()
    if not asked and made_project is not None:
        asked = made_project.blueprints
    made = control.made_blueprints(asked)
    known = {blueprint.arn for blueprint in made}
    arns = tuple(item["blueprintArn"] for item in asked)
    if not all(arn in known or processor.known_blueprint(arn) for arn in arns):
        raise validation_error(assumptions.UNKNOWN_BLUEPRINT_MESSAGE)
    if arns or made_project is not None or project is None or project.account == _AWS:
        return Extraction(arns, made)
    return Extraction(
        tuple(
            arn
            for arn, _ in processor.blueprints(region=project.region, account=project.account)
            if Arn.parse(arn).account != _AWS
        )
    )


def _made_project(params: Mapping[str, Any], project: Arn | None, control: BdaControlBackend) -> ProjectStage | None:
    """Give the stage of a project that was made here, if it was."""
    if project is None or project.account == _AWS:
        return None
    made = control.project(str(project))
    if made is None:
        if control.emulator.settings.unknown_projects == REFUSE:
            raise validation_error(assumptions.UNKNOWN_PROJECT_MESSAGE)
        return None
    stage = (params.get("dataAutomationConfiguration") or {}).get("stage", LIVE)
    state = made.stages.get(stage)
    if state is None or state.status != COMPLETED:
        raise validation_error(assumptions.PROJECT_NOT_READY_MESSAGE.format(stage=stage))
    return state


def _parse(text: str, message: str) -> Arn:
    try:
        return Arn.parse(text)
    except ValueError:
        raise validation_error(message) from None
