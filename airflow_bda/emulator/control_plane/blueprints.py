"""The custom blueprints of one account in one region, with their stages and versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.control_plane.errors import not_found
from airflow_bda.emulator.documents.contract import MadeBlueprint
from airflow_bda.emulator.documents.fields.blueprints import parse_blueprint

if TYPE_CHECKING:
    from collections.abc import Mapping

LIVE, DEVELOPMENT, ALL = "LIVE", "DEVELOPMENT", "ALL"


@dataclass
class CustomBlueprint:
    """
    A blueprint.

    :param stages: the schema of each stage that it has.
    :param versions: the schema of each version, by its number from 1.
    """

    arn: str
    name: str
    type: str
    stages: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    changed_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def schema(self, *, version: str | None = None, stage: str | None = None) -> str | None:
        """Give the schema of a version, else of a stage (LIVE where none is named); None where it has none."""
        return self.versions.get(version) if version else self.stages.get(stage or LIVE)

    def update(self, schema: str, stage: str) -> None:
        """Change a stage, or begin it."""
        self.stages[stage] = schema
        self.changed_at = datetime.now(timezone.utc)

    def add_version(self) -> str:
        """Keep the LIVE schema as a version, and give its number."""
        number = str(len(self.versions) + 1)
        self.versions[number] = self.stages.get(LIVE) or next(iter(self.stages.values()))
        return number

    def to_api(self, *, version: str | None = None, stage: str | None = None) -> dict[str, Any]:
        """
        Give it as the API does.

        :raises ApiError: when it has no such version or stage.
        """
        schema = self.schema(version=version, stage=stage)
        if schema is None:
            raise not_found(self.arn)
        return {
            **self.summary(stage or LIVE),
            "schema": schema,
            "type": self.type,
            **({"blueprintVersion": version} if version else {}),
        }

    def summary(self, stage: str) -> dict[str, Any]:
        """Give what a listing tells of it."""
        return {
            "blueprintArn": self.arn,
            "blueprintName": self.name,
            "blueprintStage": stage,
            "creationTime": self.created_at.isoformat(),
            "lastModifiedTime": self.changed_at.isoformat(),
        }

    def made(self, item: Mapping[str, str]) -> MadeBlueprint | None:
        """
        Give it as the processing takes it, in the version or stage that a request or a project names.

        :param item: ``blueprintArn``, and ``version`` or ``stage``; a project writes ``blueprintVersion`` and
            ``blueprintStage``.
        """
        version = item.get("version") or item.get("blueprintVersion")
        schema = self.schema(version=version, stage=item.get("stage") or item.get("blueprintStage"))
        return MadeBlueprint(self.arn, self.name, schema) if schema else None


def problem_of_schema(schema: str) -> str | None:
    """Say what is wrong in a schema; None where nothing is."""
    try:
        parse_blueprint(schema)
    except (ValueError, RecursionError) as error:
        return str(error)
    return None
