"""Real input in, BDA-shaped results out."""

from airflow_bda.emulator.documents.contract import AssetOutput, ProcessedInput, ProcessingRequest, SegmentOutput
from airflow_bda.emulator.documents.fields.blueprint_schema import BlueprintFileError
from airflow_bda.emulator.documents.processor import AnswerFileError, Processor
from airflow_bda.emulator.documents.reading.input_limits import InputError

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
