"""The tests on a real account run as they are: here on the emulator, which has nothing of theirs left afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEM_TESTS = Path(__file__).parents[1] / "system"
PLACE = "s3://bda-test/some/prefix arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"


@pytest.fixture
def run(bda_emulator, tmp_path):
    """Return what runs the system tests, as a user does, in a process of its own."""
    bda_emulator.make_bucket("bda-test")
    environment = {**os.environ, **bda_emulator.environment, "BDA_SYSTEM_TESTS_REPORT": str(tmp_path)}
    for name in ("AIRFLOW_CONN_AWS_DEFAULT", "AWS_DEFAULT_REGION", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
        environment.pop(name, None)

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", str(SYSTEM_TESTS), "-p", "no:xdist", "--tb=short", *arguments]
        return subprocess.run(
            command,
            cwd=SYSTEM_TESTS.parents[1],
            env=environment | {"BDA_SYSTEM_TESTS": PLACE},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def left_behind(emulator):
    """Return all that is still there, of every kind that the tests make."""
    s3, formation = emulator.client("s3"), emulator.client("cloudformation")
    kept = [stack for stack in formation.list_stacks()["StackSummaries"] if stack["StackStatus"] != "DELETE_COMPLETE"]
    return [
        *(version["Key"] for version in s3.list_object_versions(Bucket="bda-test").get("Versions", ())),
        *(stack["StackName"] for stack in kept),
        *(function["FunctionName"] for function in emulator.client("lambda").list_functions()["Functions"]),
        *emulator.client("sqs").list_queues().get("QueueUrls", ()),
        *(rule["Name"] for rule in emulator.client("events").list_rules()["Rules"]),
        *(role["RoleName"] for role in emulator.client("iam").list_roles()["Roles"]),
        *(group["logGroupName"] for group in emulator.client("logs").describe_log_groups()["logGroups"]),
    ]


def test_all_pass_and_leave_nothing_but_the_report(run, bda_emulator, tmp_path):
    ended = run()

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "10 passed" in ended.stdout
    assert "skipped" not in ended.stdout
    assert "about 0.10 to 0.40 US dollars at 0.01 to 0.04 a page" in ended.stdout
    assert left_behind(bda_emulator) == []
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["answered_by"] == bda_emulator.endpoint_url
    assert len({answer["question"] for answer in report["answers"]}) == 7
    for file in ("report.json", "report.md"):
        assert "bda-test" not in (tmp_path / file).read_text()

    # A second run asks about the token of the first, though its document is deleted in between.
    assert remembered(tmp_path) == []
    assert run("-k", "remembered").returncode == 0
    assert remembered(tmp_path) == [True]
    assert len(json.loads((tmp_path / "tokens.json").read_text())) == 2


def remembered(folder):
    """Return what the service answered about the tokens of earlier runs."""
    answers = json.loads((folder / "report.json").read_text())["answers"]
    return [token["remembered"] for answer in answers for token in answer["seen"].get("tokens", ())]


def test_a_failure_leaves_nothing_either(run, bda_emulator):
    bda_emulator.faults.add("failed_job", status="ClientError")

    ended = run("-k", "function")

    assert ended.returncode == 1
    assert len(bda_emulator.jobs) == 1
    assert left_behind(bda_emulator) == []
