"""
The programs that the manual's shell blocks call.

``airflow-bda`` runs for real, in this process where it can, and what is copied to S3, deployed, or asked of BDA or STS
goes to the emulator. What would run for long, change the machine or needs another service is not run: its arguments are
checked against what defines them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import traceback
from importlib.metadata import metadata
from pathlib import Path

import boto3
import botocore.session
import jmespath
import yaml
from botocore import xform_name
from manual_pages import ROOT

from airflow_bda.cli import _parser, main
from airflow_bda.service.s3 import S3Uri

# They serve, or install, until they are stopped, or need the package to be installed from its wheel: tests of their own
# run them.
LONG = {"demo", "emulator", "mwaa"}
AWS_OPTIONS = {
    *("--region", "--profile", "--query", "--output", "--endpoint-url", "--cli-binary-format", "--no-cli-pager"),
}
# What the AWS command line adds to the services' own operations.
AWS_EXTRAS = {
    ("s3", "cp"): {"--recursive"},
    ("s3", "sync"): {"--delete"},
    ("s3", "mb"): set(),
    ("s3", "ls"): {"--recursive"},
    ("cloudformation", "deploy"): {
        *("--stack-name", "--template-file", "--capabilities", "--parameter-overrides", "--no-fail-on-empty-changeset"),
    },
}


def run_airflow_bda(arguments: list[str]) -> tuple[int, str]:
    """Run the command, and give its exit status and what it printed."""
    if arguments and arguments[0] in LONG:
        _parser(arguments).parse_args(arguments)
        return 0, ""
    if arguments and arguments[0] == "batch":  # it takes signals, which only a main thread can
        command = [sys.executable, "-m", "airflow_bda.cli", *arguments]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return ended.returncode, ended.stdout
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
    return status, printed.getvalue()


def check_make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {word for word in arguments if "=" not in word}
    variables = {word.partition("=")[0] for word in arguments if "=" in word}

    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert variables <= {*re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE), "PYTHON"}


def check_pip(arguments: list[str]) -> None:
    told = metadata("airflow-provider-bda")
    name, extras = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?", arguments[-1]).groups()

    assert arguments[0] == "install"
    assert name == told["Name"]
    assert set(filter(None, (extras or "").split(","))) <= set(told.get_all("Provides-Extra"))


def check_python(arguments: list[str]) -> None:
    """Make no environment: what is installed is the tests' own."""
    assert arguments[:2] == ["-m", "venv"]


def check_airflow(arguments: list[str]) -> None:
    """Parse them as this Airflow does."""
    from airflow.cli.cli_parser import get_parser

    # What a sub-command's parser refuses ends in SystemExit, with its usage on standard error.
    get_parser().parse_args(arguments)


def check_aws(arguments: list[str]) -> str | None:
    """Find the operation and its options in botocore's model of the service; calls to BDA go to the emulator."""
    service, operation, *rest = arguments
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    if (service, operation) in AWS_EXTRAS:
        known = AWS_EXTRAS[service, operation]
    else:
        model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
        names = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in names, f"aws {service} has no {operation}"
        members = {xform_name(name, "-") for name in model.operation_model(names[operation]).input_shape.members}
        known = {f"--{member}" for member in members} | {f"--no-{member}" for member in members}
    assert options <= known | AWS_OPTIONS
    if (service, operation) in AWS_ACTIONS:
        AWS_ACTIONS[service, operation](rest)
    return _call(service, operation, rest) if service in {"bedrock-data-automation", "sts"} else None


def _call(service: str, operation: str, words: list[str]) -> str:
    """Make a call whose options are a word each, and print what the AWS command line does."""
    options = dict(zip(words[::2], words[1::2], strict=True))
    query, form = options.pop("--query", "@"), options.pop("--output", "json")
    client = boto3.client(service)
    method = xform_name("".join(word.capitalize() for word in operation.split("-")))
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {f"--{xform_name(name, '-')}": (name, member.type_name) for name, member in shape.members.items()}
    params = {}
    for option, word in options.items():
        name, kind = members[option]
        text = Path(word.removeprefix("file://")).read_text() if word.startswith("file://") else word
        params[name] = text if kind == "string" else json.loads(text)
    found = jmespath.search(query, getattr(client, method)(**params))
    if form == "text":
        return "\t".join(map(str, found)) + "\n" if isinstance(found, list) else f"{found}\n"
    return json.dumps(found, indent=4, default=str) + "\n"


def _copy(words: list[str]) -> None:
    """Upload, where a file goes to S3."""
    source, target = [word for word in words if not word.startswith("--")]
    if not source.startswith("s3://"):
        assert Path(source).exists(), f"nothing made {source}"
        uri = S3Uri.parse(target)
        key = f"{uri.key}{Path(source).name}" if uri.key.endswith("/") else uri.key or Path(source).name
        boto3.client("s3").put_object(Bucket=uri.bucket, Key=key, Body=Path(source).read_bytes())


def _make_bucket(words: list[str]) -> None:
    boto3.client("s3").create_bucket(Bucket=S3Uri.parse(words[0]).bucket)


def _deploy(words: list[str]) -> None:
    """Make the stack."""
    values: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            given = values.setdefault(word, [])
        else:
            given.append(word)
    parameters = [word.partition("=")[::2] for word in values.get("--parameter-overrides", ())]
    boto3.client("cloudformation").create_stack(
        StackName=values["--stack-name"][0],
        TemplateBody=Path(values["--template-file"][0]).read_text(),
        Capabilities=values.get("--capabilities", []),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters],
    )


AWS_ACTIONS = {("s3", "cp"): _copy, ("s3", "mb"): _make_bucket, ("cloudformation", "deploy"): _deploy}


def check_docker(arguments: list[str]) -> None:
    """Hold what is asked of docker compose against the compose file."""
    assert arguments[0] == "compose"
    _check_compose(arguments[1:])


def _check_compose(arguments: list[str]) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    words = iter(arguments)
    for word in words:
        if word == "--profile":
            assert next(words) in profiles
        elif not word.startswith("-"):
            break
    else:
        word = ""
    assert word in {"build", "config", "down", "exec", "logs", "ps", "restart", "run", "stop", "up"}
    if word in {"exec", "logs", "restart", "run", "stop", "up"}:
        named = [other for other in words if not other.startswith("-")][:1]
        assert set(named) <= set(services)


def check_files(arguments: list[str]) -> None:
    """Let the reader name what is his own."""
    assert arguments


CHECKS = {
    "airflow": check_airflow,
    "aws": check_aws,
    "docker": check_docker,
    "docker-compose": _check_compose,
    "git": check_files,
    "make": check_make,
    "pip": check_pip,
    "pytest": check_files,
    "python3": check_python,
    "run": lambda arguments: None,  # .ci/run
}


def answer(program: str, arguments: list[str], folder: str, environment: dict[str, str]) -> tuple[int, str]:
    """Run or check one call, in the caller's folder and environment, and give its exit status and what it printed."""
    before, home = dict(os.environ), Path.cwd()
    os.environ.update({name: value for name, value in environment.items() if name.startswith(("AWS_", "AIRFLOW_CONN"))})
    os.chdir(folder)
    try:
        if program == "airflow-bda":
            return run_airflow_bda(arguments)
        printed = CHECKS[program](arguments)
    except (Exception, SystemExit):  # noqa: BLE001  whatever it is, the test shows it
        return 97, f"{program} {' '.join(arguments)}\n{traceback.format_exc()}"
    finally:
        os.chdir(home)
        os.environ.clear()
        os.environ.update(before)
    return 0, printed or ""
