"""
ARNs of Bedrock Data Automation: parse them, derive the profile's, check an invocation's. And those of SQS's queues.

The table of profiles is AWS's own (https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html). It grows, and
an id does not follow from a region's name (Canada has ``na``, Singapore only ``global``): for a region that is missing
here, pass the profile's ARN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
# Partitions by the prefix of their regions' names, as in botocore's partitions.json.
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

    :param account: twelve digits, or ``aws`` for what AWS manages.
    :param resource_type: ``data-automation-invocation``, ``data-automation-project``, ...
    :param resource_id: what follows the first slash.
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


PROFILE_OF_REGION: Mapping[str, str] = MappingProxyType(
    {
        "us-east-1": "us.data-automation-v1",
        "us-east-2": "us.data-automation-v1",
        "us-west-2": "us.data-automation-v1",
        "ca-central-1": "na.data-automation-v1",
        "eu-central-1": "eu.data-automation-v1",
        "eu-west-1": "eu.data-automation-v1",
        "eu-west-2": "eu.data-automation-v1",
        "eu-south-2": "eu.data-automation-v1",
        "ap-northeast-1": "apac.data-automation-v1",
        "ap-south-1": "apac.data-automation-v1",
        "ap-southeast-1": "global.data-automation-v1",
        "ap-southeast-2": "apac.data-automation-v1",
        "us-gov-west-1": "us-gov.data-automation-v1",
    }
)

_US = ("us-east-1", "us-east-2", "us-west-1", "us-west-2")
_EU = ("eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3")
_APAC = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
    *("ap-southeast-1", "ap-southeast-2", "ap-southeast-4"),
)
ANY_REGION = "*"
# Where a call made in a region may run: the caller must be allowed to use the profile in each of these.
DESTINATIONS_OF_REGION: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "us-east-1": _US,
        "us-east-2": _US,
        "us-west-2": _US,
        "ca-central-1": ("ca-central-1", "ca-west-1", "us-east-1", "us-east-2", "us-west-2"),
        "eu-central-1": _EU,
        "eu-west-1": _EU,
        "eu-west-2": ("eu-west-2",),
        "eu-south-2": _EU,
        "ap-northeast-1": (*_APAC, "ap-southeast-3", "ap-southeast-5"),
        "ap-south-1": _APAC,
        # Its global profile routes to any commercial region.
        "ap-southeast-1": (ANY_REGION,),
        "ap-southeast-2": _APAC,
        "us-gov-west-1": ("us-gov-west-1",),
    }
)


class UnknownRegionError(LookupError):
    """No profile is known for a region; its text lists the known ones and says what to pass."""

    def __init__(self, region: str) -> None:
        self.region = region
        super().__init__(
            f"No data automation profile is known for region {region!r}. "
            f"Known: {', '.join(sorted(PROFILE_OF_REGION))}. "
            "If BDA has come to this region, pass the profile's ARN as profile_arn; else choose one of these regions."
        )

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.region,)


def derive_profile_arn(*, region: str, account: str, partition: str | None = None) -> str:
    """
    Return the profile ARN for calls made in *region* by *account*.

    :param partition: None takes the region's own.
    :raises UnknownRegionError: when the table does not hold *region*.
    """
    try:
        profile_id = PROFILE_OF_REGION[region]
    except KeyError:
        raise UnknownRegionError(region) from None
    return str(Arn(partition or partition_of(region), region, account, PROFILE, profile_id))


def routed_profile_arns(*, region: str, account: str, partition: str | None = None) -> tuple[str, ...]:
    """
    Return the profile's ARN in every region that a call made in *region* may be routed to, as policies name them.

    :param account: twelve digits, or a placeholder in a policy.
    :param partition: None takes the region's own.
    :raises UnknownRegionError: when the table does not hold *region*.
    """
    if region not in PROFILE_OF_REGION:
        raise UnknownRegionError(region)
    return tuple(
        str(Arn(partition or partition_of(region), destination, account, PROFILE, PROFILE_OF_REGION[region]))
        for destination in DESTINATIONS_OF_REGION[region]
    )


_QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):(?P<name>[A-Za-z0-9_.-]+)")
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_QUEUE_HOST = re.compile(r"sqs\.(?P<region>[a-z0-9-]+)\..+")
_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True)
class Queue:
    """
    A queue of SQS, as it is named: by URL or by ARN.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html

    :param url: what SQS is called with.
    :param region: None where the URL is not one of AWS's, such as an emulator's.
    :param account: None where the URL has none.
    """

    url: str
    name: str
    region: str | None
    account: str | None

    @classmethod
    def parse(cls, text: str) -> Queue:
        """
        Read a queue's URL or ARN.

        :raises ValueError: when it is neither.
        """
        if arn := _QUEUE_ARN.fullmatch(text):
            region, account, name = arn["region"], arn["account"], arn["name"]
            domain = "amazonaws.com.cn" if partition_of(region) == "aws-cn" else "amazonaws.com"
            return cls(f"https://sqs.{region}.{domain}/{account}/{name}", name, region, account)
        url = urlsplit(text)
        path = url.path.strip("/").split("/")
        if url.scheme not in {"http", "https"} or not url.hostname or not _QUEUE_NAME.fullmatch(path[-1]):
            raise ValueError(f"{text!r} is not a queue: pass its URL or its ARN.")
        host = _QUEUE_HOST.fullmatch(url.hostname)
        account = path[0] if _ACCOUNT.fullmatch(path[0]) else None
        return cls(text, path[-1], host["region"] if host else None, account)

    def arn_in(self, region: str, account: str) -> str:
        """Return the queue's ARN; a region and an account that its URL does not tell are these."""
        region, account = self.region or region, self.account or account
        return f"arn:{partition_of(region)}:sqs:{region}:{account}:{self.name}"
