"""The command line: data on standard output, words on standard error, the exit statuses."""

from __future__ import annotations

import json
import zipfile

import pytest

from airflow_bda.aws_lambda.package import build_package
from airflow_bda.cli import main


def test_package_writes_the_zip_and_says_what_is_in_it(tmp_path, capsys):
    file = tmp_path / "bda.zip"

    assert main(["lambda", "package", "-o", str(file)]) == 0

    said = capsys.readouterr()
    assert said.out == f"{file}\n"
    assert build_package().sha_256 in said.err
    assert "KiB" in said.err
    assert zipfile.is_zipfile(file)


def test_package_tells_machines_too(tmp_path, capsys):
    assert main(["lambda", "package", "--json", "--with-boto3", "-o", str(tmp_path / "bda.zip")]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == (tmp_path / "bda.zip").stat().st_size
    assert told["boto3"]
    assert "airflow_bda.aws_lambda.handler.handle" in told["handlers"]


def test_a_place_that_cannot_be_written_to(tmp_path, capsys):
    assert main(["lambda", "package", "-o", str(tmp_path / "missing" / "bda.zip")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_template_is_for_the_region(capsys, monkeypatch):
    assert main(["lambda", "template", "--region", "eu-west-1"]) == 0
    assert "eu-west-1" in json.loads(capsys.readouterr().out)["Description"]

    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert main(["lambda", "template"]) == 0
    assert "eu-west-2" in json.loads(capsys.readouterr().out)["Description"]


def test_template_needs_a_region_that_is_known(capsys, monkeypatch):
    assert main(["lambda", "template", "--region", "mars-north-1"]) == 2
    assert "Known: ap-northeast-1" in capsys.readouterr().err

    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert main(["lambda", "template"]) == 2
    assert "--region" in capsys.readouterr().err


def test_what_to_make_must_be_said(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["lambda"])
    assert ended.value.code == 2
