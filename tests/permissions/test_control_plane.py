"""Projects and blueprints that are made in the emulator, and what jobs make of them."""

from __future__ import annotations

import json
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import airflow_bda.emulator  # noqa: F401  makes BDA known to mock_aws

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
STANDARD = {"document": {"extraction": {"granularity": {"types": ["PAGE"]}, "boundingBox": {"state": "DISABLED"}}}}
SCHEMA = json.dumps(
    {
        "class": "invoice",
        "properties": {
            "invoice_number": {"type": "string", "inferenceType": "explicit", "instruction": "The invoice number"}
        },
    }
)


@pytest.fixture
def control(bda_emulator):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    return bda_emulator.client("bedrock-data-automation")


def create_project(control, name="invoices", **more):
    return control.create_data_automation_project(projectName=name, standardOutputConfiguration=STANDARD, **more)


def create_blueprint(control, name="my-invoice", **more):
    return control.create_blueprint(blueprintName=name, type="DOCUMENT", schema=SCHEMA, **more)["blueprint"]


def refusal(call, **arguments):
    """Return the code and the HTTP status that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def invoke(bda_emulator, document, project_arn, **configuration):
    return bda_emulator.client("bedrock-data-automation-runtime").invoke_data_automation_async(
        inputConfiguration={"s3Uri": bda_emulator.upload(document, "a.pdf")},
        outputConfiguration={"s3Uri": bda_emulator.make_bucket() + "/out"},
        dataAutomationProfileArn=PROFILE,
        dataAutomationConfiguration={"dataAutomationProjectArn": project_arn, **configuration},
    )["invocationArn"]


def results(invocation_arn):
    from airflow_bda.hooks import BdaHook

    hook = BdaHook()
    return hook.get_results(hook.wait(invocation_arn, poll_interval=0.05))


def test_a_project_is_made_read_listed_changed_and_deleted(control):
    made = create_project(control)
    arn = made["projectArn"]
    assert (made["projectStage"], made["status"]) == ("LIVE", "COMPLETED")

    project = control.get_data_automation_project(projectArn=arn, projectStage="LIVE")["project"]
    assert project["projectName"] == "invoices"
    assert project["standardOutputConfiguration"] == STANDARD

    control.update_data_automation_project(
        projectArn=arn, projectStage="DEVELOPMENT", standardOutputConfiguration=STANDARD, projectDescription="next"
    )
    listed = control.list_data_automation_projects()["projects"]
    assert [(each["projectArn"], each["projectStage"]) for each in listed] == [(arn, "LIVE"), (arn, "DEVELOPMENT")]
    in_development = control.get_data_automation_project(projectArn=arn, projectStage="DEVELOPMENT")["project"]
    assert in_development["projectDescription"] == "next"
    assert "projectDescription" not in project

    assert control.delete_data_automation_project(projectArn=arn)["status"] == "IN_PROGRESS"
    assert refusal(control.get_data_automation_project, projectArn=arn) == ("ResourceNotFoundException", 404)
    assert control.list_data_automation_projects()["projects"] == []


def test_aws_owns_projects_too(control):
    public = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"

    assert control.get_data_automation_project(projectArn=public)["project"]["status"] == "COMPLETED"
    listed = control.list_data_automation_projects(resourceOwner="SERVICE")["projects"]
    assert public in [each["projectArn"] for each in listed]
    assert "ResourceNotFoundException" in refusal(control.delete_data_automation_project, projectArn=public)


def test_the_codes_are_those_of_the_control_plane(control, bda_emulator):
    """They differ from the runtime's, which are 400 throughout."""
    create_project(control)
    quick = bda_emulator.client(
        "bedrock-data-automation", config=boto3.session.Config(retries={"total_max_attempts": 1})
    )
    unknown = "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"

    assert refusal(create_project, control=control) == ("ConflictException", 409)
    assert refusal(control.get_blueprint, blueprintArn=unknown) == ("ResourceNotFoundException", 404)
    assert refusal(create_project, control=control, name="not a name") == ("ValidationException", 400)
    assert refusal(control.create_blueprint, blueprintName="broken", type="DOCUMENT", schema="{}") == (
        "ValidationException",
        400,
    )
    bda_emulator.faults.add("throttling", operation="ListBlueprints", times=1)
    assert refusal(quick.list_blueprints) == ("ThrottlingException", 429)


def test_the_same_token_makes_one_project(control):
    token = str(uuid.uuid4())

    assert (
        create_project(control, clientToken=token)["projectArn"]
        == create_project(control, clientToken=token)["projectArn"]
    )


def test_the_token_of_what_was_deleted_makes_it_anew(control):
    token = str(uuid.uuid4())
    project, blueprint = create_project(control, clientToken=token), create_blueprint(control, clientToken=token)
    control.delete_data_automation_project(projectArn=project["projectArn"])
    control.delete_blueprint(blueprintArn=blueprint["blueprintArn"])

    assert create_project(control, clientToken=token)["projectArn"] != project["projectArn"]
    assert create_blueprint(control, clientToken=token)["blueprintArn"] != blueprint["blueprintArn"]


def test_a_project_is_completed_after_a_while(control, bda_emulator):
    bda_emulator.configure(project_seconds=0.5)
    arn = create_project(control)["projectArn"]
    seen = []
    while "COMPLETED" not in seen:
        seen.append(control.get_data_automation_project(projectArn=arn)["project"]["status"])
        assert len(seen) < 10_000

    assert set(seen) <= {"IN_PROGRESS", "COMPLETED"}


def test_a_blueprint_has_stages_and_versions(control):
    blueprint = create_blueprint(control, blueprintStage="LIVE")
    arn = blueprint["blueprintArn"]
    changed = json.dumps({**json.loads(SCHEMA), "description": "changed"})

    assert control.create_blueprint_version(blueprintArn=arn)["blueprint"]["blueprintVersion"] == "1"
    control.update_blueprint(blueprintArn=arn, schema=changed, blueprintStage="LIVE")

    assert control.get_blueprint(blueprintArn=arn)["blueprint"]["schema"] == changed
    assert control.get_blueprint(blueprintArn=arn, blueprintVersion="1")["blueprint"]["schema"] == SCHEMA
    assert refusal(control.get_blueprint, blueprintArn=arn, blueprintStage="DEVELOPMENT")[1] == 404
    assert [each["blueprintName"] for each in control.list_blueprints()["blueprints"]] == ["my-invoice"]
    control.delete_blueprint(blueprintArn=arn)
    assert control.list_blueprints()["blueprints"] == []


def test_a_listing_comes_in_pages(control):
    names = [create_blueprint(control, f"form-{number}")["blueprintName"] for number in range(5)]
    pages = list(control.get_paginator("list_blueprints").paginate(PaginationConfig={"PageSize": 2}))

    assert [len(page["blueprints"]) for page in pages] == [2, 2, 1]
    assert [each["blueprintName"] for page in pages for each in page["blueprints"]] == names


def test_a_job_uses_the_blueprints_of_its_project_in_the_stage_asked_for(control, bda_emulator, sample_pdf):
    """LIVE has none, DEVELOPMENT has one: two stages of one ARN give different results."""
    blueprint = create_blueprint(control)["blueprintArn"]
    arn = create_project(control)["projectArn"]
    control.update_data_automation_project(
        projectArn=arn,
        projectStage="DEVELOPMENT",
        standardOutputConfiguration=STANDARD,
        customOutputConfiguration={"blueprints": [{"blueprintArn": blueprint}]},
    )

    assert results(invoke(bda_emulator, sample_pdf, arn, stage="LIVE")).segments[0].custom is None
    custom = results(invoke(bda_emulator, sample_pdf, arn, stage="DEVELOPMENT")).segments[0].custom
    assert custom.matched_blueprint.arn == blueprint
    assert [field.value for field in custom.fields()] == ["A-17"]


def test_a_project_that_is_not_ready_is_refused_by_the_runtime(control, bda_emulator, sample_pdf):
    bda_emulator.configure(project_seconds=3600)
    arn = create_project(control)["projectArn"]

    assert control.get_data_automation_project(projectArn=arn)["project"]["status"] == "IN_PROGRESS"
    refused = refusal(invoke, bda_emulator=bda_emulator, document=sample_pdf, project_arn=arn)
    assert refused == ("ValidationException", 400)
    assert bda_emulator.jobs == []


def test_a_stage_that_was_not_made_is_refused(control, bda_emulator, sample_pdf):
    arn = create_project(control)["projectArn"]

    with pytest.raises(ClientError, match="DEVELOPMENT"):
        invoke(bda_emulator, sample_pdf, arn, stage="DEVELOPMENT")


def test_unknown_projects_are_accepted_unless_they_are_to_be_refused(control, bda_emulator, sample_pdf):
    unknown = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
    assert invoke(bda_emulator, sample_pdf, unknown)

    bda_emulator.configure(unknown_projects="refuse")

    assert "ValidationException" in refusal(invoke, bda_emulator=bda_emulator, document=sample_pdf, project_arn=unknown)


def test_a_project_names_only_blueprints_that_are_there(control):
    unknown = {"blueprints": [{"blueprintArn": "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"}]}

    assert refusal(create_project, control=control, customOutputConfiguration=unknown) == ("ValidationException", 400)


def test_mock_aws_knows_the_control_plane_too():
    with mock_aws():
        client = boto3.client("bedrock-data-automation", region_name="us-east-1")
        arn = create_project(client)["projectArn"]
        assert client.get_data_automation_project(projectArn=arn)["project"]["projectArn"] == arn
