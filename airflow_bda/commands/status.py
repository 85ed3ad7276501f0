"""The command ``airflow-bda status``: how a job stands."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_bda.commands import connection
from airflow_bda.service.invocations import check_invocation_arn, region_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("invocation_arn", metavar="ARN", help="the invocation, as `airflow-bda invoke` prints it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    connection.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Ask once, and print the answer.

    :return: 0, also for a job that failed: the question was answered.
    """
    check_invocation_arn(args.invocation_arn)
    # The job can be asked for nowhere else.
    args.region = args.region or region_of(args.invocation_arn)
    with connection.hook_of(args) as hook:
        state = hook.get_status(args.invocation_arn)
    # What is known of the job, with the status as the service writes it.
    known = {**asdict(state), "status": state.status_text}
    del known["status_text"]
    facts = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in known.items()
        if value is not None
    }
    text = json.dumps(facts) if args.json else "\n".join(f"{name}: {value}" for name, value in facts.items())
    sys.stdout.write(f"{text}\n")
    return 0
