"""Check the ARN of an invocation before its status is requested."""

from __future__ import annotations

import re
from typing import Any

from airflow_bda.service.arns import INVOCATION, Arn
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import GET_STATUS, validate
from airflow_bda.service.request.templates import explain

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_invocation_arn(invocation_arn: Any) -> str:
    """
    Return *invocation_arn* when the service would take it.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_GetDataAutomationStatus.html

    :raises BdaRequestError: says what is wrong with it, and what was probably meant.
    """
    problems = [str(problem) for problem in validate(GET_STATUS, {"invocationArn": invocation_arn})]
    if problems:
        raise BdaRequestError(
            "The status was not requested: invocation_arn is not the ARN of an invocation.",
            problems=[problem.replace("invocationArn", "invocation_arn", 1) for problem in problems],
            remedy=_remedy(invocation_arn),
        )
    return str(invocation_arn)


def region_of(invocation_arn: Any) -> str | None:
    """Return the region that an invocation runs in; None where *invocation_arn* is not an ARN."""
    try:
        return Arn.parse(invocation_arn).region
    except (TypeError, ValueError):
        return None


def _remedy(value: Any) -> str:
    if value is None or value in ("", "None"):
        return "The upstream task pushed no XCom: check that it ran, and its task_ids."
    if _UUID.fullmatch(str(value)):
        return f"It is a bare job id; the ARN is arn:aws:bedrock:<region>:<account>:{INVOCATION}/{value}."
    explained = explain(value)
    if explained:
        return f"{explained}."
    return f"It reads arn:aws:bedrock:<region>:<account>:{INVOCATION}/<job id>, as BdaInvokeOperator returns it."
