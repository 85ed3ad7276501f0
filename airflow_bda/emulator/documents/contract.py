"""What the emulator hands to the processing, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.reading.file_formats import format_of
from airflow_bda.service.formats import Modality

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class MadeBlueprint:
    """
    A blueprint that was made in the control plane, as it was when the job was taken.

    :param schema: the JSON that ``CreateBlueprint`` took.
    :param type: the modality that it is for.
    :param version: the version that was asked for; None where a stage was.
    """

    arn: str
    name: str
    schema: str
    type: str = "DOCUMENT"
    version: str | None = None


@dataclass(frozen=True)
class ProjectConfiguration:
    """
    What a project asks for, as its request wrote it.

    :param standard_output: ``standardOutputConfiguration``.
    :param override: ``overrideConfiguration``.
    :param fallback_arn: the blueprint for documents that no other one fits, of
        ``customOutputConfiguration.document.fallbackBlueprints``; None for none.
    """

    standard_output: Mapping[str, Any] = field(default_factory=dict)
    override: Mapping[str, Any] = field(default_factory=dict)
    fallback_arn: str | None = None

    def looks_for_sensitive_data(self, modality: Modality) -> bool:
        """Whether it asks to detect sensitive data in this modality."""
        return bool((self.override.get(modality.value.lower()) or {}).get("sensitiveDataConfiguration"))

    def routed_modality(self, data: bytes) -> Modality | None:
        """Return the modality that files of this format are processed as; None where the project leaves it open."""
        file_format = format_of(data)
        routing = self.override.get("modalityRouting") or {}
        wanted = routing.get(file_format.value.lower()) if file_format else None
        return Modality(wanted) if wanted else None


@dataclass(frozen=True)
class ProcessingRequest:
    """
    One input object, as a job reads it.

    :param bucket: the bucket that the object came from.
    :param key: its key; not trusted, never used as a path.
    :param data: the whole object.
    :param blueprint_arns: what the call asked for, its own blueprints or its project's; empty for none.
    :param region: the region that the call was made in.
    :param account: the caller's account, twelve digits.
    :param sync: whether the smaller limits of ``InvokeDataAutomation`` hold.
    :param made_blueprints: those among *blueprint_arns* and the fallback that are not the processing's own.
    :param project: what the project asks for; the defaults where there is none.
    :param job_folder: the URI of the job's folder, without a slash at its end; empty where no files are written.
    """

    bucket: str
    key: str
    data: bytes
    blueprint_arns: tuple[str, ...]
    region: str
    account: str
    sync: bool = False
    made_blueprints: tuple[MadeBlueprint, ...] = ()
    project: ProjectConfiguration = field(default_factory=ProjectConfiguration)
    job_folder: str = ""


@dataclass(frozen=True)
class SegmentOutput:
    """
    The results of one logical document.

    :param standard: the content of ``standard_output/<n>/result.json``; None when there is none.
    :param custom: the content of ``custom_output/<n>/result.json``; None when no blueprint matched.
    :param custom_status: ``MATCH``, ``NO_MATCH`` or ``FALLBACK``; None when no blueprint was asked for.
    :param files: what stands in ``standard_output/<n>/assets/``, by its name there.
    """

    standard: Mapping[str, Any] | None
    custom: Mapping[str, Any] | None
    custom_status: str | None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class AssetOutput:
    """The segments of one asset, in the order of their pages."""

    segments: tuple[SegmentOutput, ...]


@dataclass(frozen=True)
class ProcessedInput:
    """
    What became of one input object.

    :param notes: what the emulator left out that the service would have written; in no result file.
    """

    modality: Modality
    assets: tuple[AssetOutput, ...]
    notes: tuple[str, ...] = ()
