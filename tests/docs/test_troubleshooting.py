"""The page of messages quotes what the program says, and all of what this module has it say."""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config
from manual_pages import ROOT, blocks

from airflow_bda.cli import main
from airflow_bda.engine.batch import session
from airflow_bda.engine.batch.documents import Document, Round, Row, State
from airflow_bda.engine.batch.ledger import Ledger, TakenOverError
from airflow_bda.engine.batch.planning import Source, write_plan
from airflow_bda.engine.batch.reporting import disk_error
from airflow_bda.engine.batch.session import Attempt, Order
from airflow_bda.engine.batch.store import Folder, Replacing
from airflow_bda.exceptions import BdaError
from airflow_bda.hooks import BdaHook
from airflow_bda.hooks.batch import batch_clients
from airflow_bda.operators.bda_batch import check_manifest
from airflow_bda.operators.bda_lambda import _unhandled_error
from airflow_bda.operators.one_job import _check_not_suspended
from airflow_bda.service.arns import derive_profile_arn
from airflow_bda.service.lambda_interface import Answer
from airflow_bda.service.model import INVOKE, Rule, validate
from airflow_bda.service.request.request import build_request, request_warnings
from airflow_bda.triggers import BdaJobEventTrigger, BdaStatusTrigger, bda_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MESSAGES = [block for block in blocks(ROOT / "docs/how-to/troubleshooting.md") if block.kind == "text message"]
PROFILE = derive_profile_arn(region="us-east-1", account="123456789012")
PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
UNKNOWN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/00000000-0000-0000-0000-000000000000"
GOOD = {"input_s3_uri": "s3://bda-test/a.pdf", "output_s3_uri": "s3://bda-test/out", "project_arn": PROJECT}
ONE_TRY = Config(retries={"total_max_attempts": 1})


def error_of(call, *arguments, **named) -> str:
    with pytest.raises(BdaError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def refused(**members) -> str:
    return error_of(build_request, **{**GOOD, "profile_arn": PROFILE, "region": "us-east-1", **members})


def of_requests() -> list[str]:
    return [
        refused(input_s3_uri="s3://bda-test/{{ ds }}.pdf", project_stage="PROD"),
        refused(kms_key_id="{{ var.value.key }}"),
        refused(input_s3_uri="s3://bda-test/my%20file.pdf"),
        refused(input_s3_uri="s3://bda-test/scan#3.pdf"),
        refused(client_token="None"),
        refused(tags={"release": 1.0}),
        refused(input_s3_uri=["s3://bda-test/a.pdf"]),
        refused(blueprints="['arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice']"),
        refused(project_arn=PROJECT.replace("us-east-1", "us-west-2")),
        refused(project_arn="arn:aws:bedrock:us-east-1:123456789012:data-automation/0123456789ab"),
        refused(input_s3_uri="s3://bda-test/inbox/"),
        refused(input_s3_uri="https://bda-test.s3.us-east-1.amazonaws.com/a.pdf"),
        refused(client_token="scheduled__2026-01-05T00:00:00+00:00"),
        refused(event_bridge_enabled="True"),
        refused(profile_arn=derive_profile_arn(region="eu-west-1", account="123456789012")),
        *(str(problem) for problem in validate(INVOKE, {"notAMember": 1}) if problem.rule is Rule.UNKNOWN),
    ]


def of_regions(monkeypatch) -> list[str]:
    unknown = error_of(BdaHook(region_name="xx-test-1").build_request, **GOOD)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AIRFLOW_CONN_AWS_DEFAULT"):
        monkeypatch.delenv(name)
    return [unknown, error_of(BdaHook(aws_conn_id=None).build_request, **GOOD)]


def of_warnings() -> list[str]:
    blueprint = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"
    changes = (
        {"project_arn": None},
        {"blueprints": [blueprint]},
        {"input_s3_uri": "s3://bda-test/a.xyz"},
        {"input_s3_uri": "s3://bda-test/My+Invoice.pdf"},
        {"output_s3_uri": "s3://bda-test/None"},
    )
    requests = (build_request(**{**GOOD, "profile_arn": PROFILE, **change}) for change in changes)
    return [warning for request in requests for warning in request_warnings(request)]


def of_invokes(emulator, monkeypatch) -> list[str]:
    hook = BdaHook(config=ONE_TRY)

    def invoke(**members) -> str:
        return error_of(hook.invoke, hook.build_request(**{**GOOD, **members}))

    said = [invoke(input_s3_uri="s3://bda-test/b.pdf"), invoke(output_s3_uri="s3://not-there/out")]
    for kind in ("throttling", "expired_credentials", "not_json"):
        emulator.faults.add(kind, operation=INVOKE, times=1)
        said.append(invoke())
    emulator.configure(unknown_projects="refuse")
    said.append(invoke())
    request = hook.build_request(**GOOD)
    with monkeypatch.context() as without:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            without.delenv(name)
        said.append(error_of(BdaHook(aws_conn_id=None).invoke, request))
    emulator.configure(unknown_projects="accept")
    return said


def of_jobs(emulator) -> list[str]:
    hook = BdaHook()
    said = []
    for status in ("ClientError", "ServiceError"):
        emulator.faults.add("failed_job", status=status, times=1)
        said.append(error_of(hook.wait, hook.invoke(hook.build_request(**GOOD))))
    emulator.faults.add("stuck_job", times=1)
    late = hook.invoke(hook.build_request(**GOOD))
    return [
        *said,
        error_of(hook.wait, late, max_wait=timedelta(seconds=0.1)),
        error_of(hook.get_status, UNKNOWN),
        error_of(hook.get_results, "s3://bda-test/out/job_metadata.json"),
    ]


def of_permissions(emulator, monkeypatch) -> list[str]:
    """With a role that may use S3 and ask IAM, and nothing of BDA's."""
    allowed = {"Effect": "Allow", "Action": ["s3:*", "iam:*", "sts:*"], "Resource": "*"}
    iam = emulator.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="narrow", AssumeRolePolicyDocument=trust)
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName="narrow", PolicyName="narrow", PolicyDocument=document)
    session = emulator.client("sts").assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="test")["Credentials"]
    emulator.configure(enforce_iam=True)
    with monkeypatch.context() as as_the_role:
        for name, key in (("ACCESS_KEY_ID", "AccessKeyId"), ("SECRET_ACCESS_KEY", "SecretAccessKey")):
            as_the_role.setenv(f"AWS_{name}", session[key])
        as_the_role.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
        hook = BdaHook(aws_conn_id=None)
        return [error_of(hook.invoke, hook.build_request(**GOOD)), error_of(hook.get_status, UNKNOWN)]


class _Forgetful:
    """An object store without conditional writes, which returns another ETag each time, and keeps nothing."""

    async def get(self, uri: str) -> None:
        return None

    async def names(self, uri: str, *, after: str) -> tuple[list[str], None]:
        return [], None

    async def put(self, uri: str, body: bytes, *, if_absent: bool = False, if_etag: str | None = None) -> str:
        return "etag"

    async def documents(self, uri: str, *, after: str) -> tuple[list[Document], None]:
        return [Document(f"{uri}notes.txt", "etag", size=1)], None


async def of_batches(emulator) -> list[str]:
    async def refused_by(awaitable) -> str:
        with pytest.raises(BdaError) as caught:
            await awaitable
        return str(caught.value)

    async def nothing() -> AsyncIterator[Row]:
        return
        yield

    emulator.client("s3", region_name="eu-west-1").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    folder = Folder(_Forgetful(), "s3://bda-test/out/_batch/inbox")
    source = Source(prefix="s3://bda-test/inbox/")
    hook = BdaHook(aws_conn_id=None)
    now = datetime(2026, 1, 5, tzinfo=timezone.utc)
    order = Order("inbox", {"output_s3_uri": "s3://bda-test/out", "tags": {"try": "2"}}, source, now)
    running = State(round=Round(1, now.isoformat(), "another run", "life", "try"))
    begun = State(life="life", job=order.job | {"tags": {"try": "1"}}, source=source.to_json())
    warned: list[str] = []
    await session._begin_anew(
        SimpleNamespace(state=begun), order, Attempt("run", "life", "try"), SimpleNamespace(warn=warned.append)
    )
    replacing = Replacing("s3://bda-test/out/_batch/inbox/results.jsonl")
    manifest = {"counts": {"total": 5, "running": 1, "not_started": 2, "failed": 0}, "results_uri": "s3://bda-test/r"}
    ended = manifest | {
        "counts": {"total": 5, "running": 0, "not_started": 0, "failed": 2},
        "errors": [{"count": 2, "cause": "ServiceError: busy"}],
        "failed": ["s3://bda-test/inbox/1.pdf"],
        "again": {"retry": 2, "clear": 0},
    }
    async with batch_clients(hook, hook.identity) as (store, _):
        region = await refused_by(store.check_region("s3://far-away/inbox/", "us-east-1"))
    return [
        error_of(Source(prefix="s3://bda-test/").check_apart_from, "s3://bda-test/out"),
        await refused_by(write_plan(folder, "plan", source, nothing())),
        region,
        error_of(session._check_free, order, Attempt("run", "life", "try"), running, 1.0),
        *warned,
        str(TakenOverError(f"Another runner has taken over the batch at {folder.uri}.")),
        error_of(check_manifest, manifest, 0),
        error_of(check_manifest, ended, 1),
        await refused_by(Ledger(folder, lambda: now).take_over()),
        error_of(lambda: [replacing.tries("etag") for _ in range(10)]),
        await refused_by(folder.read_lines("plan-1/00000.jsonl")),
    ]


async def of_triggers(monkeypatch, caplog) -> list[str]:
    monkeypatch.setattr(BdaStatusTrigger, "log", logging.getLogger("trigger"))
    await BdaStatusTrigger(invocation_arn=UNKNOWN, deadline="2026-01-05T00:00:00+00:00").on_kill()
    said = [record.getMessage() for record in caplog.records if record.name == "trigger"]
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/bda-events"
    for supported, url in ((False, queue), (True, "{{ var.value.queue }}")):
        monkeypatch.setattr(bda_events, "HAS_EVENT_TRIGGERS", supported)
        said.append(error_of(BdaJobEventTrigger, sqs_queue_url=url))
    return said


def of_the_rest(monkeypatch, capsys) -> list[str]:
    monkeypatch.setitem(sys.modules, "airflow_bda.emulator.server.server", None)
    assert main(["emulator"]) == 1
    return [
        str(Answer(403, {"error": "not below INPUT_PREFIXES"}).error()),
        error_of(_check_not_suspended, 300.0),
        str(disk_error(OSError(errno.ENOSPC, "No space left on device"))),
        str(_unhandled_error("airflow-bda", b'{"errorType": "Runtime.ExitError"}')),
        capsys.readouterr().err,
    ]


@pytest.fixture
async def said(bda_emulator, sample_pdf, monkeypatch, caplog, capsys) -> list[str]:
    """Have the program say all that it says in trouble."""
    bda_emulator.upload(sample_pdf, "a.pdf")
    texts = [
        *of_requests(),
        *of_warnings(),
        *of_invokes(bda_emulator, monkeypatch),
        *of_jobs(bda_emulator),
        *await of_batches(bda_emulator),
        *of_permissions(bda_emulator, monkeypatch),
        *await of_triggers(monkeypatch, caplog),
        *of_the_rest(monkeypatch, capsys),
        *of_regions(monkeypatch),
    ]
    return [" ".join(text.split()) for text in texts]


def test_each_message_is_one_that_the_program_gives(said):
    patterns = {message: re.compile(pattern_of(message.code)) for message in MESSAGES}
    invented = [str(message) for message, pattern in patterns.items() if not any(map(pattern.search, said))]
    missing = [text for text in said if not any(pattern.search(text) for pattern in patterns.values())]

    assert invented == [], "\n".join(said)
    assert missing == []


def pattern_of(code: str) -> str:
    """Three dots stand for anything, lines may break anywhere."""
    return ".*".join(map(re.escape, " ".join(code.split()).split("...")))
