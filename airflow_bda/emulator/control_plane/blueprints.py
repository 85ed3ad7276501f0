"""The blueprints of one account in one region: its own with their stages and versions, and those that AWS manages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.control_plane.resources import AWS_ACCOUNT, page
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.api_errors import ApiError, conflict, not_found, quota_exceeded, validation_error
from airflow_bda.emulator.documents.contract import MadeBlueprint
from airflow_bda.emulator.documents.fields.blueprint_schema import Group, Rows, Series, parse_blueprint
from airflow_bda.emulator.documents.fields.catalogue import blueprint_id, managed_blueprint
from airflow_bda.service.arns import BLUEPRINT, Arn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_bda.emulator.control_plane.resources import Resources
    from airflow_bda.emulator.documents.fields.blueprint_schema import Node

LIVE, DEVELOPMENT, ALL = "LIVE", "DEVELOPMENT", "ALL"
SERVICE_OWNER = "SERVICE"
_DOCUMENT = "DOCUMENT"
# https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html
MOST_BLUEPRINTS, MOST_VERSIONS = 1000, 100
MOST_LEAVES, MOST_LIST_LEAVES, MOST_SYNC_LEAVES = 100, 30, 15


@dataclass
class CustomBlueprint:
    """
    A blueprint.

    :param stages: the schema of each stage that it has.
    :param encryption: ``kmsKeyId`` and ``kmsEncryptionContext``, as a request named them.
    :param versions: the schema of each version, by its number from 1.
    :param optimization: ``optimizationSamples`` and ``optimizationTime`` of the last optimization.
    """

    arn: str
    name: str
    type: str
    stages: dict[str, str]
    encryption: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    optimization: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    changed_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def schema(self, *, version: str | None = None, stage: str | None = None) -> str | None:
        """Return the schema of a version, else of a stage (LIVE where none is named); None where it has none."""
        return self.versions.get(version) if version else self.stages.get(stage or LIVE)

    def update(self, schema: str, stage: str) -> None:
        """Change a stage, or begin it."""
        self.stages[stage] = schema
        self.changed_at = datetime.now(timezone.utc)

    def add_version(self) -> str:
        """
        Keep the LIVE schema as a version, and return its number.

        :raises ApiError: where it has as many as a blueprint may have.
        """
        if len(self.versions) >= MOST_VERSIONS:
            raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(what="blueprint versions", limit=MOST_VERSIONS))
        # Not their count: one that was deleted keeps its number.
        number = str(max(map(int, self.versions), default=0) + 1)
        self.versions[number] = self.stages.get(LIVE) or next(iter(self.stages.values()))
        return number

    def to_api(self, *, version: str | None = None, stage: str | None = None) -> dict[str, Any]:
        """
        Return it as the API does.

        :raises ApiError: when it has no such version or stage.
        """
        schema = self.schema(version=version, stage=stage)
        if schema is None:
            raise not_found(self.arn)
        return {
            **self.summary(stage or LIVE, version),
            "schema": schema,
            "type": self.type,
            **self.encryption,
            **self.optimization,
        }

    def summary(self, stage: str, version: str | None = None) -> dict[str, Any]:
        """Return its entry in a listing."""
        return {
            "blueprintArn": self.arn,
            "blueprintName": self.name,
            "blueprintStage": stage,
            "creationTime": self.created_at.isoformat(),
            "lastModifiedTime": self.changed_at.isoformat(),
            **({"blueprintVersion": version} if version else {}),
        }

    def made(self, item: Mapping[str, str]) -> MadeBlueprint | None:
        """
        Return it as the processing takes it, in the version or stage that a request or a project names.

        :param item: ``blueprintArn``, and ``version`` or ``stage``; a project writes ``blueprintVersion`` and
            ``blueprintStage``.
        """
        version = item.get("version") or item.get("blueprintVersion")
        schema = self.schema(version=version, stage=item.get("stage") or item.get("blueprintStage"))
        return MadeBlueprint(self.arn, self.name, schema, self.type, version) if schema else None


class Blueprints:
    """The operations on blueprints."""

    def __init__(self, shared: Resources) -> None:
        self._shared = shared
        self._made: dict[str, CustomBlueprint] = {}

    # -- what the runtime, projects and optimizations ask

    def get(self, arn: str) -> CustomBlueprint | None:
        """Return a blueprint that was made here."""
        return self._made.get(arn)

    def made(self, items: Iterable[Mapping[str, str]]) -> tuple[MadeBlueprint, ...]:
        """Return those of the blueprints that were made here, in the version or stage that each item names."""
        found = ((self._made.get(item["blueprintArn"]), item) for item in items)
        return tuple(made for blueprint, item in found if blueprint and (made := blueprint.made(item)) is not None)

    def is_known(self, item: Mapping[str, str]) -> bool:
        """Whether there is such a blueprint, made here or the processing's own, in the version or stage named."""
        return bool(self.made([item])) or self._shared.emulator.processor.known_blueprint(item["blueprintArn"])

    # -- operations

    def create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make a blueprint in one stage."""
        stage = params.get("blueprintStage", LIVE)
        with self._shared.lock:
            known = self._made.get(self._shared.made_before(BLUEPRINT, params) or "")
            if known is not None:
                return {"blueprint": known.to_api(stage=stage)}
            if any(blueprint.name == params["blueprintName"] for blueprint in self._made.values()):
                raise conflict(params["blueprintName"])
            if len(self._made) >= MOST_BLUEPRINTS:
                raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(what="blueprints", limit=MOST_BLUEPRINTS))
            check_schema(params["schema"])
            arn = self._shared.add(BLUEPRINT, params)
            made = CustomBlueprint(
                arn,
                params["blueprintName"],
                params["type"],
                {stage: params["schema"]},
                dict(params.get("encryptionConfiguration") or {}),
            )
            self._made[arn] = made
            return {"blueprint": made.to_api(stage=stage)}

    def create_version(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a blueprint as it is as a version."""
        with self._shared.lock:
            blueprint = self.own(params["blueprintArn"])
            kind = f"version of {blueprint.arn}"
            version = self._shared.made_before(kind, params)
            if version not in blueprint.versions:
                version = blueprint.add_version()
                self._shared.remember(kind, params, version)
            return {"blueprint": blueprint.to_api(version=version)}

    def copy_stage(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Put the schema of one stage into another, which may be new."""
        with self._shared.lock:
            blueprint = self.own(params["blueprintArn"])
            source, target = params["sourceStage"], params["targetStage"]
            if source == target:
                raise validation_error(assumptions.SAME_STAGE_MESSAGE.format(stage=source))
            if source not in blueprint.stages:
                raise not_found(blueprint.arn)
            blueprint.update(blueprint.stages[source], target)
            return {}

    def read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a blueprint in a version or a stage."""
        blueprint = self._find(params["blueprintArn"])
        version, stage = params.get("blueprintVersion"), params.get("blueprintStage")
        return {"blueprint": blueprint.to_api(version=version, stage=stage)}

    def listing(self, params: Mapping[str, Any], in_project: Iterable[Mapping[str, str]] | None) -> dict[str, Any]:
        """
        List the account's blueprints, or AWS's own.

        :param in_project: the blueprints that the project in the filter names; None without such a filter.
        """
        arn, wanted = params.get("blueprintArn"), params.get("blueprintStageFilter", ALL)
        owned_by_aws = params.get("resourceOwner") == SERVICE_OWNER
        blueprints = self._managed() if owned_by_aws else list(self._made.values())
        named = None if in_project is None else {item["blueprintArn"] for item in in_project}
        summaries = []
        for blueprint in blueprints:
            if arn not in {None, blueprint.arn} or (named is not None and blueprint.arn not in named):
                continue
            summaries += [blueprint.summary(stage) for stage in blueprint.stages if wanted in {ALL, stage}]
            if arn is not None and wanted in {ALL, LIVE}:
                # Only where one blueprint is asked for: a listing of all shows each once a stage.
                summaries += [blueprint.summary(LIVE, version) for version in blueprint.versions]
        return page("blueprints", summaries, params)

    def update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Change a blueprint in one stage."""
        with self._shared.lock:
            blueprint = self.own(params["blueprintArn"])
            check_schema(params["schema"])
            stage = params.get("blueprintStage", LIVE)
            blueprint.update(params["schema"], stage)
            blueprint.encryption |= params.get("encryptionConfiguration") or {}
            return {"blueprint": blueprint.to_api(stage=stage)}

    def delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Delete a blueprint, or one version of it. Projects that name it keep its name and stay as they are."""
        with self._shared.lock:
            blueprint = self.own(params["blueprintArn"])
            version = params.get("blueprintVersion")
            if version is None:
                del self._made[blueprint.arn]
                self._shared.remove(blueprint.arn)
            elif blueprint.versions.pop(version, None) is None:
                raise not_found(blueprint.arn)
            return {}

    def own(self, arn: str) -> CustomBlueprint:
        """
        Find a blueprint that may be changed.

        :raises ApiError: where it is not there, or AWS's, or one of the emulator's folder.
        """
        if arn in self._made:
            return self._made[arn]
        if self._shared.emulator.processor.known_blueprint(arn):
            raise ApiError("AccessDeniedException", assumptions.MANAGED_BLUEPRINT_MESSAGE.format(arn=arn))
        raise not_found(arn)

    # -- AWS's own, and those of the emulator's folder

    def _find(self, arn: str) -> CustomBlueprint:
        if arn in self._made:
            return self._made[arn]
        for known, name in self._listed():
            if known == arn:
                return self._as_custom(arn, name)
        # AWS may have one that no public source names. It is not in a listing.
        unlisted = managed_blueprint(arn)
        if unlisted and arn == self._shared.arn(BLUEPRINT, unlisted.resource_id, account=AWS_ACCOUNT):
            return self._as_custom(arn, unlisted.name)
        raise not_found(arn)

    def _managed(self) -> list[CustomBlueprint]:
        managed = [self._as_custom(arn, name) for arn, name in self._listed() if Arn.parse(arn).account == AWS_ACCOUNT]
        for blueprint in managed:
            # They have one stage in a listing; GetBlueprint also takes the other.
            del blueprint.stages[DEVELOPMENT]
        return managed

    def _listed(self) -> list[tuple[str, str]]:
        """List ARN and name of each, in this region and partition."""
        shared = self._shared
        listed = shared.emulator.processor.blueprints(region=shared.region, account=shared.account)
        parsed = ((Arn.parse(arn), name) for arn, name in listed)
        return [(shared.arn(BLUEPRINT, arn.resource_id, account=arn.account), name) for arn, name in parsed]

    def _as_custom(self, arn: str, name: str) -> CustomBlueprint:
        managed = managed_blueprint(arn)
        schema = self._schema_of_folder(arn) or (managed and managed.schema) or _schema_without_fields(name)
        modality = str(managed.modality) if managed else _DOCUMENT
        return CustomBlueprint(arn, name, modality, dict.fromkeys((LIVE, DEVELOPMENT), schema))

    def _schema_of_folder(self, arn: str) -> str | None:
        folder = self._shared.emulator.settings.blueprints_dir
        for path in sorted(folder.glob("*.json")) if folder else ():
            if blueprint_id(path.stem) == Arn.parse(arn).resource_id:
                document = json.loads(path.read_text(encoding="utf-8"))
                # A file holds a schema, or what `get-blueprint` prints.
                inner = document.get("blueprint", document).get("schema", document)
                return inner if isinstance(inner, str) else json.dumps(inner)
        return None


def _schema_without_fields(name: str) -> str:
    return json.dumps(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "class": name,
            "description": "The emulator has no schema of this blueprint of AWS's, only its name.",
            "type": "object",
            "properties": {},
        }
    )


def check_schema(schema: str) -> None:
    """
    Check that a schema is a blueprint's, with no more fields than one may have.

    :raises ApiError: a ValidationException that says what is wrong.
    """
    try:
        members = parse_blueprint(schema).members
    except (ValueError, RecursionError) as error:
        raise validation_error(f"{assumptions.INVALID_BLUEPRINT_MESSAGE}: {error}") from error
    leaves, in_lists = _count_leaves(members)
    for count, limit, what in ((leaves, MOST_LEAVES, "leaf fields"), (in_lists, MOST_LIST_LEAVES, "list leaf fields")):
        if count > limit:
            problem = assumptions.TOO_MANY_FIELDS_MESSAGE.format(count=count, what=what, limit=limit)
            raise validation_error(f"{assumptions.INVALID_BLUEPRINT_MESSAGE}: {problem}")


def check_sync_blueprints(made: Iterable[MadeBlueprint]) -> None:
    """
    Check that blueprints that were made here are small enough for the synchronous call.

    :raises ApiError: a ValidationException.
    """
    for blueprint in made:
        leaves, _ = _count_leaves(parse_blueprint(blueprint.schema).members)
        if leaves > MOST_SYNC_LEAVES:
            limits = {"count": leaves, "what": "leaf fields", "limit": f"{MOST_SYNC_LEAVES} in the synchronous call"}
            raise validation_error(assumptions.TOO_MANY_FIELDS_MESSAGE.format(**limits))


def _count_leaves(members: Iterable[Node]) -> tuple[int, int]:
    """Count the single values that a blueprint asks for, and those of them that stand in lists."""
    leaves = in_lists = 0
    for member in members:
        if isinstance(member, Group):
            more, more_in_lists = _count_leaves(member.members)
            leaves, in_lists = leaves + more, in_lists + more_in_lists
        else:
            columns = len(member.columns) if isinstance(member, Rows) else 1
            leaves += columns
            in_lists += columns if isinstance(member, (Rows, Series)) else 0
    return leaves, in_lists
