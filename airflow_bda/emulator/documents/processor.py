"""From the bytes of an input object to its results."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.answers import Answers
from airflow_bda.emulator.documents.assumptions import DOCUMENT_WORDS, INVALID_INPUT, UNSUPPORTED_FORMAT
from airflow_bda.emulator.documents.contract import (
    AssetOutput,
    InputError,
    MadeBlueprint,
    ProcessedInput,
    ProcessingRequest,
    SegmentOutput,
)
from airflow_bda.emulator.documents.fields.blueprints import parse_blueprint
from airflow_bda.emulator.documents.fields.catalogue import Catalogue, managed_blueprint
from airflow_bda.emulator.documents.fields.matching import match_segments
from airflow_bda.emulator.documents.outputs.custom import document_custom_result, image_custom_result
from airflow_bda.emulator.documents.outputs.document import Source, document_result
from airflow_bda.emulator.documents.outputs.image import image_result
from airflow_bda.emulator.documents.outputs.media import audio_result, video_result
from airflow_bda.emulator.documents.reading.docx import read_docx
from airflow_bda.emulator.documents.reading.formats import FileFormat, format_of
from airflow_bda.emulator.documents.reading.images import Picture, looks_like_paper, read_picture, read_tiff
from airflow_bda.emulator.documents.reading.layout import Document
from airflow_bda.emulator.documents.reading.limits import check_format, check_image_size, check_size, document_limits
from airflow_bda.emulator.documents.reading.media import read_media
from airflow_bda.emulator.documents.reading.pdf import read_pdf
from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, Modality, extension

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_bda.emulator.documents.fields.blueprints import Blueprint

_log = logging.getLogger(__name__)

_PICTURES = frozenset({FileFormat.PNG, FileFormat.JPEG})
_READERS = {FileFormat.PDF: read_pdf, FileFormat.DOCX: read_docx, FileFormat.TIFF: read_tiff}


class Processor:
    """
    Reads inputs and writes results; safe to use from several threads.

    :param blueprints_dir: a folder of blueprint files, beside the managed ones that come with the emulator.
    :param answers_dir: a folder of canned results, see :mod:`~airflow_bda.emulator.documents.answers`.
    :raises BlueprintFileError: when a file in *blueprints_dir* is no blueprint.
    :raises NotADirectoryError: when one of the folders does not exist.
    """

    def __init__(self, *, blueprints_dir: Path | None = None, answers_dir: Path | None = None) -> None:
        self._catalogue = Catalogue.load(blueprints_dir)
        # The managed blueprints whose missing schema has been told of.
        self._told: set[str] = set()
        self._answers = Answers(answers_dir) if answers_dir is not None else None

    def known_blueprint(self, arn: str) -> bool:
        """Whether an ARN names a blueprint of the folder or a managed one."""
        return self._catalogue.knows(arn)

    def blueprints(self, *, region: str = "us-east-1", account: str = "123456789012") -> tuple[tuple[str, str], ...]:
        """
        List the blueprints as pairs of ARN and name.

        They are known in every region, partition and account; the ARNs are those of one.
        """
        return self._catalogue.listing(region=region, account=account)

    def modality_of(self, key: str, data: bytes) -> Modality:
        """
        Guess the modality before the input is processed, without reading its text.

        A PNG or JPEG may turn out to be the other of document and image, and a video without pictures to be audio.
        What is in no known format is guessed by its name, else a DOCUMENT.
        """
        if self._answers and (canned := self._answers.modality(key)):
            return canned
        file_format = format_of(data)
        if file_format is None:
            return MODALITIES_OF_EXTENSION.get(extension(key), (Modality.DOCUMENT,))[0]
        if file_format not in _PICTURES:
            return file_format.modalities[0]
        try:
            return Modality.DOCUMENT if looks_like_paper(data) else Modality.IMAGE
        except InputError:
            return Modality.IMAGE

    def process(self, request: ProcessingRequest) -> ProcessedInput:
        """
        Read an input and build its results.

        :raises InputError: when the input cannot be processed; the job ends in ``ClientError``.
        :raises AnswerFileError: when the canned result for the key is not valid.
        """
        if self._answers and (canned := self._answers.answer(request.key)):
            return canned
        file_format = _recognise(request)
        blueprints = (*self._find_blueprints(request.blueprint_arns), *map(_read_made, request.made_blueprints))
        if file_format in _PICTURES:
            return _process_picture(request, file_format, blueprints)
        if file_format in _READERS:
            return _process_paged(request, file_format, blueprints)
        return _process_media(request, file_format)

    def _find_blueprints(self, arns: Sequence[str]) -> tuple[Blueprint, ...]:
        for arn in arns:
            managed = managed_blueprint(arn)
            if managed is not None and self._catalogue.find(arn) is None and managed.name not in self._told:
                self._told.add(managed.name)
                _log.warning(
                    "No schema for the AWS-managed blueprint %s: nothing matches it. To supply one, save the output of"
                    " `aws bedrock-data-automation get-blueprint` as %s.json in the --blueprints folder.",
                    managed.name,
                    managed.resource_id,
                )
        return self._catalogue.find_all(arns)


def _read_made(made: MadeBlueprint) -> Blueprint:
    return replace(parse_blueprint(made.schema, name=made.name), arn=made.arn)


def _recognise(request: ProcessingRequest) -> FileFormat:
    if not request.data:
        raise InputError(INVALID_INPUT, f"The file {request.key!r} is empty.")
    file_format = format_of(request.data)
    if file_format is None:
        taken = ", ".join(each.value for each in FileFormat)
        raise InputError(
            UNSUPPORTED_FORMAT,
            f"The content of {request.key!r} is in no format that BDA takes ({taken}); convert it to one of them.",
        )
    check_format(file_format, document_limits(sync=request.sync))
    return file_format


def _process_picture(
    request: ProcessingRequest, file_format: FileFormat, blueprints: tuple[Blueprint, ...]
) -> ProcessedInput:
    limits = document_limits(sync=request.sync)
    check_size(len(request.data), Modality.DOCUMENT, limits)
    picture = read_picture(request.data, file_format)
    if len(picture.page.words) >= DOCUMENT_WORDS:
        return _document_results(request, Document(file_format.value, (picture.page,)), blueprints)
    check_size(len(request.data), Modality.IMAGE, limits)
    check_image_size(picture.width, picture.height)
    return _image_results(request, picture, blueprints)


def _process_paged(
    request: ProcessingRequest, file_format: FileFormat, blueprints: tuple[Blueprint, ...]
) -> ProcessedInput:
    limits = document_limits(sync=request.sync)
    check_size(len(request.data), Modality.DOCUMENT, limits)
    return _document_results(request, _READERS[file_format](request.data, limits), blueprints)


def _process_media(request: ProcessingRequest, file_format: FileFormat) -> ProcessedInput:
    check_size(len(request.data), file_format.modalities[0], document_limits(sync=request.sync))
    source, media = Source(request.bucket, request.key), read_media(request.data, file_format)
    if media.video is not None:
        modality, standard = Modality.VIDEO, video_result(source, file_format.value, media, media.video)
    elif media.audio is not None:
        modality, standard = Modality.AUDIO, audio_result(source, file_format.value, media, media.audio)
    else:  # pragma: no cover - read_media refuses such a file
        raise InputError(INVALID_INPUT, "The file holds neither an audio nor a video stream.")
    return _one_segment(modality, SegmentOutput(standard, None, "NO_MATCH" if request.blueprint_arns else None))


def _image_results(request: ProcessingRequest, picture: Picture, blueprints: tuple[Blueprint, ...]) -> ProcessedInput:
    standard = image_result(Source(request.bucket, request.key), picture)
    if not request.blueprint_arns:
        return _one_segment(Modality.IMAGE, SegmentOutput(standard, None, None))
    match = match_segments((picture.page,), blueprints, split=False)[0].match
    custom = image_custom_result(match) if match else None
    return _one_segment(Modality.IMAGE, SegmentOutput(standard, custom, "MATCH" if match else "NO_MATCH"))


def _document_results(
    request: ProcessingRequest, document: Document, blueprints: tuple[Blueprint, ...]
) -> ProcessedInput:
    source = Source(request.bucket, request.key)
    segments = []
    for number, segment in enumerate(match_segments(document.pages, blueprints, split=not request.sync)):
        standard = document_result(source, document.file_type, segment.pages, number)
        custom = document_custom_result(segment.match, segment.pages) if segment.match else None
        status = None if not request.blueprint_arns else "MATCH" if custom else "NO_MATCH"
        segments.append(SegmentOutput(standard, custom, status))
    return ProcessedInput(Modality.DOCUMENT, (AssetOutput(tuple(segments)),))


def _one_segment(modality: Modality, segment: SegmentOutput) -> ProcessedInput:
    return ProcessedInput(modality, (AssetOutput((segment,)),))
