"""Which profile a region has, and where it routes to."""

from __future__ import annotations

import pytest

from airflow_bda.service.profiles import (
    ANY_REGION,
    DESTINATIONS_OF_REGION,
    PROFILE_OF_REGION,
    UnknownRegionError,
    derive_profile_arn,
    routed_profile_arns,
)


def test_both_tables_hold_the_same_regions():
    assert set(DESTINATIONS_OF_REGION) == set(PROFILE_OF_REGION)


@pytest.mark.parametrize("region", sorted(PROFILE_OF_REGION))
def test_a_call_may_stay_where_it_is_made(region):
    """What a policy allows by this table always covers the profile that the call itself names."""
    own = derive_profile_arn(region=region, account="123456789012")
    routed = routed_profile_arns(region=region, account="123456789012")

    assert own in routed or own.replace(f":{region}:", f":{ANY_REGION}:") in routed


def test_profiles_of_an_unknown_region_are_not_guessed():
    with pytest.raises(UnknownRegionError, match="Known: ap-northeast-1"):
        routed_profile_arns(region="mars-north-1", account="123456789012")
