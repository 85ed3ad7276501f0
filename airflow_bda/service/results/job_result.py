"""All that a job found, segment by segment. Reading the files is the caller's; this puts together what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import eq
from typing import Any, overload

from airflow_bda.service import json_reading
from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.custom import CustomOutput, ExtractedField
from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.json_file import open_document
from airflow_bda.service.results.media import AudioOutput, VideoOutput
from airflow_bda.service.results.metadata import FALLBACK, MATCH, NO_MATCH, Asset, JobMetadata, SegmentPaths
from airflow_bda.service.results.parts import SensitiveData, StandardOutput
from airflow_bda.service.results.rows import FIELDS, rows_of_job
from airflow_bda.service.s3 import Modality

_OUTPUTS: dict[Modality, type[DocumentOutput | ImageOutput | AudioOutput | VideoOutput]] = {
    Modality.DOCUMENT: DocumentOutput,
    Modality.IMAGE: ImageOutput,
    Modality.AUDIO: AudioOutput,
    Modality.VIDEO: VideoOutput,
}


@dataclass(frozen=True, repr=False)
class SegmentResult(json_reading.PlainData):
    """
    What was found in one segment. Its files are decoded when they are asked for.

    :param index: the segment's place in its asset, from 0.
    :param input_s3_uri: the document that it is a part of.
    :param custom_status: ``MATCH``, ``NO_MATCH``, ``FALLBACK`` (the project's fallback blueprint was used), another
        word as it stands, or None where no blueprint was given.
    :param paths: where the segment's files are, with those that are not read, such as redacted ones.
    :param job_modality: the job's modality, for a file that does not name its own.
    :param standard_source: the standard output as it is.
    :param custom_source: the custom output as it is.
    """

    asset_id: int | str
    index: int
    input_s3_uri: str | None
    custom_status: str | None
    paths: SegmentPaths
    job_modality: Modality | None
    standard_source: Mapping[str, Any] | None
    custom_source: Mapping[str, Any] | None

    @cached_property
    def standard(self) -> StandardOutput | None:
        """The standard output; None where the job made none."""
        if self.standard_source is None:
            return None
        return parse_standard_output(self.standard_source, self.paths.standard_output_uri or "", self.job_modality)

    @cached_property
    def custom(self) -> CustomOutput | None:
        """The custom output; None where no blueprint matched, or none was given."""
        if self.custom_source is None:
            return None
        return CustomOutput.parse(self.custom_source, self.paths.custom_output_uri or "")

    @property
    def modality(self) -> Modality | None:
        """What the service took the segment for."""
        return self.standard.modality if self.standard else self.job_modality

    @property
    def text(self) -> str | None:
        """
        What was read or heard, in one text, wherever the project's granularity put it; None where there is none.

        Of a document in this order: its text, markdown or HTML; its pages', joined; its elements', lines' or words'.
        Of an image the lines in it, of audio and video the transcript.
        """
        return self.standard.text if self.standard else None

    @property
    def pages(self) -> int:
        """How many pages the segment has; 0 for what has none, and where neither output says."""
        standard = self.standard if isinstance(self.standard, DocumentOutput) else None
        if standard and standard.page_count:
            return standard.page_count
        if self.custom and self.custom.page_indices:
            return len(self.custom.page_indices)
        return len({index for element in standard.elements for index in element.page_indices}) if standard else 0

    @property
    def sensitive_data(self) -> tuple[SensitiveData, ...]:
        """The findings of sensitive data in either output."""
        return tuple(finding for each in (self.standard, self.custom) if each for finding in each.sensitive_data)

    def fields(self, *, below: float | None = None, found: bool | None = None) -> tuple[ExtractedField, ...]:
        """Return the fields; none where there is no custom output. See :meth:`CustomOutput.fields`."""
        return self.custom.fields(below=below, found=found) if self.custom else ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which XComs and JSON take: the facts, the fields and the text."""
        blueprint = self.custom.matched_blueprint if self.custom else None
        facts = {
            "asset_id": self.asset_id,
            "segment": self.index,
            "input_s3_uri": self.input_s3_uri,
            "modality": self.modality.value if self.modality else None,
            "pages": self.pages,
            "custom_output_status": self.custom_status,
            "blueprint": blueprint.name if blueprint else None,
            "blueprint_confidence": blueprint.confidence if blueprint else None,
            "document_class": self.custom.document_class if self.custom else None,
            "summary": self.standard.summary if self.standard else None,
            "text": self.text,
        }
        plain: dict[str, Any] = json_reading.plain(facts)
        return plain | {"fields": [field.to_dict() for field in self.fields()]}

    def __repr__(self) -> str:
        return f"SegmentResult(asset {self.asset_id}, segment {self.index}, {self.custom_status})"


class _Segments(Sequence[SegmentResult]):
    """The segments of a job, each made when it is asked for, so that what was decoded of one goes with it."""

    def __init__(self, makers: Sequence[Callable[[], SegmentResult]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    def __iter__(self) -> Iterator[SegmentResult]:
        return (make() for make in self._makers)

    @overload
    def __getitem__(self, index: int) -> SegmentResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SegmentResult]: ...
    def __getitem__(self, index: int | slice) -> SegmentResult | Sequence[SegmentResult]:
        return _Segments(self._makers[index]) if isinstance(index, slice) else self._makers[index]()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"<{len(self)} segments>"

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


@dataclass(frozen=True)
class JobResult(json_reading.PlainData):
    """
    What was found by one job.

    :param segments: every segment of every asset, in the metadata's order. Going through it decodes one segment at a
        time: memory is bounded by the largest segment, not by the job.
    """

    metadata: JobMetadata
    segments: Sequence[SegmentResult]

    @property
    def segment_count(self) -> int:
        """How many segments there are."""
        return len(self.segments)

    @property
    def matched(self) -> int:
        """How many segments a blueprint fits."""
        return self._count(MATCH)

    @property
    def fallback(self) -> int:
        """How many segments none of the blueprints fits, so that the project's fallback blueprint was used."""
        return self._count(FALLBACK)

    @property
    def unmatched(self) -> int:
        """How many segments none of the blueprints fits; a job without blueprints has none of these either."""
        return self._count(NO_MATCH)

    @property
    def pages(self) -> int:
        """How many pages were read."""
        return sum(segment.pages for segment in self.segments)

    def with_status(self, *statuses: str) -> Iterator[SegmentResult]:
        """
        Go through the segments whose custom output has one of *statuses*.

        :param statuses: such as ``MATCH`` and ``FALLBACK``, which are the segments that have fields.
        """
        return (segment for segment in self.segments if segment.custom_status in statuses)

    def rows(
        self, table: str = FIELDS, *, invocation_arn: str | None = None, min_confidence: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Go through the result as rows of a table, as ``BdaResultsOperator`` writes them.

        :param table: ``fields`` (one row a value) or ``segments`` (one row a segment).
        :param invocation_arn: the job, for the column; the result files do not name it.
        :param min_confidence: leave out fields with a confidence below this, 0 to 1; one without a confidence stays.
        """
        rows = rows_of_job(self, invocation_arn=invocation_arn, min_confidence=min_confidence)
        return (row for name, row in rows if name == table)

    def to_dict(self) -> dict[str, Any]:
        """
        Return plain data, which XComs and JSON take: the job's facts, the counts, and every segment.

        It holds the documents' texts: return less from a task where that is too much for an XCom.
        """
        segments = [segment.to_dict() for segment in self.segments]
        return self.metadata.to_dict() | {
            "segment_count": self.segment_count,
            "matched": self.matched,
            "fallback": self.fallback,
            "unmatched": self.unmatched,
            "pages": sum(segment["pages"] for segment in segments),
            "segments": segments,
        }

    def _count(self, status: str) -> int:
        return sum(paths.custom_output_status == status for _, paths in self.metadata.segments())


def assemble_result(metadata: JobMetadata, documents: Mapping[str, Any]) -> JobResult:
    """
    Put a job's result together.

    :param documents: what each of :meth:`JobMetadata.output_uris` holds, by URI: its text, a
        :class:`~airflow_bda.service.results.json_file.JsonFile`, or what was read from it.
    :raises BdaError: when one is missing or malformed; it names the URI.
    """
    sources = {uri: _source(documents, uri) for uri in metadata.output_uris()}

    def maker(asset: Asset, paths: SegmentPaths) -> Callable[[], SegmentResult]:
        return lambda: SegmentResult(
            asset_id=asset.asset_id,
            index=paths.index,
            input_s3_uri=asset.input_s3_uri,
            custom_status=paths.custom_output_status,
            paths=paths,
            job_modality=metadata.modality,
            standard_source=sources.get(paths.standard_output_uri or ""),
            custom_source=sources.get(paths.custom_output_uri or ""),
        )

    return JobResult(metadata, _Segments([maker(*segment) for segment in metadata.segments()]))


def result_of_answer(answer: Mapping[str, Any], *, input_s3_uri: str | None = None) -> JobResult:
    """
    Put together what ``InvokeDataAutomation`` answered at once, without an output on S3.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomation.html

    :param input_s3_uri: the document, where it is on S3.
    :raises BdaError: when an output is malformed; it names the segment.
    """
    documents: dict[str, Any] = {}
    segments = []
    for index, source in enumerate(json_reading.mappings(answer, "outputSegments")):
        segment: dict[str, Any] = {"custom_output_status": source.get("customOutputStatus")}
        for kind in ("standard", "custom"):
            if output := source.get(f"{kind}Output"):
                name = f"the {kind} output of segment {index}"
                segment[f"{kind}_output_path"], documents[name] = name, output
        segments.append(segment)
    bucket, _, key = (input_s3_uri or "").removeprefix("s3://").partition("/")
    asset = {"asset_input_path": {"s3_bucket": bucket, "s3_key": key} if bucket else {}, "segment_metadata": segments}
    facts = {"job_status": "Success", "semantic_modality": answer.get("semanticModality"), "output_metadata": [asset]}
    return assemble_result(JobMetadata.parse(facts, "inline"), documents)


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
    source = open_document(content, uri)
    word = json_reading.text(json_reading.mapping(source, "metadata"), "semantic_modality")
    own = Modality.parse(word) or modality
    if own is None and word is None:
        # The member with what was found is called by it.
        own = next((each for each in Modality if each.value.lower() in source), None)
    return _OUTPUTS[own].parse(source) if own else StandardOutput(modality=None, raw=source)


def _source(documents: Mapping[str, Any], uri: str) -> Mapping[str, Any]:
    if uri not in documents:
        raise BdaError(
            f"{uri} is listed in job_metadata.json, and was not read.",
            remedy="Read every URI that output_uris() returns: a result with segments left out would look complete.",
        )
    return open_document(documents[uri], uri)
