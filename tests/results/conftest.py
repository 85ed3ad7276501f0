"""Jobs as the service writes them. The files in jobs/ were written by hand; no code of ours made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bda.service.results.job_result import JobResult, assemble_result
from airflow_bda.service.results.metadata import JobMetadata

JOBS = Path(__file__).parent / "jobs"
PREFIX = "s3://bda-results/out/"


@pytest.fixture
def read_job():
    """Read a job of jobs/ by its name, without S3."""

    def read(name: str) -> JobResult:
        uri = f"{PREFIX}{name}/job_metadata.json"
        metadata = JobMetadata.parse((JOBS / name / "job_metadata.json").read_bytes(), uri)
        contents = {each: (JOBS / each.removeprefix(PREFIX)).read_bytes() for each in metadata.own_output_uris()}
        return assemble_result(metadata, contents)

    return read


@pytest.fixture
def stored_job(bda_emulator):
    """Put a job of jobs/ into the emulator's S3; return the URI of its job_metadata.json."""

    def put(name: str) -> str:
        for file in sorted((JOBS / name).rglob("*.json")):
            bda_emulator.upload(file.read_bytes(), f"out/{file.relative_to(JOBS)}", bucket="bda-results")
        return f"{PREFIX}{name}/job_metadata.json"

    return put
