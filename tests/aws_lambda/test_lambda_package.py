"""The zip is the same every time, holds what the functions need and no more, and works with boto3 alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import airflow_bda
from airflow_bda.aws_lambda.package import build_package, packaged_modules
from airflow_bda.emulator.aws.lambda_functions import link_libraries

# An interpreter that can import the standard library and the folders that it is given, and nothing else.
ASK = """
import json, sys
sys.path += sys.argv[1:]
from airflow_bda.aws_lambda import handler, job_events
import boto3

class Context:
    function_name, aws_request_id = "f", "request-1"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    def get_remaining_time_in_millis(self):
        return 0

ask = lambda **event: handler.handle(event, Context())["statusCode"]
detail = {"job_id": "4e36a3f0-1111-2222-3333-444455556666"}
event = {"source": "aws.bedrock", "detail-type": "Bedrock Data Automation Job Created", "detail": detail}
heard = job_events.handle(event, Context())
print(json.dumps({
    "bad": ask(inputS3Uri="x"),
    "unreachable": ask(inputS3Uri="s3://bucket/a.pdf", outputS3Uri="s3://bucket/out"),
    "heard": heard["status"],
    "boto3": boto3.__file__,
    "modules": sorted(name for name in sys.modules if name.partition(".")[0] == "airflow_bda"),
}))
"""


def contents(package) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def ask(*folders) -> dict:
    environment = {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ASK, *map(str, folders)],
        env={**environment, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_it_works_with_boto3_alone(tmp_path):
    """Airflow is not there, nor anything else that is installed beside this package."""
    (tmp_path / "libraries").mkdir()
    link_libraries(tmp_path / "libraries")
    (tmp_path / "code.zip").write_bytes(build_package().content)

    told = ask(tmp_path / "code.zip", tmp_path / "libraries")

    assert (told["bad"], told["unreachable"], told["heard"]) == (400, 500, "Created")
    assert set(told["modules"]) <= set(packaged_modules())


def test_with_its_own_boto3_it_needs_nothing(tmp_path):
    package = build_package(with_boto3=True)
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        archive.extractall(tmp_path)

    told = ask(tmp_path)

    assert told["boto3"].startswith(str(tmp_path))
    assert (told["bad"], told["unreachable"]) == (400, 500)
    assert package.boto3_version


def test_it_holds_what_is_needed_and_no_more():
    names = contents(build_package())

    assert "airflow_bda/aws_lambda/handler.py" in names
    assert "airflow_bda/aws_lambda/job_events.py" in names
    assert "airflow_bda/service/request/request.py" in names
    rooms = {name.split("/")[1] for name in names}
    assert rooms == {"__init__.py", "aws_lambda", "service"}
    # What only makes or reads what the functions have no part in.
    assert not {"airflow_bda/aws_lambda/template.py", "airflow_bda/service/results/custom.py"} & set(names)


def test_of_the_services_only_ours_comes_along():
    names = contents(build_package(with_boto3=True))

    services = {name.split("/")[2] for name in names if name.startswith("botocore/data/") and name.count("/") > 2}
    assert services == {"bedrock-data-automation-runtime"}
    assert "botocore/cacert.pem" in names
    assert not [name for name in names if "__pycache__" in name]


def test_it_is_the_same_bytes_from_another_folder(tmp_path):
    """Neither where the package is installed, nor when and with which permissions, is in the zip."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(Path(airflow_bda.__file__).parent, copy / "airflow_bda")
    for file in copy.rglob("*.py"):
        file.chmod(0o600)
        os.utime(file, (0, 0))
    code = (
        "import airflow_bda; from airflow_bda.aws_lambda.package import build_package; "
        "print(airflow_bda.__file__, build_package().sha_256)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONSAFEPATH": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.split() == [str(copy / "airflow_bda" / "__init__.py"), build_package().sha_256]


@pytest.mark.parametrize("options", ["", "with_boto3=True"])
def test_it_is_the_same_bytes_in_every_process(options):
    code = f"from airflow_bda.aws_lambda.package import build_package; print(build_package({options}).sha_256)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            umask=umask,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone, umask in (("1", "UTC", 0o022), ("2", "Asia/Tokyo", 0o077))
    }

    assert len(digests) == 1


def test_nothing_of_the_machine_is_in_its_entries():
    with zipfile.ZipFile(io.BytesIO(build_package().content)) as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr >> 16, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }
