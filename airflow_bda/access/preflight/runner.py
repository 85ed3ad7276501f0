"""All checks, in the order in which one failing makes the next ones pointless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from airflow_bda.access.checks import Report, fault, hint, ok
from airflow_bda.access.preflight.account import check_permissions, check_quotas
from airflow_bda.access.preflight.buckets import check_bucket_policies, check_input, check_key, check_output
from airflow_bda.access.preflight.findings import Refusal, Scene, look
from airflow_bda.access.preflight.machine import check_clock, check_libraries, check_versions
from airflow_bda.access.preflight.request_checks import check_blueprints, check_project, check_request
from airflow_bda.service.aws_errors import Failure
from airflow_bda.service.profiles import PROFILE_OF_REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.access.checks import Check
    from airflow_bda.access.preflight.findings import Subject
    from airflow_bda.hooks.bda import BdaHook

_CHECKS = (
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


def run_preflight(hook: BdaHook, subject: Subject) -> Report:
    """Look at everything that jobs will need; the look itself does not fail."""
    return Report(tuple(_checks(hook, subject)))


def _checks(hook: BdaHook, subject: Subject) -> Iterator[Check]:
    yield from check_versions()
    yield from check_libraries()
    try:
        region = hook.conn_region_name
    except BotoCoreError as error:
        yield fault("region", str(error), "Pass --region, or set region_name in the connection's extra.")
        return
    if hook.aws_conn_id and not hook.conn_config:
        # So does the Amazon provider, with a line in the log.
        yield hint("connection", f"there is no {hook.aws_conn_id!r}; the machine's own credentials are used.")
    yield _judge_region(region)
    caller = look(lambda: hook.client_of("sts").get_caller_identity())
    if isinstance(caller, Refusal):
        yield _judge_refused_caller(caller)
        return
    yield ok("identity", caller["Arn"])
    yield from check_clock(caller)
    scene = Scene(hook, subject, region, caller["Account"], caller["Arn"])
    for check in _CHECKS:
        yield from check(scene)


def _judge_refused_caller(refusal: Refusal) -> Check:
    if refusal.kind is Failure.UNREACHABLE:
        return fault("network", f"AWS cannot be reached. {refusal.text}", _NO_WAY)
    return fault("identity", f"AWS does not know the caller: {refusal.text}", _NO_IDENTITY)


_NO_WAY = (
    "Check the endpoint (--endpoint-url, AWS_ENDPOINT_URL, endpoint_url in the connection's extra), the proxy, and the "
    "way to AWS of this network."
)
_NO_IDENTITY = "Check the Airflow connection, or the environment's or the machine's AWS credentials."


def _judge_region(region: str) -> Check:
    if region in PROFILE_OF_REGION:
        return ok("region", f"{region} has BDA")
    return hint(
        "region",
        f"whether {region} has BDA is not known here; known: {', '.join(sorted(PROFILE_OF_REGION))}.",
        "Pass the profile's ARN if it has.",
    )
