"""Functions in the emulator: the bundled one by its template, and others by their code."""

from __future__ import annotations

import functools
import io
import json
import zipfile

from airflow_bda.aws_lambda.package import build_package
from airflow_bda.aws_lambda.template import build_template

# It is the same bytes each time.
build_package_once = functools.cache(build_package)


def deploy(emulator, **parameters: str) -> dict[str, str]:
    """Deploy the template as a user does, and give its outputs."""
    emulator.make_bucket("code")
    emulator.client("s3").put_object(Bucket="code", Key="bda.zip", Body=build_package_once().content)
    wanted = {"CodeBucket": "code", "CodeKey": "bda.zip", "InputPrefix": "bda-test/in", "OutputPrefix": "bda-test/out"}
    formation = emulator.client("cloudformation")
    formation.create_stack(
        StackName="bda",
        TemplateBody=json.dumps(build_template("us-east-1")),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in {**wanted, **parameters}.items()],
    )
    (stack,) = formation.describe_stacks(StackName="bda")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def create_function(emulator, name: str, code: str) -> None:
    """Create a function whose one module is *code*, with the function ``handle``."""
    emulator.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    emulator.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=f"arn:aws:iam::123456789012:role/{name}",
        Handler="index.handle",
        Code={"ZipFile": buffer.getvalue()},
        Timeout=30,
    )
