"""ARNs of Bedrock Data Automation: parsing them, and the partition of a region."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

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
