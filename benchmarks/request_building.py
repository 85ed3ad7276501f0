"""
How many requests are built and checked in a second of CPU time, beside botocore's own validation and serialization.

A build is what an operator does for each document: arguments to members, every rule of the service model, the digest,
the client token, the members for the client. botocore's part checks required members and minima only, and makes the
body that is sent; it is what every call costs in any case.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from rich.console import Console
from rich.table import Table

from airflow_bda.service.model import INVOKE, service_model
from airflow_bda.service.request.request import build_request

if TYPE_CHECKING:
    from collections.abc import Callable

_ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012:"
TYPICAL: dict[str, Any] = {
    "input_s3_uri": "s3://bucket/folder/document.pdf",
    "output_s3_uri": "s3://bucket/results/",
    "profile_arn": f"{_ACCOUNT}data-automation-profile/us.data-automation-v1",
    "project_arn": f"{_ACCOUNT}data-automation-project/0123456789ab",
    "tags": {"team": "claims", "cost centre": "42"},
}
EVERYTHING: dict[str, Any] = TYPICAL | {
    "project_stage": "LIVE",
    "blueprints": [f"{_ACCOUNT}blueprint/0123456789ab"],
    "video_segment": (timedelta(minutes=1), timedelta(minutes=7)),
    "event_bridge_enabled": True,
    "kms_key_id": "alias/documents",
    "kms_encryption_context": {"department": "claims"},
}


def build(arguments: dict[str, Any]) -> dict[str, Any]:
    """Build a request as an operator does, up to the members for the client."""
    request = build_request(**arguments, region="us-east-1")
    return request.with_client_token(request.digest()).to_api()


def botocore_share(arguments: dict[str, Any]) -> Callable[[], Any]:
    """Return what botocore does with the same members: its validation, and the body of the request."""
    members = build(arguments)
    operation = service_model().operation_model(INVOKE)
    serializer = create_serializer("json", include_validation=False)

    def validate_and_serialize() -> None:
        if ParamValidator().validate(members, operation.input_shape).has_errors():
            raise AssertionError
        serializer.serialize_to_request(members, operation)

    return validate_and_serialize


def calls_per_second(call: Callable[[], Any], rounds: int) -> float:
    """Return the calls in a second of this process's CPU time, in the best of several rounds of a quarter second."""
    call()
    best = 0.0
    for _ in range(rounds):
        calls, began = 0, time.process_time()
        while (spent := time.process_time() - began) < 0.25:
            call()
            calls += 1
        best = max(best, calls / spent)
    return best


def main() -> None:
    """Measure, and print a table and `name value` lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    table = Table("request", "builds/s", "botocore's part/s", title="Requests in a second of CPU time")
    lines = []
    for name, arguments in (("typical", TYPICAL), ("every_member", EVERYTHING)):
        builds = calls_per_second(lambda arguments=arguments: build(arguments), rounds)  # type: ignore[misc]
        botocore = calls_per_second(botocore_share(arguments), rounds)
        table.add_row(name, f"{builds:,.0f}", f"{botocore:,.0f}")
        suffix = "" if name == "typical" else f".{name}"
        lines += [
            f"request.builds_per_second{suffix} {builds:.0f}",
            f"request.botocore_per_second{suffix} {botocore:.0f}",
        ]
    Console().print(table)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
