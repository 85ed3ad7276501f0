"""The hook that a command works through, and the options that choose it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from airflow_bda.hooks import BdaHook


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options that say how AWS is reached."""
    options = parser.add_argument_group("how AWS is reached")
    options.add_argument(
        "--connection",
        metavar="ID",
        help="an Airflow connection (default: what AWS tools use: AWS_PROFILE, AWS_ENDPOINT_URL, ~/.aws, a role ...)",
    )
    options.add_argument("--region", metavar="REGION", help="AWS region (default: the connection's)")


@contextmanager
def hook_of(args: Namespace) -> Iterator[BdaHook]:
    """Give the hook; what is printed meanwhile goes to standard error, where Airflow's log lines belong."""
    # Airflow and the AWS libraries tell of each credential and endpoint that they find.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    with redirect_stdout(sys.stderr):
        from airflow_bda.hooks import BdaHook

        yield BdaHook(aws_conn_id=args.connection, region_name=args.region)
