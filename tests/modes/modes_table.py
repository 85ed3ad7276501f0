"""The outcomes that a wait can have, how each comes about, and a memory of what the tasks did."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from airflow_bda.emulator import EMULATOR
from airflow_bda.engine import judging
from airflow_bda.exceptions import (
    BdaClientError,
    BdaConnectionError,
    BdaError,
    BdaPermissionError,
    BdaRequestError,
    BdaServiceError,
    BdaTimeoutError,
)

GET_STATUS = "GetDataAutomationStatus"
INVOKE = "InvokeDataAutomationAsync"
METADATA_XCOM = "output_metadata_uri"
MAY_NOT_ASK = "aws_may_not_ask"
NOWHERE = "aws_nowhere"
LONG, SHORT = 60.0, 1.5


@dataclass(frozen=True, eq=False)
class Outcome:
    """
    One row of the table.

    :param faults: what goes wrong while the task runs.
    :param error: what the task raises; None when it succeeds.
    :param facts: the error's attributes, besides the job's ARN.
    :param patience: how long the task waits, in seconds.
    :param grace: how long a job may stay unknown, in seconds.
    """

    name: str
    faults: tuple[dict[str, Any], ...] = ()
    error: type[BdaError] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    patience: float = LONG
    grace: float = LONG
    aws_conn_id: str = "aws_default"


def of_status(kind: str, **members: Any) -> dict[str, Any]:
    return {"kind": kind, "operation": GET_STATUS, **members}


def failing(status: str) -> dict[str, Any]:
    return {"kind": "failed_job", "status": status, "error_type": "SomeType", "error_message": "Some message."}


def facts(status: str) -> dict[str, Any]:
    return {"status": status, "error_type": "SomeType", "error_message": "Some message."}


SUCCESS = Outcome("success")
CLIENT_ERROR = Outcome("client_error", (failing("ClientError"),), BdaClientError, facts("ClientError"))
SERVICE_ERROR = Outcome("service_error", (failing("ServiceError"),), BdaServiceError, facts("ServiceError"))
TIMEOUT = Outcome("timeout", ({"kind": "stuck_job"},), BdaTimeoutError, {"status": "Created"}, SHORT)
OUTCOMES = (
    SUCCESS,
    CLIENT_ERROR,
    SERVICE_ERROR,
    TIMEOUT,
    Outcome(
        "permission_denied",
        error=BdaPermissionError,
        facts={"error_type": "AccessDeniedException"},
        aws_conn_id=MAY_NOT_ASK,
    ),
    Outcome(
        "unknown_invocation",
        ({"kind": "late_visibility", "polls": 10**9},),
        BdaRequestError,
        {"error_type": "ResourceNotFoundException"},
        grace=SHORT,
    ),
    Outcome(
        "never_reached",
        error=BdaConnectionError,
        facts={"error_type": "EndpointConnectionError", "status": None},
        aws_conn_id=NOWHERE,
    ),
    Outcome("found_late", ({"kind": "late_visibility", "polls": 2},)),
    Outcome("unknown_status", (of_status("unknown_status", status="Pondering", times=2),)),
    Outcome("throttled", (of_status("throttling", times=2),)),
    Outcome("service_fails", (of_status("server_error", times=2), of_status("dropped_request", times=1))),
    Outcome("credentials_expire", (of_status("expired_credentials", times=1),)),
    Outcome("answers_are_odd", (of_status("not_json", times=1), of_status("unknown_members", times=2))),
)
# With an option of the sensor: (outcome, option) to the state of the task.
SKIPPING = {
    (CLIENT_ERROR, "soft_fail"): "skipped",
    (SERVICE_ERROR, "soft_fail"): "failed",
    (TIMEOUT, "soft_fail"): "skipped",
    (CLIENT_ERROR, "never_fail"): "skipped",
    (SERVICE_ERROR, "never_fail"): "skipped",
    (TIMEOUT, "never_fail"): "skipped",
}

# What the tasks did. The DAG runs in the test's own process.
errors: dict[str, BaseException] = {}
tries: dict[str, int] = {}
deferrals: dict[str, dict[str, Any]] = {}
jobs: dict[str, str] = {}
_arranged: set[str] = set()


def forget() -> None:
    errors.clear()
    tries.clear()
    deferrals.clear()
    jobs.clear()
    _arranged.clear()


def outcome_of(task_id: str) -> Outcome:
    return next(outcome for outcome in OUTCOMES if outcome.name == task_id.partition("-")[0])


def arrange(context: dict[str, Any]) -> None:
    """Let the task's troubles begin, once: a task that is rescheduled or resumed starts again."""
    task_id = context["ti"].task_id
    if task_id not in _arranged:
        _begin(task_id)


def _begin(task_id: str) -> None:
    _arranged.add(task_id)
    outcome = outcome_of(task_id)
    EMULATOR.faults.set(outcome.faults)
    judging.NOT_FOUND_GRACE_SECONDS = outcome.grace


def start_job(task_id: str) -> str:
    """Start a job for a sensor, once; templates are rendered each time the task starts, and before ``pre_execute``."""
    if task_id not in jobs:
        _begin(task_id)
        client = boto3.client("bedrock-data-automation-runtime")
        answer = client.invoke_data_automation_async(
            inputConfiguration={"s3Uri": "s3://modes/a document.pdf"},
            outputConfiguration={"s3Uri": "s3://modes/results"},
            dataAutomationProfileArn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
        )
        jobs[task_id] = answer["invocationArn"]
    return jobs[task_id]


def recording(base: type) -> type:
    """Return an operator class whose tasks leave their errors here."""

    class Recording(base):
        def execute(self, context):
            with _remembered(context):
                return super().execute(context)

        def defer(self, **arguments):
            deferrals[self.task_id] = arguments
            super().defer(**arguments)

        def execute_complete(self, context, **resumed):
            with _remembered(context):
                return super().execute_complete(context, **resumed)

    Recording.__name__ = Recording.__qualname__ = f"Recording{base.__name__}"
    return Recording


@contextmanager
def _remembered(context):
    tries[context["ti"].task_id] = context["ti"].try_number
    try:
        yield
    except Exception as error:
        errors[context["ti"].task_id] = error
        raise


def user_who_may_not_ask(iam: Any) -> tuple[str, str]:
    """Make a user who may do everything but ask for a job's status, and give his key."""
    name = "may-not-ask"
    try:
        iam.create_user(UserName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityAlreadyExists":
            raise
    iam.put_user_policy(
        UserName=name,
        PolicyName="all-but-one",
        PolicyDocument='{"Version": "2012-10-17", "Statement": ['
        '{"Effect": "Allow", "Action": "*", "Resource": "*"},'
        f'{{"Effect": "Deny", "Action": "bedrock:{GET_STATUS}", "Resource": "*"}}]}}',
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]
