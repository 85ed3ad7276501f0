"""What the emulator hands to the processing, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.service.formats import Modality


@dataclass(frozen=True)
class MadeBlueprint:
    """
    A blueprint that was made in the control plane, as it was when the job was taken.

    :param schema: the JSON that ``CreateBlueprint`` took.
    """

    arn: str
    name: str
    schema: str


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
    :param made_blueprints: those among *blueprint_arns* that are not the processing's own.
    """

    bucket: str
    key: str
    data: bytes
    blueprint_arns: tuple[str, ...]
    region: str
    account: str
    sync: bool = False
    made_blueprints: tuple[MadeBlueprint, ...] = ()


@dataclass(frozen=True)
class SegmentOutput:
    """
    The results of one logical document.

    :param standard: the content of ``standard_output/<n>/result.json``; None when there is none.
    :param custom: the content of ``custom_output/<n>/result.json``; None when no blueprint matched.
    :param custom_status: ``MATCH`` or ``NO_MATCH``; None when no blueprint was asked for.
    """

    standard: Mapping[str, Any] | None
    custom: Mapping[str, Any] | None
    custom_status: str | None


@dataclass(frozen=True)
class AssetOutput:
    """The segments of one asset, in the order of their pages."""

    segments: tuple[SegmentOutput, ...]


@dataclass(frozen=True)
class ProcessedInput:
    """What became of one input object."""

    modality: Modality
    assets: tuple[AssetOutput, ...]


class InputError(Exception):
    """
    The input cannot be processed: its job ends in ``ClientError``.

    :param error_type: the word for ``errorType``.
    :param error_message: the sentence for ``errorMessage``.
    """

    def __init__(self, error_type: str, error_message: str) -> None:
        self.error_type = error_type
        self.error_message = error_message
        super().__init__(f"{error_type}: {error_message}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.error_type, self.error_message)
