"""All that a job found, segment by segment. Reading the files is the caller's; this puts together what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading
from airflow_bda.service.errors import BdaError
from airflow_bda.service.formats import Modality
from airflow_bda.service.results.custom import CustomOutput
from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.media import AudioOutput, VideoOutput
from airflow_bda.service.results.metadata import MATCH, NO_MATCH, Asset, JobMetadata, SegmentPaths
from airflow_bda.service.results.parts import StandardOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

_OUTPUTS: dict[Modality, type[DocumentOutput | ImageOutput | AudioOutput | VideoOutput]] = {
    Modality.DOCUMENT: DocumentOutput,
    Modality.IMAGE: ImageOutput,
    Modality.AUDIO: AudioOutput,
    Modality.VIDEO: VideoOutput,
}


@dataclass(frozen=True)
class SegmentResult:
    """
    What was found in one segment.

    :param index: the segment's place in its asset, from 0.
    :param input_s3_uri: the document that it is a part of.
    :param standard: None where the job made no standard output.
    :param custom: None where no blueprint matched, or none was given.
    :param custom_status: ``MATCH``, ``NO_MATCH``, another word as it stands, or None where no blueprint was given.
    """

    asset_id: int | str
    index: int
    input_s3_uri: str | None
    standard: StandardOutput | None
    custom: CustomOutput | None
    custom_status: str | None

    @property
    def pages(self) -> int:
        """How many pages the segment has; 0 for what has none, and where neither output says."""
        if isinstance(self.standard, DocumentOutput):
            return self.standard.page_count
        return len(self.custom.page_indices or ()) if self.custom else 0


@dataclass(frozen=True)
class JobResult:
    """
    What was found by one job.

    :param segments: every segment of every asset, in the metadata's order.
    """

    metadata: JobMetadata
    segments: tuple[SegmentResult, ...]

    @property
    def segment_count(self) -> int:
        """How many segments there are."""
        return len(self.segments)

    @property
    def matched(self) -> int:
        """How many segments a blueprint fits."""
        return sum(segment.custom_status == MATCH for segment in self.segments)

    @property
    def unmatched(self) -> int:
        """How many segments none of the blueprints fits; a job without blueprints has none of these either."""
        return sum(segment.custom_status == NO_MATCH for segment in self.segments)

    @property
    def pages(self) -> int:
        """How many pages were read."""
        return sum(segment.pages for segment in self.segments)


def assemble_result(metadata: JobMetadata, documents: Mapping[str, Any]) -> JobResult:
    """
    Put a job's result together.

    :param documents: what each of :meth:`JobMetadata.output_uris` holds, by URI: its text, or what was read from it.
    :raises BdaError: when one is missing or malformed; it names the URI.
    """
    return JobResult(metadata, tuple(_segment(metadata, *segment, documents) for segment in metadata.segments()))


def parse_standard_output(
    content: str | bytes | Mapping[str, Any], uri: str = "standard output", modality: Modality | None = None
) -> StandardOutput:
    """
    Read ``standard_output/<n>/result.json``.

    :param content: its text, or what was read from it already.
    :param uri: where it is from, for the error's text.
    :param modality: the job's, for a document that does not name its own.
    :raises BdaError: when it is not a JSON object.
    """
    source = json_reading.document(content, uri)
    own = Modality.parse(json_reading.text(json_reading.mapping(source, "metadata"), "semantic_modality")) or modality
    return _OUTPUTS[own].parse(source) if own else StandardOutput(modality=None, raw=source)


def _segment(metadata: JobMetadata, asset: Asset, paths: SegmentPaths, documents: Mapping[str, Any]) -> SegmentResult:
    standard_uri, custom_uri = paths.standard_output_uri, paths.custom_output_uri
    return SegmentResult(
        asset_id=asset.asset_id,
        index=paths.index,
        input_s3_uri=asset.input_s3_uri,
        standard=parse_standard_output(_read(documents, standard_uri), standard_uri, metadata.modality)
        if standard_uri
        else None,
        custom=CustomOutput.parse(_read(documents, custom_uri), custom_uri) if custom_uri else None,
        custom_status=paths.custom_output_status,
    )


def _read(documents: Mapping[str, Any], uri: str) -> Any:
    if uri not in documents:
        raise BdaError(
            f"{uri} is listed in job_metadata.json, and was not read.",
            remedy="Read every URI that output_uris() gives: a result with segments left out would look complete.",
        )
    return documents[uri]
