"""
Canned results: ``--answers DIR`` gives the results for a key instead of processing it.

For the key ``scans/a.pdf`` the file ``DIR/scans/a.pdf.json`` is taken, else ``DIR/a.pdf.json``. It holds results::

    {"modality": "DOCUMENT",
     "assets": [{"segments": [{"standard": {...}, "custom": {...}, "custom_status": "MATCH"}]}]}

where ``standard`` and ``custom`` may be null or missing, or a failure, which ends the job in ``ClientError``::

    {"error": {"type": "...", "message": "..."}}
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.contract import AssetOutput, ProcessedInput, SegmentOutput
from airflow_bda.emulator.documents.reading.input_limits import InputError
from airflow_bda.service.formats import Modality

if TYPE_CHECKING:
    from pathlib import Path

_STATUSES = ("MATCH", "NO_MATCH", "FALLBACK", None)


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
