"""The six operations under ``mock_aws``: what they take, what they refuse, what they answer."""

from __future__ import annotations

import base64
import json
from datetime import datetime

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from airflow_bda.emulator import EMULATOR
from airflow_bda.service.model import service_model

PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/c2589191b6f2"
PUBLIC_PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
MANAGED_BLUEPRINT = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"
needs_sync = pytest.mark.skipif(
    "InvokeDataAutomation" not in service_model().operation_names, reason="this botocore has no InvokeDataAutomation"
)


def read_json(bda, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.loads(bda.s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def refusal(call, *args, **params):
    with pytest.raises(ClientError) as caught:
        call(*args, **params)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Error"]["Code"], error["Error"]["Message"]


def test_a_job_leaves_the_files_that_its_metadata_names(bda):
    arn = bda.invoke(dataAutomationConfiguration={"dataAutomationProjectArn": PROJECT})
    answer = bda.wait(arn)
    job_id = arn.rpartition("/")[2]
    folder = f"s3://outputs/results/{job_id}"
    assert answer["outputConfiguration"]["s3Uri"] == f"{folder}/job_metadata.json"
    assert read_json(bda, f"{folder}/job_metadata.json") == {
        "job_id": job_id,
        "job_status": "PROCESSED",
        "semantic_modality": "DOCUMENT",
        "output_metadata": [
            {
                "asset_id": 0,
                "asset_input_path": {"s3_bucket": "inputs", "s3_key": "a.pdf"},
                "segment_metadata": [
                    {
                        "standard_output_path": f"{folder}/0/standard_output/0/result.json",
                        "custom_output_path": f"{folder}/0/custom_output/0/result.json",
                        "custom_output_status": "MATCH",
                    }
                ],
            }
        ],
    }
    assert read_json(bda, f"{folder}/0/standard_output/0/result.json") == {"text": "hello"}
    assert "matched_blueprint" in read_json(bda, f"{folder}/0/custom_output/0/result.json")


def test_a_trailing_slash_of_the_output_stays(bda):
    arn = bda.invoke(outputConfiguration={"s3Uri": "s3://outputs/results/"})
    assert bda.wait(arn)["outputConfiguration"]["s3Uri"].startswith("s3://outputs/results//")


@pytest.mark.parametrize(
    ("configuration", "blueprints"),
    [
        pytest.param({"dataAutomationProjectArn": PROJECT}, 1, id="an own project has every custom blueprint"),
        pytest.param({"dataAutomationProjectArn": PUBLIC_PROJECT}, 0, id="the public one gives standard output only"),
    ],
)
def test_a_project_brings_its_blueprints(bda, configuration, blueprints):
    bda.wait(bda.invoke(dataAutomationConfiguration=configuration))
    assert len(bda.processor.requests[0].blueprint_arns) == blueprints


def test_blueprints_of_the_request_are_applied(bda, blueprint):
    bda.wait(bda.invoke(blueprints=[{"blueprintArn": blueprint, "stage": "LIVE"}]))
    assert bda.processor.requests[0].blueprint_arns == (blueprint,)


@pytest.mark.skipif(
    "jobSubmissionTime" not in service_model().operation_model("GetDataAutomationStatus").output_shape.members,
    reason="this botocore does not read the times of a job",
)
def test_the_times_of_a_job_are_told_and_can_be_left_out(bda):
    arn = bda.invoke()
    answer = bda.wait(arn)
    assert isinstance(answer["jobSubmissionTime"], datetime)
    assert answer["jobCompletionTime"] >= answer["jobSubmissionTime"]
    assert answer["jobDurationInSeconds"] >= 0
    EMULATOR.configure(type(EMULATOR.settings)(job_times=False), processor=bda.processor)
    assert not {"jobSubmissionTime", "jobCompletionTime", "jobDurationInSeconds"} & set(bda.status(arn))


def test_an_input_that_cannot_be_read_ends_in_a_client_error(bda):
    arn = bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf", b"broken")})
    answer = bda.wait(arn)
    assert (answer["status"], answer["errorType"], answer["errorMessage"]) == (
        "ClientError",
        "BrokenFile",
        "The file is broken.",
    )
    assert "outputConfiguration" not in answer
    assert bda.result_keys() == []


def test_a_bug_in_the_processing_ends_in_a_service_error(bda):
    answer = bda.wait(bda.invoke(inputConfiguration={"s3Uri": bda.upload("b.pdf", b"bug")}))
    assert answer["status"] == "ServiceError"
    assert "ZeroDivisionError" in answer["errorMessage"]


def test_all_problems_of_a_request_are_told_at_once(bda):
    code, message = refusal(
        bda.client.invoke_data_automation_async,
        **bda.request(
            clientToken="scheduled__2026-01-05",
            dataAutomationConfiguration={"dataAutomationProjectArn": PROJECT, "stage": "PROD"},
        ),
    )
    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected: ")
    assert "at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern" in message
    assert "'PROD' at 'dataAutomationConfiguration.stage' failed to satisfy constraint: " in message
    assert "Member must satisfy enum value set: [" in message


@pytest.mark.parametrize(
    "profile",
    [
        "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/eu.data-automation-v1",
        "arn:aws:bedrock:us-west-2:123456789012:data-automation-profile/us.data-automation-v1",
        "arn:aws:bedrock:us-east-1:999999999999:data-automation-profile/us.data-automation-v1",
    ],
    ids=["another geography's", "another region's", "another account's"],
)
def test_a_wrong_profile_is_refused_in_the_services_words(bda, profile):
    assert refusal(bda.client.invoke_data_automation_async, **bda.request(dataAutomationProfileArn=profile)) == (
        "ValidationException",
        "The provided DataAutomationProfile ARN is invalid.",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"inputConfiguration": {"s3Uri": "s3://inputs/missing.pdf"}},
        {"inputConfiguration": {"s3Uri": "s3://no-such-bucket/a.pdf"}},
        {"inputConfiguration": {"s3Uri": "s3://inputs"}},
        {"outputConfiguration": {"s3Uri": "s3://no-such-bucket/results"}},
    ],
    ids=["no object", "no input bucket", "no key", "no output bucket"],
)
def test_what_is_missing_in_s3_is_refused_at_the_invoke(bda, changes):
    assert refusal(bda.client.invoke_data_automation_async, **bda.request(**changes)) == (
        "AccessDeniedException",
        "Access Denied. Check S3 URIs and read/write permissions",
    )


@pytest.mark.parametrize(
    "project",
    [
        "arn:aws:bedrock:us-east-1:999999999999:data-automation-project/c2589191b6f2",
        "arn:aws:bedrock:us-west-2:123456789012:data-automation-project/c2589191b6f2",
        "arn:aws:bedrock:us-east-1:aws:data-automation-project/no-such",
    ],
    ids=["another account's", "another region's", "no public one"],
)
def test_a_project_that_is_not_the_callers_is_refused(bda, project):
    request = bda.request(dataAutomationConfiguration={"dataAutomationProjectArn": project})
    assert refusal(bda.client.invoke_data_automation_async, **request)[0] == "ValidationException"


def test_an_unknown_blueprint_is_refused(bda):
    request = bda.request(
        blueprints=[{"blueprintArn": "arn:aws:bedrock:us-east-1:123456789012:blueprint/000000000000"}]
    )
    assert refusal(bda.client.invoke_data_automation_async, **request)[0] == "ValidationException"


def test_the_same_token_gives_the_same_invocation(bda):
    first = bda.invoke(clientToken="token-1")
    assert bda.invoke(clientToken="token-1") == first
    assert bda.invoke(clientToken="token-2") != first


def test_the_same_token_for_another_request_is_refused(bda):
    bda.invoke(clientToken="token-1")
    request = bda.request(clientToken="token-1", outputConfiguration={"s3Uri": "s3://outputs/elsewhere"})
    assert refusal(bda.client.invoke_data_automation_async, **request)[0] == "ValidationException"


def test_a_token_is_one_accounts_in_one_region(bda):
    first = bda.invoke(clientToken="token-1")
    other = boto3.client("bedrock-data-automation-runtime", region_name="us-west-2")
    profile = bda.profile.replace("us-east-1", "us-west-2")
    request = bda.request(clientToken="token-1", dataAutomationProfileArn=profile)
    second = other.invoke_data_automation_async(**request)["invocationArn"]
    assert second != first
    assert ":us-west-2:" in second


def test_an_unknown_invocation_is_not_found(bda):
    arn = bda.invoke()
    unknown = arn.rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    assert refusal(bda.client.get_data_automation_status, invocationArn=unknown)[0] == "ResourceNotFoundException"
    elsewhere = boto3.client("bedrock-data-automation-runtime", region_name="us-west-2")
    assert refusal(elsewhere.get_data_automation_status, invocationArn=arn)[0] == "ResourceNotFoundException"


def test_an_assumed_role_of_another_account_has_its_own_jobs(bda):
    role = boto3.client("sts", region_name="us-east-1").assume_role(
        RoleArn="arn:aws:iam::111122223333:role/caller", RoleSessionName="test"
    )["Credentials"]
    other = boto3.client(
        "bedrock-data-automation-runtime",
        region_name="us-east-1",
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    )
    profile = bda.profile.replace("123456789012", "111122223333")
    arn = other.invoke_data_automation_async(**bda.request(dataAutomationProfileArn=profile))["invocationArn"]
    assert ":111122223333:" in arn
    assert refusal(bda.client.get_data_automation_status, invocationArn=arn)[0] == "ResourceNotFoundException"


def test_tags_are_kept_listed_and_taken_away(bda):
    arn = bda.invoke(tags=[{"key": "team", "value": "a"}, {"key": "cost", "value": "1"}])
    bda.client.tag_resource(resourceARN=arn, tags=[{"key": "team", "value": "b"}])
    bda.client.untag_resource(resourceARN=arn, tagKeys=["cost", "never-there"])
    assert bda.client.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "b"}]


def test_tags_of_an_unknown_invocation_are_not_found(bda):
    arn = bda.invoke().rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    assert refusal(bda.client.list_tags_for_resource, resourceARN=arn)[0] == "ResourceNotFoundException"


@needs_sync
def test_the_synchronous_call_takes_bytes_and_answers_inline(bda):
    answer = bda.client.invoke_data_automation(
        inputConfiguration={"bytes": b"hello"},
        dataAutomationProfileArn=bda.profile,
        dataAutomationConfiguration={"dataAutomationProjectArn": PROJECT},
    )
    assert answer["semanticModality"] == "DOCUMENT"
    (segment,) = answer["outputSegments"]
    assert json.loads(segment["standardOutput"]) == {"text": "hello"}
    assert segment["customOutputStatus"] == "MATCH"
    assert "matched_blueprint" in json.loads(segment["customOutput"])
    assert bda.processor.requests[0].sync


@needs_sync
def test_the_synchronous_call_writes_to_s3_instead_when_asked(bda):
    configuration = {"dataAutomationProjectArn": PROJECT}
    answer = bda.client.invoke_data_automation(**bda.request(dataAutomationConfiguration=configuration))
    assert "outputSegments" not in answer
    assert read_json(bda, answer["outputConfiguration"]["s3Uri"])["job_status"] == "PROCESSED"


@needs_sync
@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({}, "ValidationException"),
        ({"bytes": b"x", "s3Uri": "s3://inputs/a.pdf"}, "ValidationException"),
        ({"bytes": b"broken"}, "ValidationException"),
        ({"s3Uri": "s3://inputs/missing.pdf"}, "AccessDeniedException"),
    ],
    ids=["neither", "both", "broken", "missing"],
)
def test_the_synchronous_call_refuses_what_it_cannot_read(bda, source, code):
    request = {
        "inputConfiguration": source,
        "dataAutomationProfileArn": bda.profile,
        "dataAutomationConfiguration": {"dataAutomationProjectArn": PROJECT},
    }
    assert refusal(bda.client.invoke_data_automation, **request)[0] == code


@needs_sync
def test_the_synchronous_call_needs_a_project_or_blueprints(bda):
    request = {"inputConfiguration": {"bytes": b"hello"}, "dataAutomationProfileArn": bda.profile}
    assert refusal(bda.client.invoke_data_automation, **request) == (
        "ValidationException",
        "At least one of project or inline blueprints must be provided in the request",
    )
    bda.client.invoke_data_automation(**request, blueprints=[{"blueprintArn": MANAGED_BLUEPRINT}])


@needs_sync
def test_the_synchronous_call_takes_projects_made_for_it_only(bda):
    control = boto3.client("bedrock-data-automation", region_name="us-east-1")
    projects = {
        kind: control.create_data_automation_project(
            projectName=kind, projectType=kind, standardOutputConfiguration={}
        )["projectArn"]
        for kind in ("ASYNC", "SYNC")
    }

    def request(project):
        configuration = {"dataAutomationProjectArn": project}
        return {
            "inputConfiguration": {"bytes": b"hello"},
            "dataAutomationProfileArn": bda.profile,
            "dataAutomationConfiguration": configuration,
        }

    for project in (projects["ASYNC"], PUBLIC_PROJECT):
        assert refusal(bda.client.invoke_data_automation, **request(project)) == (
            "ValidationException",
            "Sync API only supports SYNC project type",
        )
    assert bda.client.invoke_data_automation(**request(projects["SYNC"]))["semanticModality"] == "DOCUMENT"


def send(bda_emulator, operation, body):
    """Send a request as no SDK sends it."""
    target = f"AmazonBedrockKeystoneRuntimeService.{operation}"
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    answer = requests.post(bda_emulator.endpoint_url, data=body, headers=headers, timeout=10)
    return answer.status_code, answer.json(), answer.headers


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("StopDataAutomation", b"{}", "UnknownOperationException"),
        ("GetDataAutomationStatus", b"not json", "SerializationException"),
        ("GetDataAutomationStatus", b"[]", "SerializationException"),
        ("GetDataAutomationStatus", b'{"invocationArn": 7}', "SerializationException"),
        ("GetDataAutomationStatus", b'{"invocationArn": null}', "ValidationException"),
    ],
)
def test_a_request_that_no_sdk_sends_is_refused_on_the_wire(steered_emulator, operation, body, code):
    status, answer, headers = send(steered_emulator, operation, body)
    assert (status, answer["__type"], headers["x-amzn-ErrorType"]) == (400, code, code)
    assert headers["Content-Type"] == "application/x-amz-json-1.1"


def test_an_operation_that_botocore_does_not_know_says_so(steered_emulator, monkeypatch):
    monkeypatch.setattr(service_model(), "operation_names", ["GetDataAutomationStatus"], raising=False)
    status, answer, _ = send(steered_emulator, "TagResource", b"{}")
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    assert "Upgrade boto3" in answer["message"]


@needs_sync
def test_bytes_that_are_not_base64_are_refused(steered_emulator):
    profile = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
    body = {
        "inputConfiguration": {"bytes": "%%%"},
        "dataAutomationProfileArn": profile,
        "dataAutomationConfiguration": {"dataAutomationProjectArn": PROJECT},
    }
    _, answer, _ = send(steered_emulator, "InvokeDataAutomation", json.dumps(body).encode())
    assert answer["__type"] == "SerializationException"
    body["inputConfiguration"]["bytes"] = base64.b64encode(b"hello").decode()
    status, _, _ = send(steered_emulator, "InvokeDataAutomation", json.dumps(body).encode())
    assert status == 200


def test_members_of_tomorrow_are_read_past(steered_emulator):
    arn = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/00000000-0000-0000-0000-000000000000"
    body = json.dumps({"invocationArn": arn, "unknownMember": 1}).encode()
    assert send(steered_emulator, "GetDataAutomationStatus", body)[1]["__type"] == "ResourceNotFoundException"
