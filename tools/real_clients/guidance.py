"""The multimodal guidance: its wrapper, which signs requests itself, and its Lambda functions."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.request import urlopen

import boto3
from checks import MANAGED_INVOICE, SCHEMA, check, require, wait_for


def main(root):
    """Run what is there."""
    functions = root / "deployment" / "lambda"
    os.environ.update(
        DATA_PROJECT_NAME="claims", TARGET_BUCKET_NAME="bda-output", CLAIMS_REVIEW_BUCKET_NAME="bda-output"
    )
    check(
        "blueprint Lambda: Create, Update, Delete", blueprint_function, functions / "claims_review/blueprint_creation"
    )
    made = boto3.client("bedrock-data-automation").create_data_automation_project(
        projectName="claims", standardOutputConfiguration={}
    )
    os.environ.update(DATA_PROJECT_ARN=made["projectArn"], BLUEPRINT_ARN=MANAGED_INVOICE)
    lending, claims = functions / "lending_flow/documents_processor", functions / "claims_review/invoke_data_automation"
    check("lending wrapper: finds a project", wrapper, lending)
    check("lending Lambda: starts a job", invoke_function, lending)
    check("claims Lambda: starts a job", invoke_function, claims)


def modules_of(folder):
    """Forget the modules of the folder before, which have the same names."""
    for name in ("index", "bda_wrapper"):
        sys.modules.pop(name, None)
    sys.path[:] = [str(folder), *(path for path in sys.path if "/deployment/lambda/" not in path)]


def blueprint_function(folder):
    """Make, change and delete a blueprint, as CloudFormation would."""
    modules_of(folder)
    import index

    boto3.client("s3").put_object(Bucket="bda-input", Key="schemas/claim.json", Body=SCHEMA.encode())
    properties = {
        "BlueprintName": "claim",
        "blueprintStage": "LIVE",
        "BlueprintSchemaUri": "s3://bda-input/schemas/claim.json",
    }
    made = index.on_event({"RequestType": "Create", "ResourceProperties": properties}, None)
    event = {"ResourceProperties": properties, "PhysicalResourceId": made["PhysicalResourceId"]}
    for kind in ("Update", "Delete"):
        index.on_event({**event, "RequestType": kind}, None)


def wrapper(folder):
    """List projects with a request that the wrapper makes and signs by itself."""
    modules_of(folder)
    import bda_wrapper

    require(":data-automation-project/" in bda_wrapper.get_project_arn("claims"), "no ARN of a project")


def invoke_function(folder):
    """Start a job for an object, as EventBridge would."""
    modules_of(folder)
    import index

    event = {"detail": {"bucket": {"name": "bda-input"}, "object": {"key": "invoice.pdf"}}}
    known = set(jobs())
    index.lambda_handler(event, None)
    # Not every function returns what it started.
    (arn,) = set(jobs()) - known
    wait_for(boto3.client("bedrock-data-automation-runtime"), arn)


def jobs():
    """List the jobs of the emulator."""
    with urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/_bda/jobs") as answer:  # noqa: S310  the emulator's
        return [job["invocation_arn"] for job in json.load(answer)["jobs"]]


main(Path(sys.argv[1]))
