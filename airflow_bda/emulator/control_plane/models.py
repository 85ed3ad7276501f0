"""BDA's control plane as a moto backend: what one account has in one region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.base_backend import BackendDict, BaseBackend

from airflow_bda.emulator.control_plane.blueprints import Blueprints
from airflow_bda.emulator.control_plane.libraries import Libraries
from airflow_bda.emulator.control_plane.optimization import Optimizations
from airflow_bda.emulator.control_plane.projects import Projects
from airflow_bda.emulator.control_plane.recommendation import Recommendations
from airflow_bda.emulator.control_plane.resources import Resources
from airflow_bda.emulator.core.answering import RateLimiter
from airflow_bda.emulator.core.registration import bda_regions
from airflow_bda.emulator.core.state import EMULATOR

if TYPE_CHECKING:
    from collections.abc import Mapping


class BdaControlBackend(BaseBackend):
    """The projects, blueprints and libraries of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.emulator = EMULATOR
        self.limiter = RateLimiter()
        self.resources = Resources(self.partition, region_name, account_id, EMULATOR)
        self.blueprints = Blueprints(self.resources)
        self.libraries = Libraries(self.resources)
        self.projects = Projects(self.resources, self.blueprints, self.libraries.is_there)
        self.optimizations = Optimizations(self.resources, self.blueprints)
        self.recommendations = Recommendations(self.resources, self.blueprints)

    def reset(self) -> None:
        """Forget everything, as moto's reset does; what runs in the background ends without a trace."""
        self.resources.cancelled.set()
        super().reset()

    def list_blueprints(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List blueprints: all, or those that a project names."""
        stages = self.projects.stages_of(params.get("projectFilter"))
        if stages is None:
            return self.blueprints.listing(params, None)
        named = [item for stage in stages for item in (*stage.blueprints, *stage.fallback_blueprints)]
        return self.blueprints.listing(params, named)

    def list_libraries(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List libraries: all, or those that a project uses."""
        stages = self.projects.stages_of(params.get("projectFilter"))
        if stages is None:
            return self.libraries.listing(params, None)
        used = [arn for stage in stages for arn in stage.libraries]
        return self.libraries.listing(params, used)


bedrockdataautomation_backends = BackendDict(
    BdaControlBackend,
    "bedrock-data-automation",
    use_boto3_regions=False,
    additional_regions=bda_regions(),
)
