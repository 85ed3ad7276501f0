"""The CDK constructs: the Lambda functions that manage blueprints and projects, start jobs and read results."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
from checks import INPUT_KEY, MANAGED_INVOICE, PROFILE, SCHEMA, check, require, wait_for

CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    aws_request_id="r",
)


def main(root):
    """Run what is there."""
    os.environ.update(
        INPUT_BUCKET="bda-input",
        OUTPUT_BUCKET="bda-output",
        POWERTOOLS_SERVICE_NAME="test",
        POWERTOOLS_TRACE_DISABLED="1",
        POWERTOOLS_METRICS_NAMESPACE="test",
    )
    functions = root / "lambda" / "aws-bedrock-data-automation"
    check("blueprints: create, get, list, update, delete", blueprints, functions / "bda_blueprint")
    check("projects: create, get, list, update, delete", projects, functions / "bda_project")
    check("data processing", processing, functions / "data_processing")
    check("data result", result, functions / "data_result")


def handler_of(folder):
    """Load a function; its file is named by a word of Python's."""
    own = {path.stem for path in folder.glob("*.py")}
    for name in own:
        sys.modules.pop(name, None)
    sys.path[:] = [str(folder), *(path for path in sys.path if "aws-bedrock-data-automation" not in path)]
    return runpy.run_path(str(folder / "lambda.py"))["handler"]


def call(handler, detail):
    """Call a function with an event, and return what it answers."""
    answer = handler({"source": "test", "detail-type": "test", "detail": detail, "id": "1"}, CONTEXT)
    body = answer["body"]
    require(answer["statusCode"] == 200, f"{answer}")
    return json.loads(body) if isinstance(body, str) else body


def blueprints(folder):
    """Manage a blueprint."""
    handler = handler_of(folder)
    boto3.client("s3").put_object(Bucket="bda-input", Key="schema.json", Body=SCHEMA.encode())
    created = call(handler, {"operation": "CREATE", "blueprint_name": "made", "schema_file_name": "schema.json"})[
        "response"
    ]
    arn = (created.get("blueprint") or created)["blueprintArn"]
    call(handler, {"operation": "GET", "blueprint_arn": arn, "blueprint_stage": "LIVE"})
    call(handler, {"operation": "LIST"})
    call(handler, {"operation": "UPDATE", "blueprint_arn": arn, "blueprint_schema": SCHEMA, "schema": SCHEMA})
    call(handler, {"operation": "DELETE", "blueprint_arn": arn})


def projects(folder):
    """Manage a project."""
    handler = handler_of(folder)
    details = {"project_name": "made", "project_stage": "LIVE", "modality": "document"}
    output = {"standardOutputConfiguration": {"document": {"generativeField": {"state": "ENABLED"}}}}
    arn = call(handler, {"operation": "create", **details})["response"]
    call(handler, {"operation": "get", "projectArn": arn})
    call(handler, {"operation": "list"})
    call(handler, {"operation": "update", "projectArn": arn, **details, **output})


def processing(folder):
    """Start a job."""
    call(handler_of(folder), request())


def request():
    """Describe a job."""
    return {
        "input_filename": INPUT_KEY,
        "output_filename": "constructs",
        "blueprints": [{"blueprint_arn": MANAGED_INVOICE, "stage": "LIVE"}],
        "data_automation_profile_arn": PROFILE,
    }


def result(folder):
    """Read the results of a job."""
    client = boto3.client("bedrock-data-automation-runtime")
    arn = client.invoke_data_automation_async(
        inputConfiguration={"s3Uri": f"s3://bda-input/{INPUT_KEY}"},
        outputConfiguration={"s3Uri": "s3://bda-output/constructs"},
        blueprints=[{"blueprintArn": MANAGED_INVOICE}],
        dataAutomationProfileArn=PROFILE,
    )["invocationArn"]
    wait_for(client, arn)
    body = call(handler_of(folder), {"invocation_arn": arn, "wait": True})
    require(body.get("results"), f"{body}")


main(Path(sys.argv[1]))
