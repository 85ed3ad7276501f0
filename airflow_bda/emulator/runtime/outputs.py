"""
The files that a finished job leaves: where they stand and what is in ``job_metadata.json``.

The layout is the one recorded from the service: the prefix as given, a slash, the job's id; so that a prefix that ends
in a slash gives ``//``. https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.documents.contract import ProcessedInput, SegmentOutput

METADATA_FILE = "job_metadata.json"
# Written, empty, when a job starts: three public sources list it.
_ACCESS_CHECK = "0/.s3_access_check"
# The status in this file is a third spelling: the API says Success, an event SUCCESS.
_PROCESSED = "PROCESSED"
# With these, there is a custom output.
_MATCHED = frozenset({"MATCH", "FALLBACK"})


@dataclass(frozen=True)
class OutputFiles:
    """
    What to write.

    :param metadata_uri: where ``job_metadata.json`` stands; it is among the files, and comes last.
    :param files: the content of each file, by its URI.
    """

    metadata_uri: S3Uri
    files: Mapping[S3Uri, bytes]


def job_folder(output_uri: str, job_id: str) -> S3Uri:
    """
    Return the folder of a job.

    :param output_uri: ``outputConfiguration.s3Uri`` as the caller wrote it, trailing slash included.
    """
    prefix = S3Uri.parse(output_uri)
    # Whether a bucket without a prefix gets a slash is not known; a key that starts with one would be a surprise.
    return S3Uri(prefix.bucket, f"{prefix.key}/{job_id}" if prefix.key else job_id)


def access_check(output_uri: str, job_id: str) -> S3Uri:
    """Return the URI of the empty object that a job writes when it starts."""
    folder = job_folder(output_uri, job_id)
    return S3Uri(folder.bucket, f"{folder.key}/{_ACCESS_CHECK}")


def lay_out(*, output_uri: str, job_id: str, input_uri: S3Uri | None, processed: ProcessedInput) -> OutputFiles:
    """
    Arrange the results of a job.

    :param input_uri: the input object; None where the bytes came in the call.
    """
    folder = job_folder(output_uri, job_id)
    files: dict[S3Uri, bytes] = {}
    assets = []
    for asset_id, asset in enumerate(processed.assets):
        segments = [
            _lay_out_segment(files, segment, S3Uri(folder.bucket, f"{folder.key}/{asset_id}"), index)
            for index, segment in enumerate(asset.segments)
        ]
        assets.append(
            {
                "asset_id": asset_id,
                **({"asset_input_path": {"s3_bucket": input_uri.bucket, "s3_key": input_uri.key}} if input_uri else {}),
                "segment_metadata": segments,
            }
        )
    metadata_uri = S3Uri(folder.bucket, f"{folder.key}/{METADATA_FILE}")
    files[metadata_uri] = to_json(
        {
            "job_id": job_id,
            "job_status": _PROCESSED,
            "semantic_modality": str(processed.modality),
            "output_metadata": assets,
        }
    )
    return OutputFiles(metadata_uri, files)


def _lay_out_segment(files: dict[S3Uri, bytes], segment: SegmentOutput, asset: S3Uri, index: int) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if segment.standard is not None:
        uri = S3Uri(asset.bucket, f"{asset.key}/standard_output/{index}/result.json")
        files[uri] = to_json(segment.standard)
        described["standard_output_path"] = str(uri)
    for name, content in segment.files.items():
        files[S3Uri(asset.bucket, f"{asset.key}/standard_output/{index}/assets/{name}")] = content
    if segment.custom is not None and segment.custom_status in _MATCHED:
        uri = S3Uri(asset.bucket, f"{asset.key}/custom_output/{index}/result.json")
        files[uri] = to_json(segment.custom)
        described["custom_output_path"] = str(uri)
    if segment.custom_status is not None:
        described["custom_output_status"] = segment.custom_status
    return described


def to_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as the files hold it."""
    return json.dumps(document, ensure_ascii=False).encode()
