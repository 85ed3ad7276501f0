"""The ARN of an invocation, checked before a status is asked for."""

from __future__ import annotations

import re
from typing import Any

from airflow_bda.service.arns import INVOCATION, Arn
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import validate
from airflow_bda.service.request.rules import TEMPLATE_REMEDY, holds_template

OPERATION = "GetDataAutomationStatus"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_invocation_arn(invocation_arn: Any) -> str:
    """
    Give *invocation_arn* back when the service would take it.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_GetDataAutomationStatus.html

    :raises BdaRequestError: says what is wrong with it, and what was probably meant.
    """
    problems = [str(problem) for problem in validate(OPERATION, {"invocationArn": invocation_arn})]
    if problems:
        raise BdaRequestError(
            "The status was not asked for: invocation_arn is no invocation's ARN.",
            problems=problems,
            remedy=_remedy(invocation_arn),
        )
    return str(invocation_arn)


def region_of(invocation_arn: str) -> str | None:
    """Give the region that an invocation runs under; None where the text is no ARN."""
    try:
        return Arn.parse(invocation_arn).region
    except ValueError:
        return None


def _remedy(value: Any) -> str:
    if not value or value == "None":
        return "The task that should have given it pushed no XCom: check that it ran, and its task_ids."
    if holds_template(str(value)):
        return f"It is an unrendered template. {TEMPLATE_REMEDY}."
    if _UUID.fullmatch(str(value)):
        return f"It is a bare job id; the ARN is arn:aws:bedrock:<region>:<account>:{INVOCATION}/{value}."
    return f"It reads arn:aws:bedrock:<region>:<account>:{INVOCATION}/<job id>, as BdaInvokeOperator returns it."
