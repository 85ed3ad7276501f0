"""The demo's files: what is refused before anything starts, and the keys that the rest get in S3."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.demo.command import InputProblemsError, _keys, demo_files
from airflow_bda.service.model import validate

FILE_NAMES = st.text(min_size=1, max_size=80).filter(
    lambda name: "/" not in name and "\0" not in name and name not in {".", ".."}
)


def problems_of_input(uri: str) -> list:
    """Return what botocore's own model says against an input."""
    profile = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
    request = {
        "inputConfiguration": {"s3Uri": uri},
        "outputConfiguration": {"s3Uri": "s3://bda-output/results"},
        "dataAutomationProfileArn": profile,
    }
    return list(validate("InvokeDataAutomationAsync", request))


@given(st.lists(FILE_NAMES, min_size=1, max_size=6))
def test_every_file_has_a_key_of_its_own_that_the_service_takes(names):
    keys = _keys([Path("folder") / name for name in names])

    assert len({key.casefold() for key in keys}) == len(names)
    assert [problem for key in keys for problem in problems_of_input(f"s3://bda-input/{key}")] == []
    assert [Path(key).name for key in keys] == keys


def test_what_the_service_excludes_is_excluded_here():
    """The test above can fail: each of these characters is one that the model refuses."""
    for character in '{}^%`"<>[]~#|':
        assert problems_of_input(f"s3://bda-input/a{character}b.pdf"), character


def test_ordinary_names_stay_as_they_are(tmp_path):
    file = tmp_path / "Grüße & Co (2).pdf"
    file.touch()

    (chosen,) = demo_files([file])

    assert chosen.key == chosen.name == file.name


def test_namesakes_are_told_apart(tmp_path):
    files = [tmp_path / "a" / "scan.pdf", tmp_path / "b" / "scan.pdf"]
    for file in files:
        file.parent.mkdir()
        file.touch()

    chosen = demo_files(files)

    assert [each.key for each in chosen] == ["scan.pdf", "scan-2.pdf"]
    assert [each.name for each in chosen] == [str(file) for file in files]


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(InputProblemsError) as told:
        demo_files([tmp_path / "none.pdf", tmp_path])

    assert told.value.problems == (
        f"{tmp_path / 'none.pdf'} cannot be read: No such file or directory",
        f"{tmp_path} is a folder; name the files in it",
    )


def test_without_files_there_are_samples_of_several_kinds():
    assert {each.path.suffix for each in demo_files([])} >= {".pdf", ".png", ".wav"}
