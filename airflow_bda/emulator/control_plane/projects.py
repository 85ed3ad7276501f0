"""The data automation projects of one account in one region; each stage of one is a configuration of its own."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.control_plane.blueprints import ALL, LIVE, SERVICE_OWNER
from airflow_bda.emulator.control_plane.resources import AWS_ACCOUNT, page
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.api_errors import conflict, not_found, quota_exceeded, validation_error
from airflow_bda.service.arns import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bda.emulator.control_plane.blueprints import Blueprints
    from airflow_bda.emulator.control_plane.resources import Resources

IN_PROGRESS, COMPLETED = "IN_PROGRESS", "COMPLETED"
ASYNC, SYNC = "ASYNC", "SYNC"
# https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html
MOST_PROJECTS = 100
MOST_BLUEPRINTS_OF_TYPE = {"DOCUMENT": 40, "IMAGE": 1, "AUDIO": 1, "VIDEO": 1}
# What a request sets and an answer returns unchanged.
_CONFIGURATION = (
    "projectDescription",
    "standardOutputConfiguration",
    "customOutputConfiguration",
    "overrideConfiguration",
    "dataAutomationLibraryConfiguration",
)


@dataclass
class ProjectStage:
    """
    One stage of a project.

    :param configuration: the members of the request that made it.
    :param ready_at: when it becomes COMPLETED, by the monotonic clock.
    """

    configuration: dict[str, Any]
    ready_at: float
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    changed_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @classmethod
    def of_request(cls, params: Mapping[str, Any], *, seconds: float) -> ProjectStage:
        """
        Make a stage of the members of a request.

        :param seconds: how long it is in progress.
        """
        configuration = {name: params[name] for name in _CONFIGURATION if name in params}
        encryption = params.get("encryptionConfiguration") or {}
        return cls(configuration | dict(encryption), time.monotonic() + seconds)

    @property
    def status(self) -> str:
        """COMPLETED, or IN_PROGRESS for some time."""
        return COMPLETED if time.monotonic() >= self.ready_at else IN_PROGRESS

    @property
    def blueprints(self) -> tuple[Mapping[str, str], ...]:
        """The blueprints that it names."""
        return tuple((self.configuration.get("customOutputConfiguration") or {}).get("blueprints") or ())

    @property
    def fallback_blueprints(self) -> tuple[Mapping[str, str], ...]:
        """The blueprint for documents that none of the others matches."""
        document = (self.configuration.get("customOutputConfiguration") or {}).get("document") or {}
        return tuple(document.get("fallbackBlueprints") or ())

    @property
    def libraries(self) -> tuple[str, ...]:
        """The ARNs of the libraries that it uses."""
        configuration = self.configuration.get("dataAutomationLibraryConfiguration") or {}
        return tuple(library["libraryArn"] for library in configuration.get("libraries") or ())


@dataclass
class Project:
    """
    A project.

    :param type: ``ASYNC`` or ``SYNC``.
    :param stages: by their names.
    """

    arn: str
    name: str
    type: str
    stages: dict[str, ProjectStage]

    def to_api(self, stage: str) -> dict[str, Any]:
        """Return one stage of it as the API does."""
        state = self.stages[stage]
        return {
            **self.summary(stage),
            **state.configuration,
            "lastModifiedTime": state.changed_at.isoformat(),
            "status": state.status,
        }

    def summary(self, stage: str) -> dict[str, Any]:
        """Return the entry of a stage in a listing."""
        return {
            "projectArn": self.arn,
            "projectName": self.name,
            "projectStage": stage,
            "projectType": self.type,
            "creationTime": self.stages[stage].created_at.isoformat(),
        }


class Projects:
    """
    The operations on projects.

    :param has_library: whether a library's ARN is one of this account's.
    """

    def __init__(self, shared: Resources, blueprints: Blueprints, has_library: Callable[[str], bool]) -> None:
        self._shared = shared
        self._blueprints = blueprints
        self._has_library = has_library
        self._made: dict[str, Project] = {}

    def get(self, arn: str) -> Project | None:
        """Return a project that was made here."""
        return self._made.get(arn)

    # -- operations

    def create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make a project in one stage."""
        with self._shared.lock:
            known = self._made.get(self._shared.made_before(PROJECT, params) or "")
            if known is not None:
                return self._answer(known, params)
            if any(project.name == params["projectName"] for project in self._made.values()):
                raise conflict(params["projectName"])
            if len(self._made) >= MOST_PROJECTS:
                raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(what="projects", limit=MOST_PROJECTS))
            project_type = params.get("projectType", ASYNC)
            stage = self._new_stage(params, project_type, named_before=frozenset())
            arn = self._shared.add(PROJECT, params)
            project = Project(arn, params["projectName"], project_type, {params.get("projectStage", LIVE): stage})
            self._made[arn] = project
            return self._answer(project, params)

    def read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a project in one stage; AWS's own have nothing but their names."""
        arn, stage = params["projectArn"], params.get("projectStage", LIVE)
        if stage == LIVE and (public := self._public().get(arn)):
            return {"project": public.to_api(LIVE)}
        return {"project": self._find(arn, stage).to_api(stage)}

    def listing(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List the stages of the account's projects, or of AWS's own."""
        projects = list(self._made.values())
        if params.get("resourceOwner") == SERVICE_OWNER:
            projects = list(self._public().values())
        wanted, library = params.get("projectStageFilter", ALL), params.get("libraryFilter")
        summaries = [
            project.summary(name)
            for project in projects
            for name, stage in project.stages.items()
            if wanted in {ALL, name}
            and _names_blueprint(stage, params)
            and (library is None or library["libraryArn"] in stage.libraries)
        ]
        return page("projects", summaries, params)

    def update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Change a stage of a project, or begin it; it is in progress for some time."""
        with self._shared.lock:
            project = self._find(params["projectArn"])
            name = params.get("projectStage", LIVE)
            # A blueprint that was deleted must not keep the projects that named it from being changed.
            named = {item["blueprintArn"] for stage in project.stages.values() for item in _named_by(stage)}
            state = self._new_stage(params, project.type, named_before=frozenset(named))
            if name in project.stages:
                state.created_at = project.stages[name].created_at
            project.stages[name] = state
            return self._answer(project, params)

    def delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Delete a project in all its stages."""
        with self._shared.lock:
            project = self._find(params["projectArn"])
            del self._made[project.arn]
            self._shared.remove(project.arn)
            # Recorded from the service: the answer to a delete says IN_PROGRESS.
            return {"projectArn": project.arn, "status": IN_PROGRESS}

    def stages_of(self, project_filter: Mapping[str, Any] | None) -> list[ProjectStage] | None:
        """Return the stages that a ``projectFilter`` names: one where it says which, else all; None without one."""
        if not project_filter:
            return None
        project, name = self._made.get(project_filter["projectArn"]), project_filter.get("projectStage")
        stages = project.stages.items() if project else ()
        return [state for stage, state in stages if name in {None, stage}]

    # -- what the above share

    def _new_stage(self, params: Mapping[str, Any], project_type: str, *, named_before: frozenset[str]) -> ProjectStage:
        stage = ProjectStage.of_request(params, seconds=self._shared.emulator.settings.project_seconds)
        for item in _named_by(stage):
            if item["blueprintArn"] not in named_before and not self._blueprints.is_known(item):
                raise validation_error(assumptions.UNKNOWN_BLUEPRINT_MESSAGE)
        for library in stage.libraries:
            if not self._has_library(library):
                raise validation_error(assumptions.UNKNOWN_LIBRARY_MESSAGE)
        self._check_number_of_blueprints(stage)
        document = (params.get("standardOutputConfiguration") or {}).get("document") or {}
        formats = ((document.get("outputFormat") or {}).get("textFormat") or {}).get("types") or ()
        if project_type == SYNC and len(set(formats)) > 1:
            raise validation_error(assumptions.SYNC_TEXT_FORMATS_MESSAGE)
        return stage

    def _check_number_of_blueprints(self, stage: ProjectStage) -> None:
        made = (self._blueprints.get(item["blueprintArn"]) for item in stage.blueprints)
        # Those of AWS are for documents; so are those of the emulator's folder.
        counts = Counter(blueprint.type if blueprint else "DOCUMENT" for blueprint in made)
        for kind, count in counts.items():
            if count > MOST_BLUEPRINTS_OF_TYPE[kind]:
                limits = {"count": count, "kind": kind, "limit": MOST_BLUEPRINTS_OF_TYPE[kind]}
                raise validation_error(assumptions.TOO_MANY_BLUEPRINTS_MESSAGE.format(**limits))

    def _answer(self, project: Project, params: Mapping[str, Any]) -> dict[str, Any]:
        stage = params.get("projectStage", LIVE)
        state = self._find(project.arn, stage).stages[stage]
        return {"projectArn": project.arn, "projectStage": stage, "status": state.status}

    def _find(self, arn: str, stage: str | None = None) -> Project:
        project = self._made.get(arn)
        if project is None or (stage is not None and stage not in project.stages):
            raise not_found(arn)
        return project

    def _public(self) -> dict[str, Project]:
        """Return AWS's own projects by their ARNs."""
        projects = {}
        for name in sorted(assumptions.PUBLIC_PROJECTS):
            arn = self._shared.arn(PROJECT, name, account=AWS_ACCOUNT)
            projects[arn] = Project(arn, name, ASYNC, {LIVE: ProjectStage({}, ready_at=0)})
        return projects


def _named_by(stage: ProjectStage) -> tuple[Mapping[str, str], ...]:
    return stage.blueprints + stage.fallback_blueprints


def _names_blueprint(stage: ProjectStage, params: Mapping[str, Any]) -> bool:
    wanted = params.get("blueprintFilter")
    # A member that the filter lacks matches all; one that the project lacks is LIVE, its default.
    return wanted is None or any(
        all((item.get(name) or (LIVE if name == "blueprintStage" else None)) == value for name, value in wanted.items())
        for item in _named_by(stage)
    )
