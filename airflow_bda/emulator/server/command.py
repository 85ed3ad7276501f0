"""The command ``airflow-bda emulator``. Its options cost no import of moto; running it does."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.emulator.core.emulator import EmulatorSettings
    from airflow_bda.emulator.server.server import EmulatorServer

_LIBRARIES_MISSING = "The emulator needs more libraries: pip install 'airflow-provider-bda[local]'"
_BANNER = """\
BDA emulator at {endpoint_url}  (jobs: {endpoint_url}/_bda/)
emulator: {answered} of {known} operations

  real       your files are really read (text, pages, sizes, formats); requests are checked by botocore's service model;
             jobs queue, run, write to S3 and fail as on AWS; S3, STS, IAM, SQS, EventBridge, Lambda are moto's;
             {functions}
  stand-in   fields are found by rules, not by a model; quotas and timings are settings; signatures are not checked;
             {permissions};
             what AWS does not document is listed in airflow_bda/emulator/core/assumptions.py

Point clients at it:

  export AWS_ENDPOINT_URL={endpoint_url} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing

Airflow:

  export AIRFLOW_CONN_AWS_DEFAULT='{connection}'
  airflow connections add bda_emulator --conn-json '{connection}'

Ctrl-C ends it; nothing is kept.
"""
_FUNCTIONS_RUN = "Lambda functions (Python) run in processes of their own, as you: no sandbox"
_FUNCTIONS_DO_NOT_RUN = "Lambda functions are kept but not run (--run-functions lets them)"
_IAM_ENFORCED = "users and roles are held to their policies, and to those of buckets and keys"
_IAM_NOT_ENFORCED = "permissions are not checked (--enforce-iam has them checked)"
_OPEN_TO_OTHERS = """\
It listens on {host}: everyone who can reach this machine can read and change all that it holds.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the emulator's options to its parser."""
    listening = parser.add_argument_group("where it listens")
    listening.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    listening.add_argument("--port", type=int, default=4566, help="port; 0 finds a free one (default: %(default)s)")
    listening.add_argument(
        "--run-functions",
        action="store_const",
        const=True,
        help="run Lambda functions though others can reach the emulator: they can then run programs as your user",
    )
    listening.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name by which clients call the emulator, that of its container for one; may be repeated",
    )
    listening.add_argument(
        "--moto-api",
        action="store_true",
        help="open moto's own endpoints, /moto-api/: they show and change everything that the emulator holds",
    )
    content = parser.add_argument_group("what it holds")
    content.add_argument(
        "--seed-bucket",
        action="append",
        default=[],
        metavar="NAME[=DIR]",
        help="a bucket that is there from the start, with the files of a folder ('samples': the package's own); "
        "may be repeated",
    )
    content.add_argument("--region", default="us-east-1", help="region of those buckets (default: %(default)s)")
    content.add_argument("--blueprints", type=Path, metavar="DIR", help="folder with BDA blueprint JSON files")
    content.add_argument("--answers", type=Path, metavar="DIR", help="folder with canned results")
    content.add_argument(
        "--enforce-iam",
        action="store_true",
        help="hold users and roles to their policies; keys of neither, such as 'testing', may do all",
    )
    course = parser.add_argument_group("how jobs go")
    course.add_argument(
        "--job-seconds",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="how long a job is in progress at the least (default: %(default)s)",
    )
    course.add_argument(
        "--created-seconds",
        type=float,
        default=0.2,
        metavar="SECONDS",
        help="how long a job is Created at the least (default: %(default)s)",
    )
    course.add_argument(
        "--settings", type=Path, metavar="FILE", help="JSON file with further settings: concurrency, rates, open jobs"
    )
    course.add_argument("--faults", type=Path, metavar="FILE", help="JSON file with faults, as PUT /_bda/faults takes")


def run(args: Namespace) -> int:
    """
    Serve until Ctrl-C or SIGTERM.

    :return: the exit status: 0, 1 when it cannot start, 2 for options that cannot be.
    """
    try:
        from airflow_bda.emulator.core.objects import StorageError
        from airflow_bda.emulator.server.server import EmulatorServer, EmulatorStartError, SeedBucket
    except ModuleNotFoundError as error:
        _say(f"airflow-bda emulator: {error}. {_LIBRARIES_MISSING}")
        return 1
    try:
        settings = _settings(args)
        seed_buckets = tuple(SeedBucket.parse(text) for text in args.seed_bucket)
        faults = _read_json(args.faults) if args.faults else None
        _apply(settings, faults)
    except (OSError, ValueError) as error:
        _say(f"airflow-bda emulator: {error}")
        return 2
    server = EmulatorServer(
        args.host,
        args.port,
        seed_buckets=seed_buckets,
        region=args.region,
        run_functions=args.run_functions,
        allowed_hosts=tuple(args.allow_host),
        moto_api=args.moto_api,
    )
    try:
        server.start()
    except (EmulatorStartError, StorageError) as error:
        _say(f"airflow-bda emulator: {error}")
        return 1
    return _serve(server, args.region)


def _settings(args: Namespace) -> EmulatorSettings:
    from airflow_bda.emulator.core.emulator import EmulatorSettings

    for folder in filter(None, (args.blueprints, args.answers)):
        if not folder.is_dir():
            raise ValueError(f"{str(folder)!r} is not a folder")
    options = {
        "created_seconds": args.created_seconds,
        "in_progress_seconds": args.job_seconds,
        "blueprints_dir": args.blueprints,
        "answers_dir": args.answers,
        "enforce_iam": args.enforce_iam,
    }
    return EmulatorSettings.from_json({**options, **(_read_json(args.settings) if args.settings else {})})


def _apply(settings: EmulatorSettings, faults: Any) -> None:
    from airflow_bda.emulator.core.emulator import EMULATOR
    from airflow_bda.emulator.server.own_endpoints import set_faults

    EMULATOR.configure(settings)
    # Fail now for blueprints that cannot be read, not at the first job.
    EMULATOR.processor.blueprints()
    if faults is not None:
        set_faults(faults)


def _serve(server: EmulatorServer, region: str) -> int:
    from airflow_bda.emulator.core.emulator import EMULATOR
    from airflow_bda.emulator.server.server import airflow_connection
    from airflow_bda.emulator.server.views import operations

    if server.run_functions:
        _hide_environment()
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    connection = airflow_connection(server.endpoint_url, region)
    functions = _FUNCTIONS_RUN if server.run_functions else _FUNCTIONS_DO_NOT_RUN
    permissions = _IAM_ENFORCED if EMULATOR.settings.enforce_iam else _IAM_NOT_ENFORCED
    answered, known = operations()
    facts = {"connection": connection, "functions": functions, "permissions": permissions, "region": region}
    _say(_BANNER.format(endpoint_url=server.endpoint_url, answered=answered, known=known, **facts))
    if not server.only_local:
        _say(_OPEN_TO_OTHERS.format(host=server.host))
    # The endpoint is the command's one piece of data; with --port 0 a script reads it from here.
    sys.stdout.write(f"{server.endpoint_url}\n")
    sys.stdout.flush()
    stopped.wait()
    server.stop()
    return 0


def _hide_environment() -> None:
    """Keep the functions, which run as the same user, from reading this process's environment and memory."""
    if sys.platform != "linux":
        return
    import ctypes

    # prctl(PR_SET_DUMPABLE, 0): /proc/<pid>/environ is then root's. https://man7.org/linux/man-pages/man2/prctl.2.html
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
