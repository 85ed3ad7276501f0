"""The stack of the bundled template: the function, and the queue and rule of the jobs' events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_bda.aws_lambda.package import build_package
from airflow_bda.aws_lambda.template import build_template

if TYPE_CHECKING:
    from real_account import Account


def deploy(account: Account) -> dict[str, str]:
    """Deploy it under the run's name, to be deleted when the tests leave, and give its outputs."""
    code = account.upload("code/bda_lambda.zip", build_package(with_boto3=True).content)
    allowed = f"{account.folder.bucket}/{account.folder.key}"
    parameters = {
        "CodeBucket": account.folder.bucket,
        "CodeKey": code.partition(f"{account.folder.bucket}/")[2],
        "FunctionName": account.name,
        "InputPrefix": allowed,
        "OutputPrefix": allowed,
        "ProjectArn": account.place.project_arn,
        "Events": "queue",
        "DeadLetters": "no",
        "LogRetentionDays": "1",
    }
    formation = account.client("cloudformation")
    # Before it is made: a stack that fails half-way is to be deleted too.
    account.on_leaving(_delete, account)
    formation.create_stack(
        StackName=account.name,
        TemplateBody=json.dumps(build_template(account.region)),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    formation.get_waiter("stack_create_complete").wait(StackName=account.name, WaiterConfig={"Delay": 5})
    (stack,) = formation.describe_stacks(StackName=account.name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _delete(account: Account) -> None:
    formation = account.client("cloudformation")
    formation.delete_stack(StackName=account.name)
    formation.get_waiter("stack_delete_complete").wait(StackName=account.name, WaiterConfig={"Delay": 5})
