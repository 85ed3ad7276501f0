"""
What the emulator asks of this room: the modality of an input, its results, and the blueprints that are known.

Results may be canned: with ``--answers DIR``, the results for a key come from a file instead of the input. For the key
``scans/a.pdf`` the file ``DIR/scans/a.pdf.json`` is taken, else ``DIR/a.pdf.json``. It holds results::

    {"modality": "DOCUMENT",
     "assets": [{"segments": [{"standard": {...}, "custom": {...}, "custom_status": "MATCH"}]}]}

where ``standard`` and ``custom`` may be null or missing, or a failure, which ends the job in ``ClientError``::

    {"error": {"type": "...", "message": "..."}}
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.contract import AssetOutput, ProcessedInput, SegmentOutput
from airflow_bda.emulator.documents.fields.blueprint_schema import parse_blueprint
from airflow_bda.emulator.documents.fields.catalogue import MANAGED, Catalogue, managed_blueprint
from airflow_bda.emulator.documents.pipeline import NO_SENSITIVE_DATA, PICTURES, Work
from airflow_bda.emulator.documents.reader_process import READERS
from airflow_bda.emulator.documents.reading.images import looks_like_paper
from airflow_bda.emulator.documents.reading.input_limits import InputError, format_of
from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality, extension

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from airflow_bda.emulator.documents.contract import ProcessingRequest
    from airflow_bda.emulator.documents.fields.blueprint_schema import Blueprint

_STATUSES = ("MATCH", "NO_MATCH", "FALLBACK", None)
_log = logging.getLogger(__name__)


class AnswerFileError(ValueError):
    """An answer file is not as described above; its text names the file and what is wrong."""


class Answers:
    """
    The folder of canned results.

    :param folder: read anew for every key, so that answers may change while the emulator runs.
    :raises NotADirectoryError: when there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(f"The answers folder {str(folder)!r} does not exist; create it or leave it out.")
        self._folder = folder.resolve()

    def answer(self, key: str) -> ProcessedInput | None:
        """
        Return the canned results for *key*; None when there are none.

        :raises InputError: when the answer is a failure.
        :raises AnswerFileError: when the file is not as described above.
        """
        # Keys are not trusted: what would leave the folder is not there.
        names = (key, PurePosixPath(key).name)
        path = next((path for name in names if (path := self._inside(f"{name}.json")) is not None), None)
        if path is None:
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return _parse(content)
        except (KeyError, TypeError, ValueError, AttributeError, OSError, RecursionError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise AnswerFileError(f"The answer file {str(path)!r} is not valid: {reason}") from error

    def modality(self, key: str) -> Modality | None:
        """Return the modality of the canned results for *key*; None when there are none."""
        try:
            answer = self.answer(key)
        except InputError:
            return None
        return answer.modality if answer else None

    def _inside(self, name: str) -> Path | None:
        try:
            path = (self._folder / name).resolve()
            return path if path.is_relative_to(self._folder) and path.is_file() else None
        except (OSError, ValueError):
            # A key may hold what no file name can: a NUL, or too many characters.
            return None


def _parse(content: Any) -> ProcessedInput:
    if "error" in content:
        raise InputError(str(content["error"]["type"]), str(content["error"]["message"]))
    return ProcessedInput(
        Modality(content["modality"]),
        tuple(AssetOutput(tuple(_segment(each) for each in asset["segments"])) for asset in content["assets"]),
    )


def _segment(content: Any) -> SegmentOutput:
    custom = content.get("custom")
    status = content.get("custom_status", "MATCH" if custom is not None else None)
    if status not in _STATUSES:
        raise ValueError(f"custom_status is {status!r}; use MATCH, NO_MATCH, FALLBACK or null")
    return SegmentOutput(content.get("standard"), custom, status)


class Processor:
    """
    Reads inputs and writes results; safe to use from several threads.

    :param blueprints_dir: a folder of blueprint files, beside the managed ones that come with the emulator.
    :param answers_dir: a folder of canned results, in the form that this module describes.
    :raises BlueprintFileError: when a file in *blueprints_dir* is no blueprint.
    :raises NotADirectoryError: when one of the folders does not exist.
    """

    def __init__(self, *, blueprints_dir: Path | None = None, answers_dir: Path | None = None) -> None:
        self._catalogue = Catalogue.load(blueprints_dir)
        # What the log has: blueprints without a schema, and that sensitive data is not looked for.
        self._logged: set[str] = set()
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
        # The caller will soon have the input processed.
        READERS.warm_up()
        file_format = format_of(data)
        if file_format is None:
            return MODALITIES_OF_EXTENSION.get(extension(key), (Modality.DOCUMENT,))[0]
        if file_format not in PICTURES:
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
        made = {
            each.arn: replace(
                parse_blueprint(each.schema, name=each.name),
                arn=each.arn,
                modality=Modality(each.type),
                version=each.version,
            )
            for each in request.made_blueprints
        }
        fallback = request.project.fallback_arn
        processed = READERS.read(
            Work(
                request,
                self._find_blueprints(request.blueprint_arns, made),
                next(iter(self._find_blueprints([fallback], made)), None) if fallback else None,
            )
        )
        if NO_SENSITIVE_DATA in processed.notes and NO_SENSITIVE_DATA not in self._logged:
            self._logged.add(NO_SENSITIVE_DATA)
            _log.warning(NO_SENSITIVE_DATA)
        return processed

    def _find_blueprints(self, arns: Sequence[str], made: dict[str, Blueprint]) -> tuple[Blueprint, ...]:
        found = {arn: made.get(arn) or self._catalogue.find(arn) for arn in arns}
        self._log_missing_schemas(arn for arn, blueprint in found.items() if blueprint is None)
        return tuple(blueprint for blueprint in found.values() if blueprint is not None)

    def _log_missing_schemas(self, arns: Iterable[str]) -> None:
        """Log, once for each, the managed blueprints that the emulator has no schema of."""
        managed = [each for arn in arns if (each := managed_blueprint(arn)) and each.name not in self._logged]
        if not managed:
            return
        self._logged.update(each.name for each in managed)
        for unknown in (each.resource_id for each in managed if not each.is_public):
            alike = get_close_matches(unknown, MANAGED, n=1)
            hint = f" Is {alike[0]} meant?" if alike else ""
            _log.warning("%s is not among the %d public names of AWS's blueprints.%s", unknown, len(MANAGED), hint)
        _log.warning(
            "No schema for the AWS-managed %s: nothing matches. To supply one, save the output of"
            " `aws bedrock-data-automation get-blueprint` as %s in the --blueprints folder.",
            ", ".join(each.name for each in managed),
            ", ".join(f"{each.resource_id}.json" for each in managed),
        )
