"""The regions that the emulator answers in."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from airflow_bda.service.profiles import PROFILE_OF_REGION


@cache
def bda_regions() -> list[str]:
    """Give the regions to answer in: botocore lists none for BDA, so EC2's, those where BDA is not yet included."""
    # Not by a session: one would fail where AWS_PROFILE names a profile that is not there.
    resolver = EndpointResolver(Loader().load_data("endpoints"))
    partitions = resolver.get_available_partitions()
    listed = {region for name in partitions for region in resolver.get_available_endpoints("ec2", name)}
    return sorted(listed | set(PROFILE_OF_REGION))
