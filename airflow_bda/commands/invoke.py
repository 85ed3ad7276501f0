"""The command ``airflow-bda invoke``: start one job, and wait for it if asked."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_bda.commands import connection

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

# What the command hands on to the request as it is.
_MEMBERS = (
    "input_s3_uri",
    "output_s3_uri",
    "project_arn",
    "project_stage",
    "blueprints",
    "profile_arn",
    "event_bridge_enabled",
    "kms_key_id",
    "tags",
    "client_token",
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    request = parser.add_argument_group("the request")
    request.add_argument(
        "--input", dest="input_s3_uri", required=True, metavar="URI", help="the document, s3://bucket/key"
    )
    request.add_argument(
        "--output", dest="output_s3_uri", required=True, metavar="URI", help="where results go, s3://bucket/prefix"
    )
    request.add_argument("--project", dest="project_arn", metavar="ARN", help="the data automation project")
    request.add_argument("--stage", dest="project_stage", metavar="STAGE", help="the project's: LIVE or DEVELOPMENT")
    request.add_argument(
        "--blueprint", dest="blueprints", action="append", metavar="ARN", help="a blueprint; may be given again"
    )
    request.add_argument("--profile-arn", metavar="ARN", help="the data automation profile (default: the region's)")
    request.add_argument(
        "--event-bridge",
        dest="event_bridge_enabled",
        action="store_true",
        default=None,
        help="let the service send the job's events to EventBridge",
    )
    request.add_argument("--kms-key-id", metavar="KEY", help="the key to encrypt results with")
    request.add_argument(
        "--tag",
        dest="tags",
        type=connection.pair,
        action="append",
        metavar="KEY=VALUE",
        help="a tag; may be given again",
    )
    request.add_argument("--client-token", metavar="TOKEN", help="calls with the same token start one job between them")
    waiting = parser.add_argument_group("waiting")
    waiting.add_argument("--wait", action="store_true", help="wait for the end, and print the results' URI as well")
    waiting.add_argument(
        "--max-wait",
        type=connection.seconds,
        default=timedelta(days=1),
        metavar="SECONDS",
        help="how long at most (a day)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    connection.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Start the job and print its ARN; with ``--wait``, the URI of ``job_metadata.json`` below it.

    :raises BdaError: where that fails, or the job does.
    """
    members = {name: getattr(args, name) for name in _MEMBERS}
    members["tags"] = dict(args.tags) if args.tags else None
    with connection.hook_of(args) as hook:
        arn = hook.invoke(hook.build_request(**members))
    if not args.wait:
        _print({"invocation_arn": arn}, as_json=args.json)
        return 0
    sys.stderr.write(f"Started {arn}; waiting for its end.\n")
    with connection.hook_of(args) as hook:
        metadata_uri = hook.wait(arn, max_wait=args.max_wait)
    _print({"invocation_arn": arn, "output_metadata_uri": metadata_uri}, as_json=args.json)
    return 0


def _print(facts: dict[str, str | None], *, as_json: bool) -> None:
    text = json.dumps(facts) if as_json else "\n".join(filter(None, facts.values()))
    sys.stdout.write(f"{text}\n")
