"""What a project asks for reaches the files of its jobs, from the control plane to S3."""

from __future__ import annotations

import io
import json

import boto3
import pytest
from botocore.session import get_session
from moto import mock_aws
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from airflow_bda.emulator import EMULATOR, EmulatorSettings
from airflow_bda.emulator.server.views import job_views

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
PUBLIC_DEFAULT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
MANAGED = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-"
PAGE_ONLY = {
    "document": {
        "extraction": {"granularity": {"types": ["PAGE"]}, "boundingBox": {"state": "DISABLED"}},
        "generativeField": {"state": "DISABLED"},
        "outputFormat": {
            "textFormat": {"types": ["PLAIN_TEXT"]},
            "additionalFileFormat": {"state": "ENABLED"},
        },
    }
}


def model_has(shape, *path):
    """Whether the installed botocore knows a member; the oldest supported one knows fewer."""
    found = get_session().get_service_model("bedrock-data-automation").shape_for(shape)
    for name in path:
        if name not in found.members:
            return False
        found = found.members[name]
    return True


@pytest.fixture
def bda(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        EMULATOR.configure(EmulatorSettings(created_seconds=0, in_progress_seconds=0, project_seconds=0))
        for bucket in ("inputs", "outputs"):
            boto3.client("s3").create_bucket(Bucket=bucket)
        yield Bda()
        EMULATOR.configure()


class Bda:
    def __init__(self):
        self.s3 = boto3.client("s3")
        self.control = boto3.client("bedrock-data-automation")
        self.runtime = boto3.client("bedrock-data-automation-runtime")

    def project(self, standard=None, **configuration):
        made = self.control.create_data_automation_project(
            projectName="papers", projectStage="LIVE", standardOutputConfiguration=standard or {}, **configuration
        )
        return made["projectArn"]

    def files(self, data, project):
        self.s3.put_object(Bucket="inputs", Key="a", Body=data)
        arn = self.runtime.invoke_data_automation_async(
            inputConfiguration={"s3Uri": "s3://inputs/a"},
            outputConfiguration={"s3Uri": "s3://outputs/p"},
            dataAutomationProfileArn=PROFILE,
            dataAutomationConfiguration={"dataAutomationProjectArn": project, "stage": "LIVE"},
        )["invocationArn"]
        while (status := self.runtime.get_data_automation_status(invocationArn=arn)["status"]) in {
            "Created",
            "InProgress",
        }:
            pass
        assert status == "Success"
        folder = f"p/{arn.rpartition('/')[2]}/"
        listed = self.s3.list_objects_v2(Bucket="outputs", Prefix=folder)["Contents"]
        return {
            each["Key"].removeprefix(folder): self.s3.get_object(Bucket="outputs", Key=each["Key"])["Body"].read()
            for each in listed
        }


def letter():
    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.drawString(50, 700, "Dear Sir or Madam,")
    canvas.save()
    return file.getvalue()


def blank_png():
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (0, 90, 0)).save(file, "PNG")
    return file.getvalue()


def test_the_public_project_writes_the_default(bda):
    files = bda.files(letter(), PUBLIC_DEFAULT)

    assert sorted(files) == ["0/.s3_access_check", "0/standard_output/0/result.json", "job_metadata.json"]
    assert files["0/.s3_access_check"] == b""
    result = json.loads(files["0/standard_output/0/result.json"])
    assert set(result) == {"metadata", "document", "pages", "elements"}
    assert result["pages"][0]["representation"] == {"markdown": "Dear Sir or Madam,"}


def test_a_project_decides_what_is_written(bda):
    files = bda.files(letter(), bda.project(PAGE_ONLY))

    result = json.loads(files["0/standard_output/0/result.json"])
    assert set(result) == {"metadata", "document", "pages"}
    assert result["pages"][0]["representation"] == {"text": "Dear Sir or Madam,"}
    picture = result["pages"][0]["asset_metadata"]["rectified_image"]
    assert picture.startswith("s3://outputs/p/")
    assert picture.partition("/0/")[2] in {name.partition("/")[2] for name in files}


def test_an_update_of_a_project_holds_for_its_next_job(bda):
    project = bda.project(PAGE_ONLY)
    bda.control.update_data_automation_project(projectArn=project, standardOutputConfiguration={})

    result = json.loads(bda.files(letter(), project)["0/standard_output/0/result.json"])
    assert set(result["pages"][0]["representation"]) == {"markdown"}


@pytest.mark.skipif(not model_has("OverrideConfiguration", "modalityRouting"), reason="not in this botocore's model")
def test_modality_routing_of_a_project(bda):
    project = bda.project(overrideConfiguration={"modalityRouting": {"png": "DOCUMENT"}})
    files = bda.files(blank_png(), project)

    assert json.loads(files["job_metadata.json"])["semantic_modality"] == "DOCUMENT"
    assert json.loads(files["0/standard_output/0/result.json"])["metadata"]["file_type"] == "PNG"


@pytest.mark.skipif(
    not model_has("CustomOutputConfiguration", "document", "fallbackBlueprints"), reason="not in this botocore's model"
)
def test_the_fallback_blueprint_of_a_project(bda):
    project = bda.project(
        customOutputConfiguration={
            "blueprints": [{"blueprintArn": f"{MANAGED}{name}"} for name in ("receipt", "us-passport")],
            "document": {"fallbackBlueprints": [{"blueprintArn": f"{MANAGED}invoice"}]},
        }
    )
    files = bda.files(letter(), project)

    segment = json.loads(files["job_metadata.json"])["output_metadata"][0]["segment_metadata"][0]
    assert segment["custom_output_status"] == "FALLBACK"
    custom = json.loads(files[segment["custom_output_path"].partition("/p/")[2].partition("/")[2]])
    assert custom["matched_blueprint"]["name"] == "Invoice"


def test_no_match_has_no_custom_output_path(bda):
    blueprints = [{"blueprintArn": f"{MANAGED}{name}"} for name in ("receipt", "us-passport")]
    files = bda.files(letter(), bda.project(customOutputConfiguration={"blueprints": blueprints}))

    (segment,) = json.loads(files["job_metadata.json"])["output_metadata"][0]["segment_metadata"]
    assert segment["custom_output_status"] == "NO_MATCH"
    assert set(segment) == {"standard_output_path", "custom_output_status"}


def test_what_was_left_out_stands_with_the_job_and_in_no_file(bda):
    files = bda.files(blank_png(), bda.project(overrideConfiguration={}))

    (job,) = job_views()
    assert any("reads only the text of an image" in note for note in job.notes)
    assert not any(b"reads only the text" in content for content in files.values())
