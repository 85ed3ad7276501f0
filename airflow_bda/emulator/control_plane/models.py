"""BDA's control plane as a moto backend: the projects and blueprints of one account in one region."""

from __future__ import annotations

import secrets
from threading import RLock
from typing import TYPE_CHECKING, Any

from moto.core.base_backend import BackendDict, BaseBackend

from airflow_bda.emulator.control_plane.blueprints import (
    ALL,
    DEVELOPMENT,
    LIVE,
    CustomBlueprint,
    problem_of_schema,
)
from airflow_bda.emulator.control_plane.errors import conflict, not_found
from airflow_bda.emulator.control_plane.projects import IN_PROGRESS, Project, ProjectStage
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.calls import RateLimiter
from airflow_bda.emulator.core.errors import validation_error
from airflow_bda.emulator.core.registration import bda_regions
from airflow_bda.emulator.core.state import EMULATOR
from airflow_bda.service.arns import BLUEPRINT, PROJECT, Arn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_bda.emulator.documents.contract import MadeBlueprint

_AWS, _SERVICE = "aws", "SERVICE"


class BdaControlBackend(BaseBackend):
    """The projects and blueprints of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.emulator = EMULATOR
        self.limiter = RateLimiter()
        self._lock = RLock()
        self._projects: dict[str, Project] = {}
        self._blueprints: dict[str, CustomBlueprint] = {}
        self._answer_of_token: dict[tuple[str, str], str] = {}

    # -- what the runtime asks

    def project(self, arn: str) -> Project | None:
        """Give a project that was made here."""
        return self._projects.get(arn)

    def made_blueprint(self, item: Mapping[str, str]) -> MadeBlueprint | None:
        """Give a blueprint that was made here, in the version or stage that *item* names."""
        blueprint = self._blueprints.get(item["blueprintArn"])
        return blueprint.made(item) if blueprint else None

    def made_blueprints(self, items: Iterable[Mapping[str, str]]) -> tuple[MadeBlueprint, ...]:
        """Give those of the blueprints that were made here."""
        return tuple(made for item in items if (made := self.made_blueprint(item)) is not None)

    # -- projects

    def create_data_automation_project(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make a project in one stage."""
        with self._lock:
            if known := self._made_before("project", params):
                return self._project_answer(known, params)
            if any(project.name == params["projectName"] for project in self._projects.values()):
                raise conflict(params["projectName"])
            stage = self._new_stage(params)
            arn = self._arn(PROJECT)
            self._projects[arn] = Project(
                arn,
                params["projectName"],
                params.get("projectType", "ASYNC"),
                {params.get("projectStage", LIVE): stage},
            )
            self._remember("project", params, arn)
            return self._project_answer(arn, params)

    def get_data_automation_project(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Give a project in one stage; AWS's own have nothing but their names."""
        arn, stage = params["projectArn"], params.get("projectStage", LIVE)
        if arn in self._public_arns() and stage == LIVE:
            return {"project": self._public_project(arn).to_api(LIVE)}
        return {"project": self._find_project(arn, stage).to_api(stage)}

    def list_data_automation_projects(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List the account's projects, or AWS's own."""
        wanted = params.get("projectStageFilter", ALL)
        projects: Iterable[Project] = self._projects.values()
        if params.get("resourceOwner") == _SERVICE:
            projects = map(self._public_project, self._public_arns())
        summaries = [
            project.summary(stage) for project in projects for stage in project.stages if wanted in {ALL, stage}
        ]
        return _page("projects", summaries, params)

    def update_data_automation_project(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Change a stage of a project, or begin it; it is in progress for some time."""
        with self._lock:
            project = self._find_project(params["projectArn"])
            stage = params.get("projectStage", LIVE)
            state = self._new_stage(params)
            if stage in project.stages:
                state.created_at = project.stages[stage].created_at
            project.stages[stage] = state
            return self._project_answer(project.arn, params)

    def delete_data_automation_project(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Delete a project in all its stages."""
        with self._lock:
            project = self._find_project(params["projectArn"])
            del self._projects[project.arn]
            # Recorded from the service: the answer to a delete says IN_PROGRESS.
            return {"projectArn": project.arn, "status": IN_PROGRESS}

    # -- blueprints

    def create_blueprint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make a blueprint in one stage."""
        stage = params.get("blueprintStage", LIVE)
        with self._lock:
            if known := self._made_before("blueprint", params):
                return {"blueprint": self._blueprints[known].to_api(stage=stage)}
            if any(blueprint.name == params["blueprintName"] for blueprint in self._blueprints.values()):
                raise conflict(params["blueprintName"])
            _check_schema(params["schema"])
            arn = self._arn(BLUEPRINT)
            made = CustomBlueprint(arn, params["blueprintName"], params["type"], {stage: params["schema"]})
            self._blueprints[arn] = made
            self._remember("blueprint", params, arn)
            return {"blueprint": made.to_api(stage=stage)}

    def create_blueprint_version(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a blueprint as it is as a version."""
        with self._lock:
            blueprint = self._find_blueprint(params["blueprintArn"])
            return {"blueprint": blueprint.to_api(version=blueprint.add_version())}

    def get_blueprint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Give a blueprint in a version or a stage."""
        blueprint = self._find_blueprint(params["blueprintArn"])
        asked = {"version": params.get("blueprintVersion"), "stage": params.get("blueprintStage")}
        return {"blueprint": blueprint.to_api(**asked)}

    def list_blueprints(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List the account's blueprints, or AWS's own."""
        if params.get("resourceOwner") == _SERVICE:
            listed = self.emulator.processor.blueprints(region=self.region_name, account=self.account_id)
            public = [CustomBlueprint(arn, name, "DOCUMENT", {LIVE: ""}) for arn, name in listed if f":{_AWS}:" in arn]
            return _page("blueprints", [blueprint.summary(LIVE) for blueprint in public], params)
        wanted = params.get("blueprintStageFilter", ALL)
        summaries = [
            blueprint.summary(stage)
            for blueprint in self._blueprints.values()
            for stage in blueprint.stages
            if wanted in {ALL, stage} and params.get("blueprintArn") in {None, blueprint.arn}
        ]
        return _page("blueprints", summaries, params)

    def update_blueprint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Change a blueprint in one stage."""
        with self._lock:
            blueprint = self._find_blueprint(params["blueprintArn"])
            _check_schema(params["schema"])
            stage = params.get("blueprintStage", LIVE)
            blueprint.update(params["schema"], stage)
            return {"blueprint": blueprint.to_api(stage=stage)}

    def delete_blueprint(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Delete a blueprint, or one version of it."""
        with self._lock:
            blueprint = self._find_blueprint(params["blueprintArn"])
            version = params.get("blueprintVersion")
            if version is None:
                del self._blueprints[blueprint.arn]
            elif blueprint.versions.pop(version, None) is None:
                raise not_found(blueprint.arn)
            return {}

    # -- what the above share

    def _new_stage(self, params: Mapping[str, Any]) -> ProjectStage:
        stage = ProjectStage.of_request(params, seconds=self.emulator.settings.project_seconds)
        for item in stage.blueprints:
            arn = item["blueprintArn"]
            if self.made_blueprint(item) is None and not self.emulator.processor.known_blueprint(arn):
                raise validation_error(assumptions.UNKNOWN_BLUEPRINT_MESSAGE)
        return stage

    def _project_answer(self, arn: str, params: Mapping[str, Any]) -> dict[str, Any]:
        stage = params.get("projectStage", LIVE)
        return {"projectArn": arn, "projectStage": stage, "status": self._find_project(arn, stage).stages[stage].status}

    def _find_project(self, arn: str, stage: str | None = None) -> Project:
        project = self._projects.get(arn)
        if project is None or (stage is not None and stage not in project.stages):
            raise not_found(arn)
        return project

    def _find_blueprint(self, arn: str) -> CustomBlueprint:
        if arn in self._blueprints:
            return self._blueprints[arn]
        listed = self.emulator.processor.blueprints(region=self.region_name, account=self.account_id)
        for known, name in listed:
            if known == arn:
                # Those of the emulator itself and of its folder; their files are not given out.
                return CustomBlueprint(arn, name, "DOCUMENT", dict.fromkeys((LIVE, DEVELOPMENT), "{}"))
        raise not_found(arn)

    def _arn(self, resource_type: str) -> str:
        # Seen on the service: twelve hexadecimal digits.
        return str(Arn(self.partition, self.region_name, self.account_id, resource_type, secrets.token_hex(6)))

    def _public_arns(self) -> list[str]:
        names = sorted(assumptions.PUBLIC_PROJECTS)
        return [str(Arn(self.partition, self.region_name, _AWS, PROJECT, name)) for name in names]

    def _public_project(self, arn: str) -> Project:
        return Project(arn, Arn.parse(arn).resource_id, "ASYNC", {LIVE: ProjectStage({}, ready_at=0)})

    def _made_before(self, kind: str, params: Mapping[str, Any]) -> str | None:
        arn = self._answer_of_token.get((kind, params.get("clientToken", "")))
        # What was deleted meanwhile is made anew.
        return arn if arn in self._projects or arn in self._blueprints else None

    def _remember(self, kind: str, params: Mapping[str, Any], arn: str) -> None:
        if params.get("clientToken"):
            self._answer_of_token[kind, params["clientToken"]] = arn


def _check_schema(schema: str) -> None:
    if problem := problem_of_schema(schema):
        raise validation_error(f"{assumptions.INVALID_BLUEPRINT_MESSAGE}: {problem}")


def _page(name: str, items: list[dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """Give a page of a listing; the token is where the next one begins."""
    token = params.get("nextToken", "0")
    if not token.isdigit():
        raise validation_error(f"The nextToken {token!r} is not one of this service.")
    start = int(token)
    end = start + int(params.get("maxResults", len(items) or 1))
    return {name: items[start:end], **({"nextToken": str(end)} if end < len(items) else {})}


bedrockdataautomation_backends = BackendDict(
    BdaControlBackend,
    "bedrock-data-automation",
    use_boto3_regions=False,
    additional_regions=bda_regions(),
)
