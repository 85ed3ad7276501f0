"""The IDP accelerator: its service, its reader of results, and the Lambda functions that call BDA."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
from checks import INPUT, MANAGED_INVOICE, PROFILE, check, require, stand_in, wait_for


def main(root):
    """Run what is there."""
    sys.path.insert(0, str(root / "lib" / "idp_common_pkg"))
    check("BdaService.invoke_data_automation", service)
    check("BdaInvocation.from_s3", invocation)
    check("project Lambda: Create, Update, Delete", project_function, root)
    check("invoke Lambda", invoke_function, root)


def service():
    """Start a job, wait for it, and read where its output is."""
    from idp_common.bda.bda_service import BdaService

    bda = BdaService("s3://bda-output/accelerator", dataAutomationProfileArn=PROFILE)
    result = bda.invoke_data_automation(INPUT, MANAGED_INVOICE, sleep_seconds=0.1)
    require(result["status"] == "success", f"{result}")
    return result["output_location"]


def invocation():
    """Read a job's custom output."""
    from idp_common.bda.bda_invocation import BdaInvocation

    output = BdaInvocation.from_s3(service()).get_custom_output()
    require(output["matched_blueprint"]["arn"] == MANAGED_INVOICE, f"{output}")


def project_function(root):
    """Make, change and delete the project of its lending sample, as CloudFormation would."""
    sent = []
    stand_in(
        "cfnresponse",
        SUCCESS="SUCCESS",
        FAILED="FAILED",
        send=lambda _event, _context, status, data, physical_id=None, **more: sent.append((status, data, physical_id)),
    )
    function = load(root / "options/bda-lending-project/src/bda_project_lambda/index.py")
    properties = {
        "ProjectName": "lending",
        "BlueprintNames": ["Payslip", "US-Driver-License", "Bank-Statement", "W2-Form"],
        "CustomHomeApplicationBlueprint": "true",
    }
    event = {"ResourceProperties": properties, "RequestType": "Create", "StackId": "s", "LogicalResourceId": "l"}
    function.handler(event, None)
    for kind in ("Update", "Delete"):
        physical_id = sent[0][2]
        function.handler({**event, "RequestType": kind, "PhysicalResourceId": physical_id}, None)
    require([status for status, *_ in sent] == ["SUCCESS"] * 3, f"{sent}")


def invoke_function(root):
    """Start the job of one document, as its state machine would."""
    os.environ.update(TRACKING_TABLE="tracking", METRIC_NAMESPACE="test")
    key = {"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}
    boto3.client("dynamodb").create_table(
        TableName="tracking",
        KeySchema=list(key),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
        BillingMode="PAY_PER_REQUEST",
    )
    project = boto3.client("bedrock-data-automation").create_data_automation_project(
        projectName="documents", standardOutputConfiguration={}
    )
    function = load(root / "patterns/pattern-1/src/bda_invoke_function/index.py")
    event = {
        "document": {"id": "invoice.pdf", "input_bucket": "bda-input", "input_key": "invoice.pdf"},
        "working_bucket": "bda-output",
        "BDAProjectArn": project["projectArn"],
        "taskToken": "token",
    }
    answer = function.handler(event, SimpleNamespace(aws_request_id="r"))
    arn = find(answer, "invocationArn") or find(answer, "invocation_arn")
    require(arn, f"{answer}")
    wait_for(boto3.client("bedrock-data-automation-runtime"), arn)


def find(value, name):
    """Find a member anywhere in an answer."""
    if isinstance(value, dict):
        return value.get(name) or next(filter(None, (find(member, name) for member in value.values())), None)
    return None


def load(path):
    """Import a function's module."""
    spec = importlib.util.spec_from_file_location(f"function_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main(Path(sys.argv[1]))
