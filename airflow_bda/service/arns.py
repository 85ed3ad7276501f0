"""ARNs of Bedrock Data Automation: parse them, find the partition of a region, check the ARN of an invocation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_bda.service.arguments import explain
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import GET_STATUS, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

INVOCATION = "data-automation-invocation"
PROJECT = "data-automation-project"
PROFILE = "data-automation-profile"
BLUEPRINT = "blueprint"

_PATTERN = re.compile(
    r"arn:(?P<partition>aws[a-z0-9-]*):bedrock:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}|aws|)"
    r":(?P<resource_type>[a-z-]+)/(?P<resource_id>\S+)"
)
# Partitions by how the names of their regions begin, as botocore's own partitions.json tells them apart.
_PARTITION_OF_PREFIX: Mapping[str, str] = MappingProxyType(
    {
        "cn-": "aws-cn",
        "us-gov-": "aws-us-gov",
        "us-iso-": "aws-iso",
        "us-isob-": "aws-iso-b",
        "eu-isoe-": "aws-iso-e",
        "us-isof-": "aws-iso-f",
        "eusc-": "aws-eusc",
    }
)


def partition_of(region: str) -> str:
    """Return the partition that a region belongs to: ``aws`` unless its name says otherwise."""
    return next((partition for prefix, partition in _PARTITION_OF_PREFIX.items() if region.startswith(prefix)), "aws")


@dataclass(frozen=True)
class Arn:
    """
    A Bedrock ARN, parsed.

    :param account: twelve digits, or the word ``aws`` for what AWS manages.
    :param resource_type: ``data-automation-invocation``, ``data-automation-project``, ...
    :param resource_id: what stands behind the first slash.
    """

    partition: str
    region: str
    account: str
    resource_type: str
    resource_id: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """
        Parse an ARN of the service ``bedrock``.

        :raises ValueError: when *text* is not one.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a Bedrock ARN; expected arn:<partition>:bedrock:<region>:<account>:<type>/<id>"
            )
        return cls(**match.groupdict())

    def __str__(self) -> str:
        return f"arn:{self.partition}:bedrock:{self.region}:{self.account}:{self.resource_type}/{self.resource_id}"


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
