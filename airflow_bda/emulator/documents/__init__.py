"""Real input in, BDA-shaped results out."""

from airflow_bda.emulator.documents.answers import AnswerFileError
from airflow_bda.emulator.documents.contract import (
    AssetOutput,
    InputError,
    ProcessedInput,
    ProcessingRequest,
    SegmentOutput,
)
from airflow_bda.emulator.documents.fields.blueprints import BlueprintFileError
from airflow_bda.emulator.documents.processor import Processor

__all__ = [
    "AnswerFileError",
    "AssetOutput",
    "BlueprintFileError",
    "InputError",
    "ProcessedInput",
    "ProcessingRequest",
    "Processor",
    "SegmentOutput",
]
