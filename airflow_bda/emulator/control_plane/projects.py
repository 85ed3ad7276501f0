"""The data automation projects of one account in one region; each stage of one is a configuration of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_PROGRESS, COMPLETED = "IN_PROGRESS", "COMPLETED"
# What a request sets and an answer gives back as it was.
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
        Make a stage of what was asked for.

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
        """Give one stage of it as the API does."""
        state = self.stages[stage]
        return {
            **self.summary(stage),
            **state.configuration,
            "lastModifiedTime": state.changed_at.isoformat(),
            "status": state.status,
        }

    def summary(self, stage: str) -> dict[str, Any]:
        """Give what a listing tells of a stage."""
        return {
            "projectArn": self.arn,
            "projectName": self.name,
            "projectStage": stage,
            "projectType": self.type,
            "creationTime": self.stages[stage].created_at.isoformat(),
        }
