"""The options that commands share: how AWS is reached, and types of arguments; and the hook that they choose."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from argparse import ArgumentTypeError
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_bda.service.arns import check_invocation_arn
from airflow_bda.service.errors import BdaError, BdaRequestError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _ArgumentGroup
    from collections.abc import Callable, Iterator

    from airflow_bda.hooks import BdaHook

_SECONDS_TO_CONNECT = 1.5
_AIRFLOWS_PROGRAM = "_AIRFLOW_PROCESS_CONTEXT"
_OPTION_OF_ARGUMENT = {
    "aws_conn_id": "--conn-id",
    "blueprints": "--blueprint",
    "client_token": "--client-token",
    "event_bridge_enabled": "--event-bridge",
    "input_s3_prefix": "--input",
    "input_s3_uri": "--input",
    "input_s3_uris": "--list",
    "kms_key_id": "--kms-key-id",
    "output_s3_uri": "--output",
    "pattern": "--pattern",
    "profile_arn": "--profile-arn",
    "project_arn": "--project",
    "project_stage": "--stage",
    "region_name": "--region",
    "tags": "--tag",
}
_NO_OTHER_WORD = ("aws_conn_id", "input_s3_uri", "output_s3_uri", "profile_arn", "project_arn")
# Each comes before what --profile or --endpoint-url says, if it is left where it is.
_BEFORE_A_PROFILE = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_BEFORE_AN_ENDPOINT = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_ENDPOINT_URL_")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options that say how AWS is reached."""
    options = parser.add_argument_group(
        "how AWS is reached", "Without these, as AWS's own tools do: AWS_PROFILE, AWS_ENDPOINT_URL, ~/.aws, a role."
    )
    credentials = options.add_mutually_exclusive_group()
    credentials.add_argument("--conn-id", metavar="ID", help="the Airflow connection to use")
    credentials.add_argument("--profile", type=_profile_name, metavar="NAME", help="the AWS profile to use")
    options.add_argument("--region", metavar="REGION", help="the AWS region")
    options.add_argument("--endpoint-url", metavar="URL", help="where all services are, as the emulator prints it")


def add_output(group: _ArgumentGroup) -> None:
    """Add where the results of jobs go."""
    group.add_argument(
        "--output",
        dest="output_s3_uri",
        type=s3_uri_like("s3://bucket/results"),
        required=True,
        metavar="URI",
        help="where results go, s3://bucket/prefix",
    )


def add_max_wait(group: ArgumentParser | _ArgumentGroup, default: timedelta, what: str) -> None:
    """Add how long a command waits at most."""
    group.add_argument("--max-wait", type=seconds, default=default, metavar="SECONDS", help=what)


def add_jobs(parser: ArgumentParser) -> None:
    """Add the jobs that a command reads the results of."""
    parser.add_argument(
        "jobs",
        type=job,
        metavar="JOB",
        nargs="+",
        help="a job: its job_metadata.json, s3://..., or its invocation ARN",
    )


@contextmanager
def hook_of(args: Namespace) -> Iterator[BdaHook]:
    """Return the hook; what is printed meanwhile goes to standard error, where Airflow's log lines belong."""
    # Airflow and the AWS libraries log each credential and endpoint that they find.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    _lead(args)
    _warn_if_unreachable()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))
        if args.conn_id is None and "airflow" not in sys.modules:
            # Airflow creates a home where there is none; without a connection it is not needed.
            os.environ["AIRFLOW_HOME"] = stack.enter_context(TemporaryDirectory(prefix="airflow-bda-"))
        from airflow_bda.hooks import BdaHook

        if args.conn_id is not None:
            stack.enter_context(_among_airflows_own())
            _check_connection(args.conn_id)
        try:
            yield BdaHook(aws_conn_id=args.conn_id, region_name=args.region)
        except BdaError as error:
            raise error.about(**_by_options(error)) from error.__cause__


def _by_options(error: BdaError) -> dict[str, Any]:
    """Return the texts of an error that name arguments, with the options as they are typed."""
    texts: dict[str, Any] = {"remedy": error.remedy and _by_its_option(error.remedy)}
    if isinstance(error, BdaRequestError):
        texts["problems"] = tuple(map(_by_its_option, error.problems))
    return texts


def _by_its_option(text: str) -> str:
    """Replace the names of arguments: as the first word, before a "=", and those that can be nothing else."""
    return re.sub(
        rf"^\w+|\b\w+(?==)|\b(?:{'|'.join(_NO_OTHER_WORD)})\b",
        lambda name: _OPTION_OF_ARGUMENT.get(name[0], name[0]),
        text,
    )


@contextmanager
def _among_airflows_own() -> Iterator[None]:
    """Have Airflow's database looked into too: outside of tasks, Airflow 3 does so for its own programs only."""
    before = os.environ.get(_AIRFLOWS_PROGRAM)
    # As `airflow connections get` does.
    os.environ[_AIRFLOWS_PROGRAM] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_AIRFLOWS_PROGRAM]
        else:
            os.environ[_AIRFLOWS_PROGRAM] = before


def _check_connection(conn_id: str) -> None:
    """
    Refuse a connection that Airflow does not have: its hook would continue with whatever credentials AWS's tools find.

    :raises BdaRequestError: says how to add it.
    """
    from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined]

    from airflow_bda.hooks import BdaHook

    try:
        BdaHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise BdaRequestError(
            f"Airflow has no connection {conn_id!r}.",
            remedy=f"Add it with `airflow connections add {shlex.quote(conn_id)} --conn-type aws`, or leave out "
            "--conn-id to use the credentials that AWS's own tools find.",
        ) from error


def _warn_if_unreachable() -> None:
    """Warn at once that nothing listens at the endpoint: the AWS libraries retry for a while without a message."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    address = urlsplit(endpoint or "")
    if not address.hostname:
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=_SECONDS_TO_CONNECT).close()
    except OSError as error:
        sys.stderr.write(f"airflow-bda: nothing answers at {endpoint} ({error}); trying anyway\n")


def _profile_name(text: str) -> str:
    if text.startswith("arn:"):
        raise ArgumentTypeError("an AWS profile has a name; a data automation profile's ARN goes to --profile-arn")
    return text


def _lead(args: Namespace) -> None:
    """Set the environment so that every client of this process uses the options: the hook makes several."""
    if args.profile is not None:
        _forget(_BEFORE_A_PROFILE)
        os.environ["AWS_PROFILE"] = os.environ["AWS_DEFAULT_PROFILE"] = args.profile
    if args.endpoint_url is not None:
        _forget(_BEFORE_AN_ENDPOINT)
        os.environ["AWS_ENDPOINT_URL"] = args.endpoint_url


def _forget(prefixes: tuple[str, ...]) -> None:
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        del os.environ[name]


def s3_uri_like(example: str) -> Callable[[str], str]:
    """
    Make the type of an argument that is a place in S3; what a key may hold is for the request's own checks.

    :param example: what to write, for the message of what is no such place.
    """

    def read(text: str) -> str:
        if not re.match(r"s3://[^/]", text):
            raise ArgumentTypeError(f"{text!r} is not a URI such as {example}")
        return text

    return read


def invocation_arn(text: str) -> str:
    """
    Read an argument that is a job's ARN.

    :raises ArgumentTypeError: shows an example, or says what the text is instead.
    """
    try:
        return check_invocation_arn(text)
    except BdaRequestError as error:
        raise ArgumentTypeError(f"{text!r} is not the ARN of an invocation. {error.remedy}") from None


def job(text: str) -> str:
    """
    Read an argument that is a job: the URI of its results, or its ARN.

    :raises ArgumentTypeError: shows an example of both.
    """
    if text.startswith("arn:"):
        return invocation_arn(text)
    if not re.match(r"s3://[^/]+/.*[^/]$", text):
        raise ArgumentTypeError(
            f"{text!r} is neither a URI such as s3://bucket/results/<job id>/job_metadata.json nor an invocation's ARN"
        )
    return text


def pair(text: str) -> tuple[str, str]:
    """
    Read an argument that is ``KEY=VALUE``.

    :raises ArgumentTypeError: when it has no equals sign.
    """
    key, separator, value = text.partition("=")
    if not separator:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def seconds(text: str) -> timedelta:
    """
    Read an argument that is a number of seconds.

    :raises ArgumentTypeError: when it is not a number.
    """
    try:
        return timedelta(seconds=float(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
