"""Modules of results that the reference named are importable by their old names, with a warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOVED = {
    "custom_output": ("custom", "CustomOutput"),
    "document_output": ("document", "DocumentOutput"),
    "job_metadata": ("metadata", "JobMetadata"),
    "media_output": ("media", "AudioOutput"),
    "output_parts": ("parts", "BoundingBox"),
}


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_new_module_and_warns(old):
    new, name = MOVED[old]
    code = (
        "import warnings; warnings.simplefilter('always')\n"
        f"from airflow_bda.service.{old} import {name} as before\n"
        f"import airflow_bda.service.{old}\n"
        f"from airflow_bda.service import {old}\n"
        f"from airflow_bda.service.results.{new} import {name} as now\n"
        "assert before is now"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    expected = f"DeprecationWarning: airflow_bda.service.{old} is now airflow_bda.service.results.{new}"
    assert ended.stderr.count(expected) == 1


def test_other_names_are_still_unknown():
    with pytest.raises(ModuleNotFoundError):
        __import__("airflow_bda.service.no_output")
