"""The template is what CloudFormation takes, allows what is needed and no more, and deploys a function that works."""

from __future__ import annotations

import ast
import json
from fnmatch import fnmatchcase

import moto
import pytest
from cfnlint.api import ManualArgs, lint
from deployed_function import deploy
from packaging.version import Version

from airflow_bda.access.permissions import caller_permissions
from airflow_bda.access.workload import plan_workload
from airflow_bda.aws_lambda.template import build_template
from airflow_bda.service.arns import DESTINATIONS_OF_REGION, UnknownRegionError

PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
BLUEPRINT = "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
BUCKET_KEY = "arn:aws:kms:us-east-1:123456789012:key/4567"
EVERYTHING = {
    "ProjectArn": PROJECT,
    "BlueprintArns": BLUEPRINT,
    "KmsKeyArn": KEY,
    "BucketKeyArns": BUCKET_KEY,
    "Events": "function",
    "Hints": "yes",
}

# moto makes no queue policies and no alarms, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning")


def invoke(emulator, event: dict) -> tuple[int, dict]:
    answer = emulator.client("lambda").invoke(FunctionName="airflow-bda", Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload["statusCode"], json.loads(payload["body"])


def statements_of_role(emulator, role_arn: str) -> list[dict]:
    iam = emulator.client("iam")
    name = role_arn.rpartition("/")[2]
    policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in policies]
    # moto keeps a template's policy as Python writes it, with None for what a condition leaves out.
    return [each for document in documents for each in ast.literal_eval(str(document))["Statement"] if each]


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-1", "us-gov-west-1"])
def test_cloudformations_own_linter_finds_nothing(region):
    """Of the regions, one of several routes, one of any, and one of another partition: nothing else differs."""
    assert lint(json.dumps(build_template(region)), config=ManualArgs(regions=[region])) == []


def test_the_linter_would_find_something():
    template = build_template("us-east-1")
    template["Resources"]["Function"]["Properties"]["Tiemout"] = 3

    assert lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"]))


def test_the_profile_is_allowed_in_every_region_that_it_routes_to():
    for region, destinations in DESTINATIONS_OF_REGION.items():
        (policy,) = build_template(region)["Resources"]["Role"]["Properties"]["Policies"]
        (allowed,) = [each for each in policy["PolicyDocument"]["Statement"] if each.get("Sid") == "InvokeBdaProfile"]
        regions = [resource["Fn::Sub"].partition(":bedrock:")[2].partition(":")[0] for resource in allowed["Resource"]]
        assert regions == list(destinations)


def test_for_a_region_without_a_known_profile_there_is_none():
    with pytest.raises(UnknownRegionError):
        build_template("mars-north-1")


def test_the_deployed_function_starts_jobs_and_tells_of_them(bda_emulator):
    """The zip, the handler's name, the environment and the time-out fit each other."""
    outputs = deploy(bda_emulator)
    uri = bda_emulator.upload(b"Dear reader", "in/letter.pdf")
    assert outputs["FunctionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:airflow-bda"

    code, body = invoke(bda_emulator, {"inputS3Uri": uri, "outputS3Uri": "s3://bda-test/out/"})
    assert (code, body["invocationArn"]) == (200, bda_emulator.jobs[0].invocation_arn)

    code, body = invoke(bda_emulator, {"invocationArn": body["invocationArn"]})
    assert code == 200
    assert body["status"] in {"Created", "InProgress", "ClientError"}


def test_the_deployed_function_is_for_its_folders_only(bda_emulator):
    deploy(bda_emulator, ProjectArn=PROJECT)
    uri = bda_emulator.upload(b"Dear reader", "elsewhere/letter.pdf")

    code, body = invoke(
        bda_emulator,
        {"inputS3Uri": uri, "outputS3Uri": "s3://bda-test/output", "projectArn": f"{PROJECT}0"},
    )

    assert code == 403
    assert len(body["problems"]) == 3
    assert bda_emulator.jobs == []


def test_its_role_allows_what_a_job_needs_and_nothing_beyond(bda_emulator):
    """Against the list of permissions that the policies for Airflow are made of, besides reading results."""
    role = deploy(bda_emulator, **EVERYTHING)["RoleArn"]
    statements = statements_of_role(bda_emulator, role)
    workload = plan_workload(
        input_uri="s3://bda-test/in/",
        output_uri="s3://bda-test/out",
        project_arn=PROJECT,
        blueprint_arns=[BLUEPRINT],
        kms_key=KEY,
        input_key=BUCKET_KEY,
        output_key=BUCKET_KEY,
    )
    read_results = "arn:aws:s3:::bda-test/out/*"
    needed = {
        (action, resource)
        for permission in caller_permissions(workload)
        for action in permission.actions
        for resource in permission.resources
        if action != "s3:ListBucket" and (action, resource) != ("s3:GetObject", read_results)
    }

    allowed = {
        (action, resource)
        for statement in statements
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }
    own = {pair for pair in allowed if pair[0].startswith(("logs:", "sqs:"))}

    assert allowed - own == needed
    assert {action for action, _ in own} == {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
    assert not [pair for pair in own if fnmatchcase("arn:aws:sqs:us-east-1:123456789012:other", pair[1])]


@pytest.mark.skipif(
    Version(moto.__version__) < Version("5.2"), reason="moto 5.1 hands a queue's messages to functions escaped for XML"
)
def test_events_come_to_the_second_function(bda_emulator, wait_until):
    """From the job by EventBridge and the rule's pattern to the queue, and from there to the function."""
    bda_emulator.configure(created_seconds=0.0, in_progress_seconds=0.0)
    deploy(bda_emulator, Events="function")
    uri = bda_emulator.upload(b"no PDF at all", "in/broken.pdf")
    told: list[dict] = []

    def both_were_told() -> bool:
        events = bda_emulator.client("logs").filter_log_events(logGroupName="/aws/lambda/airflow-bda-events")["events"]
        told[:] = [json.loads(each["message"]) for each in events if each["message"].startswith("{")]
        return sum("_aws" in line for line in told) == 2

    _, body = invoke(bda_emulator, {"inputS3Uri": uri, "outputS3Uri": "s3://bda-test/out", "enableEventBridge": True})
    wait_until(both_were_told)

    heard = {(line["event"]["invocation_arn"], line["event"]["status"]) for line in told if "event" in line}
    assert heard == {(body["invocationArn"], "Created"), (body["invocationArn"], "ClientError")}
    assert sum(line.get("JobsFailedByInput", 0) for line in told) == 1


@pytest.mark.parametrize(("events", "made"), [("none", set()), ("queue", {"EventQueue", "EventRule"})])
def test_what_is_not_asked_for_is_not_made(events, made, bda_emulator):
    deploy(bda_emulator, Events=events, DeadLetters="no")

    listed = bda_emulator.client("cloudformation").list_stack_resources(StackName="bda")["StackResourceSummaries"]
    names = {each["LogicalResourceId"] for each in listed if each["LogicalResourceId"]}

    assert names == {"Role", "LogGroup", "Function"} | made


def test_ends_of_jobs_go_to_the_queue_of_hints(bda_emulator):
    deploy(bda_emulator, Hints="yes", DeadLetters="no")

    listed = bda_emulator.client("cloudformation").list_stack_resources(StackName="bda")["StackResourceSummaries"]
    names = {each["LogicalResourceId"] for each in listed if each["LogicalResourceId"]}
    rules = bda_emulator.client("events").list_rules()["Rules"]
    pattern = json.loads(next(rule["EventPattern"] for rule in rules if "HintRule" in rule["Name"]))

    assert {"HintQueue", "HintRule"} <= names
    assert "EventQueue" not in names
    assert {kind.rpartition("Job ")[2] for kind in pattern["detail-type"]} == {
        "Succeeded",
        "Failed With Client Error",
        "Failed With Service Error",
    }


def _listed(value) -> list[str]:
    return [value] if isinstance(value, str) else value
