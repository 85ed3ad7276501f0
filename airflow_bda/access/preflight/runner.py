"""Run all checks, in the order in which one failing makes the next ones pointless."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, NoRegionError

from airflow_bda.access.preflight.account import check_permissions, check_quotas
from airflow_bda.access.preflight.buckets import check_bucket_policies, check_input, check_key, check_output
from airflow_bda.access.preflight.findings import Report, Scene, fault, hint, ok
from airflow_bda.access.preflight.machine import check_clock, check_libraries, check_versions
from airflow_bda.access.preflight.request_checks import check_blueprints, check_project, check_regions, check_request
from airflow_bda.service.aws_errors import Failure, Refusal, answer_or_refusal
from airflow_bda.service.profiles import PROFILE_OF_REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.access.preflight.findings import Check, Connection, Subject

_CHECKS = (
    check_regions,
    check_request,
    check_project,
    check_blueprints,
    check_input,
    check_output,
    check_bucket_policies,
    check_key,
    check_permissions,
    check_quotas,
)
# us-east-1, us-gov-west-1, us-isob-east-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")


def run_preflight(connection: Connection, subject: Subject) -> Report:
    """Look at everything that jobs will need; the look itself does not fail."""
    return Report(tuple(_checks(connection, subject)))


def _checks(connection: Connection, subject: Subject) -> Iterator[Check]:
    yield from check_versions()
    yield from check_libraries()
    if connection.missing:
        # So does the Amazon provider, with a line in the log.
        yield hint("connection", f"there is no {connection.missing!r}; the machine's own credentials are used.")
    try:
        region = connection.region()
    except BotoCoreError as error:
        yield fault("region", "no AWS region is set." if isinstance(error, NoRegionError) else str(error), _NO_REGION)
        return
    yield _judge_region(region)
    if not _REGION.fullmatch(region):
        return
    caller = answer_or_refusal(lambda: connection.client("sts").get_caller_identity())
    if isinstance(caller, Refusal):
        if caller.kind is Failure.UNREACHABLE:
            yield fault("network", f"AWS cannot be reached. {caller.text}", _NO_WAY)
        else:
            yield fault("identity", f"AWS does not know the caller: {caller.text}", _NO_IDENTITY)
        return
    yield ok("identity", caller["Arn"])
    yield from check_clock(caller)
    scene = Scene(
        connection.client,
        subject,
        region,
        caller["Account"],
        caller["Arn"],
        connection.status_requests_per_second,
    )
    for check in _CHECKS:
        yield from check(scene)


_NO_REGION = (
    "Pass --region, set AWS_DEFAULT_REGION in the environment, or set region_name in the Airflow connection's extra."
)
_NO_WAY = (
    "Check the endpoint (--endpoint-url, AWS_ENDPOINT_URL, endpoint_url in the connection's extra), the proxy, and the "
    "way to AWS of this network."
)
_NO_IDENTITY = "Check the Airflow connection, or the environment's or the machine's AWS credentials."


def _judge_region(region: str) -> Check:
    if region in PROFILE_OF_REGION:
        return ok("region", f"{region} has BDA")
    known = ", ".join(sorted(PROFILE_OF_REGION))
    if not _REGION.fullmatch(region):
        return fault("region", f"{region!r} is not the name of an AWS region.", f"Regions with BDA: {known}.")
    return hint(
        "region",
        f"whether {region} has BDA is not known here; known: {known}.",
        "Pass the profile's ARN if it has.",
    )
