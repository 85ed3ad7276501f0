"""
The data automation profile that a call needs, by the region of the call, and the regions that it may route to.

The table is AWS's own (https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html). It grows, and an id does
not follow from a region's name (Canada has ``na``, Singapore only ``global``): for a region that is missing here, pass
the profile's ARN.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_bda.service.arns import PROFILE, Arn, partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    :param account: twelve digits, or what stands for them in a policy.
    :param partition: None takes the region's own.
    :raises UnknownRegionError: when the table does not hold *region*.
    """
    if region not in PROFILE_OF_REGION:
        raise UnknownRegionError(region)
    return tuple(
        str(Arn(partition or partition_of(region), destination, account, PROFILE, PROFILE_OF_REGION[region]))
        for destination in DESTINATIONS_OF_REGION[region]
    )
