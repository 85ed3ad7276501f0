"""
Deploy into the emulator what some example DAGs need, as their users do on AWS: by CloudFormation.

    python deploy.py function      the Lambda function of bda_lambda
    python deploy.py events        the queues and rules that bda_on_event and bda_wait_with_events have on their pages

What is deployed already stays as it is.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from airflow_bda.aws_lambda.package import build_package
from airflow_bda.aws_lambda.template import build_template

DAGS = Path("/opt/airflow/dags")
CODE_BUCKET, CODE_KEY = "bda-code", "bda_lambda.zip"


def main() -> None:
    """Deploy what the command line names."""
    {"function": deploy_function, "events": deploy_events}[sys.argv[1]]()


def deploy_function() -> None:
    """Upload the zip and deploy its template, with the buckets that the emulator starts with."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=build_package().content)
    _deploy(
        "airflow-bda",
        json.dumps(build_template(os.environ["AWS_DEFAULT_REGION"])),
        CodeBucket=CODE_BUCKET,
        CodeKey=CODE_KEY,
        InputPrefix="bda-input",
        OutputPrefix="bda-output",
    )


def deploy_events() -> None:
    """Deploy the templates on the DAGs' pages."""
    for name, file in (("bda-events", "bda_on_event.py"), ("bda-hints", "bda_wait_with_events.py")):
        page = (DAGS / file).read_text()
        _deploy(name, page.split("```yaml\n")[1].split("```")[0])


def _deploy(name: str, template: str, **parameters: str) -> None:
    formation = boto3.client("cloudformation")
    try:
        formation.create_stack(
            StackName=name,
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "AlreadyExistsException":
            raise
        print(f"{name} is deployed already")
        return
    (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    print(f"{name}: {stack['StackStatus']}")
    if stack["StackStatus"] != "CREATE_COMPLETE":
        sys.exit(1)


if __name__ == "__main__":
    main()
