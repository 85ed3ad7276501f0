"""From the bytes of an input object to its results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.contract import (
    AssetFiles,
    AssetOutput,
    OutputOptions,
    ProcessedInput,
    ProcessingRequest,
    SegmentOutput,
    Source,
)
from airflow_bda.emulator.documents.custom_output import (
    audio_custom_result,
    document_custom_result,
    image_custom_result,
    video_custom_result,
)
from airflow_bda.emulator.documents.document_output import (
    NO_GEOMETRY,
    NO_TEXT_MODELS,
    DocumentResult,
)
from airflow_bda.emulator.documents.fields.grid import Findings
from airflow_bda.emulator.documents.fields.matching import Candidates, Match, match_segments
from airflow_bda.emulator.documents.media_output import (
    NO_CONTENT,
    NO_SHOTS,
    NO_TRANSCRIPT,
    audio_result,
    image_result,
    video_result,
)
from airflow_bda.emulator.documents.reading.audio_video import read_media
from airflow_bda.emulator.documents.reading.docx import read_docx
from airflow_bda.emulator.documents.reading.images import NO_OCR, has_ocr, page_picture, read_picture, read_tiff
from airflow_bda.emulator.documents.reading.input_limits import (
    INVALID_INPUT,
    MODALITY_DISABLED,
    STEP_CLOCK,
    UNSUPPORTED_FORMAT,
    FileFormat,
    InputError,
    check_format,
    check_image_size,
    check_size,
    document_limits,
    format_of,
)
from airflow_bda.emulator.documents.reading.layout import Document
from airflow_bda.emulator.documents.reading.pdf import draw_page, read_pdf
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_bda.emulator.documents.fields.blueprint_schema import Blueprint
    from airflow_bda.emulator.documents.reading.images import Picture

# The service's documentation says how many files there are and what is masked, and not how a finding is written nor
# where a redacted file is:
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation_SensitiveDataConfiguration.html
NO_SENSITIVE_DATA = (
    "Sensitive data is neither detected nor redacted: how the service writes it is not public."
    " Supply findings by --answers."
)
PICTURES = frozenset({FileFormat.PNG, FileFormat.JPEG})
_READERS = {FileFormat.PDF: read_pdf, FileFormat.DOCX: read_docx, FileFormat.TIFF: read_tiff}
_DRAWERS = {FileFormat.PDF: draw_page, FileFormat.TIFF: page_picture, FileFormat.PNG: page_picture}
_DRAWERS[FileFormat.JPEG] = page_picture
# The file type that the service names for bytes of a PNG or JPEG that came in the call.
_TYPE_OF_BYTES = "IMAGE"
# A JPEG or PNG is a document or an image by its content; the service's rule is not known. Ours: this many words read
# in it make it a document.
_DOCUMENT_WORDS = 12


@dataclass(frozen=True)
class Work:
    """
    One input with all that its results depend on.

    :param blueprints: those of the request whose schema is known.
    :param fallback: the project's fallback blueprint.
    """

    request: ProcessingRequest
    blueprints: tuple[Blueprint, ...] = ()
    fallback: Blueprint | None = None

    @property
    def options(self) -> OutputOptions:
        """What the project asks for."""
        return OutputOptions.of(self.request.project)

    @property
    def source(self) -> Source:
        """Where the input came from."""
        return Source(self.request.bucket, self.request.key)

    def candidates(self, modality: Modality) -> Candidates:
        """Return the blueprints for a modality; the only one of a request is forced where there is no fallback."""
        fallback = self.fallback if modality is Modality.DOCUMENT else None
        fitting = tuple(each for each in self.blueprints if each.is_for(modality))
        return Candidates(fitting, fallback, len(self.request.blueprint_arns) == 1 and fallback is None)


def process(work: Work) -> ProcessedInput:
    """
    Read an input and build its results.

    :raises InputError: when the input cannot be processed; the job ends in ``ClientError``.
    """
    file_format = _recognise(work.request)
    if file_format in PICTURES:
        return _process_picture(work, file_format)
    if file_format in _READERS:
        limits = document_limits(sync=work.request.sync)
        check_size(len(work.request.data), Modality.DOCUMENT, limits)
        _check_enabled(work, Modality.DOCUMENT)
        return _document_results(work, _READERS[file_format](work.request.data, limits), file_format)
    return _process_media(work, file_format)


def _recognise(request: ProcessingRequest) -> FileFormat:
    # Bytes that were sent with the call have no name.
    of_file = f" of {request.key!r}" if request.key else ""
    if not request.data:
        raise InputError(INVALID_INPUT, f"The content{of_file} is empty.")
    file_format = format_of(request.data)
    if file_format is None:
        taken = ", ".join(each.value for each in FileFormat)
        raise InputError(
            UNSUPPORTED_FORMAT,
            f"The content{of_file} is in no format that BDA takes ({taken}); convert it to one of them.",
        )
    check_format(file_format, document_limits(sync=request.sync))
    return file_format


def _check_enabled(work: Work, modality: Modality) -> None:
    if modality in work.options.disabled:
        raise InputError(
            MODALITY_DISABLED,
            f"The project does not process {modality} inputs: its overrideConfiguration disables them.",
        )


def _process_picture(work: Work, file_format: FileFormat) -> ProcessedInput:
    limits = document_limits(sync=work.request.sync)
    check_size(len(work.request.data), Modality.DOCUMENT, limits)
    picture = read_picture(work.request.data, file_format)
    is_document = len(picture.page.words) >= _DOCUMENT_WORDS
    by_content = Modality.DOCUMENT if is_document else Modality.IMAGE
    modality = work.request.project.routed_modality(work.request.data) or by_content
    if modality is Modality.DOCUMENT:
        file_type = file_format.value if work.request.bucket else _TYPE_OF_BYTES
        return _document_results(work, Document(file_type, (picture.page,)), file_format)
    check_size(len(work.request.data), Modality.IMAGE, limits)
    check_image_size(picture.width, picture.height)
    return _image_results(work, picture)


def _document_results(work: Work, document: Document, file_format: FileFormat) -> ProcessedInput:
    _check_enabled(work, Modality.DOCUMENT)
    STEP_CLOCK.restart()
    request, options = work.request, work.options
    split = options.splits_documents and not request.sync
    drawer = _DRAWERS.get(file_format)
    picture_of = partial(drawer, request.data) if drawer else None
    wants_files = options.document.additional_files and not request.sync
    segments = []
    for number, segment in enumerate(match_segments(document.pages, work.candidates(Modality.DOCUMENT), split=split)):
        files = AssetFiles(request.job_folder, number, picture_of) if wants_files else None
        standard = DocumentResult(
            work.source, document.file_type, segment.pages, number, options.document, files, request.sync
        ).to_json()
        custom = document_custom_result(segment.match, segment.pages) if segment.match else None
        status = "FALLBACK" if segment.fell_back else _status(work, custom)
        segments.append(SegmentOutput(standard, custom, status, files.content if files else {}))
    has_geometry = all(page.has_geometry for page in document.pages)
    was_scanned = any(page.was_scanned for page in document.pages)
    notes = {
        NO_TEXT_MODELS: options.document.generative,
        NO_GEOMETRY: not has_geometry,
        NO_OCR: was_scanned and not has_ocr(),
    }
    return _processed(work, Modality.DOCUMENT, segments, notes)


def _image_results(work: Work, picture: Picture) -> ProcessedInput:
    _check_enabled(work, Modality.IMAGE)
    standard = image_result(work.source, picture, work.options.image)
    (segment,) = match_segments((picture.page,), work.candidates(Modality.IMAGE), split=False)
    custom = image_custom_result(segment.match) if segment.match else None
    notes = {NO_CONTENT: True, NO_OCR: not has_ocr()}
    return _processed(work, Modality.IMAGE, [SegmentOutput(standard, custom, _status(work, custom))], notes)


def _process_media(work: Work, file_format: FileFormat) -> ProcessedInput:
    check_size(len(work.request.data), file_format.modalities[0], document_limits(sync=work.request.sync))
    media, options = read_media(work.request.data, file_format), work.options
    wants_sound = work.request.project.routed_modality(work.request.data) is Modality.AUDIO
    if media.audio is not None and (media.video is None or wants_sound):
        _check_enabled(work, Modality.AUDIO)
        standard = audio_result(work.source, media, media.audio, options)
        match = _unread(work, Modality.AUDIO)
        custom = audio_custom_result(match, standard["metadata"]) if match else None
        segment = SegmentOutput(standard, custom, _status(work, custom))
        return _processed(work, Modality.AUDIO, [segment], {NO_TRANSCRIPT: True})
    if media.video is None or wants_sound:
        raise InputError(INVALID_INPUT, "The file holds no stream of the kind that it is to be processed as.")
    _check_enabled(work, Modality.VIDEO)
    standard = video_result(work.source, media, media.video, options.video)
    match = _unread(work, Modality.VIDEO)
    custom = video_custom_result(match, standard["metadata"]) if match else None
    notes = {NO_TRANSCRIPT: True, NO_SHOTS: True}
    return _processed(work, Modality.VIDEO, [SegmentOutput(standard, custom, _status(work, custom))], notes)


def _unread(work: Work, modality: Modality) -> Match | None:
    """Return the blueprint for a modality whose content is not read, with nothing found; None where there is none."""
    made = (each for each in work.blueprints if each.modality is modality)
    return next((Match(each, 1.0, Findings()) for each in made), None)


def _status(work: Work, custom: Mapping[str, Any] | None) -> str | None:
    if not work.request.blueprint_arns:
        return None
    return "MATCH" if custom else "NO_MATCH"


def _processed(
    work: Work, modality: Modality, segments: Iterable[SegmentOutput], notes: Mapping[str, bool]
) -> ProcessedInput:
    """
    Return the results of one asset.

    :param notes: whether each note holds.
    """
    notes = {**notes, NO_SENSITIVE_DATA: work.request.project.looks_for_sensitive_data(modality)}
    true = tuple(note for note, holds in notes.items() if holds)
    return ProcessedInput(modality, (AssetOutput(tuple(segments)),), true)
