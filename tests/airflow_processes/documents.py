"""Inputs that cost nothing to read, so that the tests' time goes into Airflow."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.contract import AssetOutput, ProcessedInput, SegmentOutput
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.contract import ProcessingRequest

_SECONDS_A_GATE_STAYS_SHUT = 300.0


class PlainProcessor:
    """
    Finds nothing, in anything.

    :param gate: while it is cleared, jobs stay in progress.
    """

    def __init__(self) -> None:
        self.gate = Event()
        self.gate.set()

    def modality_of(self, key: str, data: bytes) -> Modality:
        """Take everything for a document."""
        return Modality.DOCUMENT

    def process(self, request: ProcessingRequest) -> ProcessedInput:
        """Return one empty segment."""
        assert self.gate.wait(_SECONDS_A_GATE_STAYS_SHUT), "the test never let its jobs go on"
        return ProcessedInput(Modality.DOCUMENT, (AssetOutput((SegmentOutput({}, None, None),)),))

    def known_blueprint(self, arn: str) -> bool:
        """Know none."""
        return False

    def blueprints(self, *, region: str = "us-east-1", account: str = "123456789012") -> tuple[tuple[str, str], ...]:
        """Have none."""
        return ()
