"""
What ``job_metadata.json`` says: how the job ended, and where each segment's outputs are.

Follow its URIs and never rebuild them: https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading
from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.json_file import open_document
from airflow_bda.service.s3 import Modality, S3Uri
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

# The states of a segment's custom output. FALLBACK: no blueprint matched, so the project's fallback blueprint was used.
# https://docs.aws.amazon.com/bedrock/latest/userguide/bda-fallback-blueprint.html
MATCH = "MATCH"
NO_MATCH = "NO_MATCH"
FALLBACK = "FALLBACK"
_SLASHES = re.compile("/+")
_DOTS = frozenset({".", ".."})
_PATH = "_path"
_READ = frozenset({"standard_output_path", "custom_output_path"})
# 3,000 segments have about 2 MB.
_LARGEST = 1 << 25


@dataclass(frozen=True)
class SegmentPaths(json_reading.PlainData):
    """
    Where the outputs of one segment (a part of the input that BDA took for a document of its own) are.

    :param index: the segment's place in the list, from 0.
    :param standard_output_uri: None where the job made no standard output.
    :param custom_output_uri: None where no blueprint matched, or none was given.
    :param custom_output_status: ``MATCH``, ``NO_MATCH``, ``FALLBACK``, another word as it stands, or None where no
        blueprint was given.
    :param other_paths: every other ``..._path`` by name, such as those of redacted outputs. They are not read.
    """

    index: int
    standard_output_uri: str | None = None
    custom_output_uri: str | None = None
    custom_output_status: str | None = None
    other_paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def output_uris(self) -> tuple[str, ...]:
        """The files to read."""
        return tuple(uri for uri in (self.standard_output_uri, self.custom_output_uri) if uri)


@dataclass(frozen=True)
class Asset(json_reading.PlainData):
    """
    One input of a job; so far every job has one.

    :param asset_id: a number as far as is known, from 0; kept as text where it is not.
    :param input_s3_uri: the input object.
    """

    asset_id: int | str
    input_s3_uri: str | None
    segments: tuple[SegmentPaths, ...]


@dataclass(frozen=True)
class JobMetadata(json_reading.PlainData):
    """
    A job's outputs.

    :param uri: where this document is.
    :param status_text: the status as the document writes it; :attr:`status` is the same in the API's spelling.
    :param modality: what the service took the input for; None for a word that is not known.
    """

    uri: str
    job_id: str | None
    status_text: str
    modality: Modality | None
    assets: tuple[Asset, ...]

    @classmethod
    def parse(cls, content: str | bytes | Mapping[str, Any], uri: str = "job_metadata.json") -> JobMetadata:
        """
        Read the document; members that are not known here are left alone, missing ones tolerated.

        :param content: its text, or what was read from it already.
        :param uri: where it is from.
        :raises BdaError: when it cannot be a job's metadata.
        """
        if isinstance(content, (str, bytes)) and len(content) > _LARGEST:
            raise json_reading.malformed(uri, f"it has {len(content)} bytes, more than any list of outputs")
        source = open_document(content, uri)
        outputs = source.get("output_metadata")
        if "job_id" not in source and outputs is None:
            raise json_reading.malformed(
                uri, "it has neither job_id nor output_metadata, so it is no job_metadata.json"
            )
        if outputs is not None and not isinstance(outputs, list):
            raise json_reading.malformed(uri, f"output_metadata is not a list but {type(outputs).__name__}")
        return cls(
            uri=uri,
            job_id=json_reading.text(source, "job_id"),
            status_text=json_reading.text(source, "job_status") or "",
            modality=Modality.parse(json_reading.text(source, "semantic_modality")),
            assets=tuple(_asset(item, n) for n, item in enumerate(outputs or ()) if isinstance(item, Mapping)),
        )

    @property
    def status(self) -> JobStatus:
        """How the job ended."""
        return JobStatus.parse(self.status_text)

    def segments(self) -> Iterator[tuple[Asset, SegmentPaths]]:
        """Go through every segment of every asset, in the document's order."""
        for asset in self.assets:
            for segment in asset.segments:
                yield asset, segment

    def output_uris(self) -> tuple[str, ...]:
        """Return every file to read, each once, in the document's order."""
        return tuple(dict.fromkeys(uri for _, segment in self.segments() for uri in segment.output_uris))

    def own_output_uris(self) -> tuple[str, ...]:
        """
        Return every file to read, after a check that all are in the job's own folder, the one that this document is in.

        The document is input from outside: a URI in it must not lead to another job's files or to another bucket.

        :raises BdaError: when one is not; it names the URI.
        """
        uris = self.output_uris()
        folder = _folder(S3Uri.parse(self.uri))
        for uri in uris:
            try:
                own = _is_below(folder, _folder(S3Uri.parse(uri)))
            except ValueError as error:
                raise json_reading.malformed(self.uri, f"it lists {error}") from None
            if not own:
                raise BdaError(
                    f"{self.uri} lists {uri}, which is not in the bucket that the job wrote to and in its own folder.",
                    remedy="The file was not written by BDA, or was moved or changed since: run the job again.",
                )
        return uris

    def to_dict(self) -> dict[str, Any]:
        """Return the job's facts as plain data."""
        facts = {
            "metadata_uri": self.uri,
            "job_id": self.job_id,
            "status": self.status.value,
            "modality": self.modality.value if self.modality else None,
        }
        return {name: json_reading.plain(value) for name, value in facts.items()}


def _asset(source: Mapping[str, Any], index: int) -> Asset:
    place = json_reading.mapping(source, "asset_input_path")
    bucket = json_reading.text(place, "s3_bucket")
    # Files say s3_key, events name.
    key = json_reading.text(place, "s3_key") or json_reading.text(place, "name") or ""
    number = json_reading.integer(source, "asset_id")
    return Asset(
        asset_id=number if number is not None else json_reading.text(source, "asset_id") or index,
        input_s3_uri=str(S3Uri(bucket, key)) if bucket else None,
        segments=tuple(_segment(item, n) for n, item in enumerate(json_reading.mappings(source, "segment_metadata"))),
    )


def _segment(source: Mapping[str, Any], index: int) -> SegmentPaths:
    return SegmentPaths(
        index=index,
        standard_output_uri=json_reading.text(source, "standard_output_path"),
        custom_output_uri=json_reading.text(source, "custom_output_path"),
        custom_output_status=json_reading.text(source, "custom_output_status"),
        other_paths={
            name: path
            for name in source
            if name.endswith(_PATH) and name not in _READ and (path := json_reading.text(source, name))
        },
    )


def _is_below(folder: str, other: str) -> bool:
    """Whether a folder is in *folder*. HTTP clients resolve ``..`` in a path, so it must not lead out of it."""
    return other.startswith(folder) and not _DOTS.intersection(other.removeprefix(folder).split("/"))


def _folder(uri: S3Uri) -> str:
    """Return bucket and folder of an object; the service doubles a slash where the output prefix ends in one."""
    return _SLASHES.sub("/", f"{uri.bucket}/{uri.key.rpartition('/')[0]}/")
