"""Real input in, BDA-shaped results out."""

from airflow_bda.emulator.processing.answers import AnswerFileError
from airflow_bda.emulator.processing.contract import (
    AssetOutput,
    InputError,
    ProcessedInput,
    ProcessingRequest,
    SegmentOutput,
)
from airflow_bda.emulator.processing.extraction.blueprints import BlueprintFileError
from airflow_bda.emulator.processing.processor import Processor

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
