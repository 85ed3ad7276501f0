"""The Lambda function's printed policy: with it the function works, and each part of it that jobs need is needed."""

from __future__ import annotations

import json

import pytest

from airflow_bda.access.policies import PolicyOptions, lambda_policy
from airflow_bda.access.workload import plan_workload
from airflow_bda.aws_lambda.package import build_package
from airflow_bda.aws_lambda.template_parts import HANDLER
from airflow_bda.service.errors import BdaPermissionError
from airflow_bda.service.lambda_interface import Answer

NAME = "airflow-bda"
# What the function does without: Lambda writes its log, and only a diagnosis lists buckets.
BESIDE_THE_FLOW = {"WriteFunctionLog", "TellMissingFromForbidden"}


class Function:
    """The bundled function, deployed in a role of its own, in an account whose IAM is enforced."""

    def __init__(self, guarded) -> None:
        self._guarded = guarded
        self._client = guarded.emulator.client("lambda")
        trust = {"Version": "2012-10-17", "Statement": []}
        role = guarded.iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self._client.create_function(
            FunctionName=NAME,
            Runtime="python3.12",
            Role=role,
            Handler=HANDLER,
            Code={"ZipFile": build_package().content},
            Timeout=60,
        )

    def allow(self, policy) -> None:
        """Let the role have this policy and no other."""
        self._guarded.iam.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=json.dumps(policy))

    def flow(self) -> str:
        """Start a job and ask how it stands."""
        workload = self._guarded.workload
        arn = self._ask(
            {
                "inputS3Uri": workload["input_uri"],
                "outputS3Uri": workload["output_uri"],
                "projectArn": workload["project_arn"],
                "blueprints": workload["blueprint_arns"],
                "kmsKeyId": workload["kms_key"],
            }
        ).invocation_arn()
        return str(self._ask({"invocationArn": arn}).state(arn).status)

    def _ask(self, event) -> Answer:
        answer = self._client.invoke(FunctionName=NAME, Payload=json.dumps(event))
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload
        return Answer.parse(payload, NAME)


@pytest.fixture
def function(guarded):
    """Return the function, whose role may do nothing yet."""
    return Function(guarded)


def test_the_function_needs_each_statement_and_no_more(guarded, function):
    """One process serves all of it: the role's policies are read at each call."""
    policy = lambda_policy(plan_workload(**guarded.workload), PolicyOptions(function=NAME))
    function.allow(policy)
    assert function.flow() in {"Created", "InProgress", "Success"}

    needed = [each for each in policy["Statement"] if each["Sid"] not in BESIDE_THE_FLOW]
    assert len(needed) == len(policy["Statement"]) - len(BESIDE_THE_FLOW)
    for statement in needed:
        function.allow(policy | {"Statement": [each for each in needed if each is not statement]})
        with pytest.raises(BdaPermissionError) as refused:
            function.flow()
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert any(action in str(refused.value) for action in actions), statement["Sid"]

    function.allow(policy | {"Statement": needed})
    assert function.flow() in {"Created", "InProgress", "Success"}
