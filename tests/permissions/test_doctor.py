"""`airflow-bda doctor` and BdaPreflightOperator: what stands between a setup and its first job."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from botocore.stub import Stubber

from airflow_bda.access.checks import Level
from airflow_bda.access.iam import find_missing
from airflow_bda.access.permissions import Permission
from airflow_bda.access.policies import PolicyOptions, caller_policy, input_bucket_policy
from airflow_bda.access.preflight.account import check_quotas
from airflow_bda.access.preflight.findings import Scene, Subject
from airflow_bda.access.preflight.machine import check_clock, check_versions
from airflow_bda.access.preflight.request_checks import check_project
from airflow_bda.access.preflight.runner import run_preflight
from airflow_bda.access.workload import plan_workload
from airflow_bda.cli import main

STANDARD = {"document": {}}
INPUT, OUTPUT = "s3://inputs/docs/a.pdf", "s3://outputs/results"
LOOK = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": [
            "iam:SimulatePrincipalPolicy",
            "bedrock:GetDataAutomationProject",
            "bedrock:GetBlueprint",
            "s3:GetBucketPolicy",
        ],
        "Resource": "*",
    },
}


@pytest.fixture
def project(guarded):
    control = guarded.emulator.client("bedrock-data-automation")
    made = control.create_data_automation_project(projectName="invoices", standardOutputConfiguration=STANDARD)
    return made["projectArn"]


@pytest.fixture
def subject(guarded, project):
    blueprint = guarded.workload["blueprint_arns"]
    return Subject(
        input_uri=INPUT,
        output_uri=OUTPUT,
        project_arn=project,
        blueprint_arns=tuple(blueprint),
        kms_key=guarded.keys["job"],
        input_key=guarded.keys["input"],
        output_key=guarded.keys["output"],
    )


@pytest.fixture
def policy(guarded, project):
    return caller_policy(plan_workload(**guarded.workload | {"project_arn": project}))


def said(report, level):
    return {check.name: check for check in report.checks if check.level is level}


def test_a_sound_setup_has_no_faults(guarded, subject, policy):
    report = run_preflight(guarded.hook(policy, LOOK), subject)

    assert report.faults == ()
    assert {"identity", "region", "profile", "project", "blueprint", "input", "permissions", "clock", "KMS key"} <= set(
        said(report, Level.OK)
    )


def test_a_missing_bucket_policy_is_a_hint(guarded, subject, policy):
    hook = guarded.hook(policy, LOOK)
    assert "input bucket policy" in said(run_preflight(hook, subject), Level.HINT)

    document = input_bucket_policy(plan_workload(**guarded.workload))
    guarded.s3.put_bucket_policy(Bucket="inputs", Policy=json.dumps(document))

    assert "input bucket policy" in said(run_preflight(hook, subject), Level.OK)


@pytest.mark.parametrize("index", range(9))
def test_each_missing_statement_is_named(guarded, subject, policy, index):
    """What jobs need is a fault; what only helps is a hint."""
    statement = policy["Statement"].pop(index)
    report = run_preflight(guarded.hook(policy, LOOK), subject)

    level = Level.HINT if statement["Sid"] in {"StartBdaJobs", "TellMissingFromForbidden"} else Level.FAULT
    named = [check.text for check in report.checks if check.name == "permissions" and check.level is level]
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert all(any(action in text for text in named) for action in actions)


def test_what_may_not_be_looked_at_is_no_fault(guarded, subject, policy):
    """The policy for running jobs is enough to run them; doctor says what it could not see."""
    report = run_preflight(guarded.hook(policy), subject)

    assert report.faults == ()
    assert {"project", "blueprint", "permissions"} <= set(said(report, Level.HINT))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"input_uri": "s3://inputs/docs/b.pdf"}, "input"),
        ({"input_uri": "s3://no-such-bucket-here/docs/b.pdf"}, "input bucket"),
        ({"output_uri": "s3://no-such-bucket-here/x"}, "output bucket"),
        ({"stage": "DEVELOPMENT"}, "project"),
        ({"project_arn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/000000000000"}, "project"),
        ({"blueprint_arns": ("arn:aws:bedrock:us-east-1:123456789012:blueprint/000000000000",)}, "blueprint"),
        (
            {"profile_arn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/eu.data-automation-v1"},
            "profile",
        ),
        ({"project_arn": "nonsense"}, "request"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_there_is_a_fault(guarded, subject, changes, name):
    from airflow_bda.hooks import BdaHook

    report = run_preflight(BdaHook(), replace(subject, **changes))

    assert name in said(report, Level.FAULT)
    assert name == "request" or said(report, Level.FAULT)[name].remedy


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"status": "FAILED"}, Level.FAULT),
        ({"status": "IN_PROGRESS"}, Level.FAULT),
        ({"projectType": "SYNC"}, Level.HINT),
        ({}, Level.OK),
    ],
)
def test_a_project_is_judged_by_its_state_and_its_type(bda_emulator, changes, level):
    """Against botocore's model: no project of the emulator's fails."""
    from airflow_bda.hooks import BdaHook

    arn = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
    client = bda_emulator.client("bedrock-data-automation")
    if not set(changes) <= set(client.meta.service_model.shape_for("DataAutomationProject").members):
        pytest.skip("the installed botocore is older than projects' types")
    hook = BdaHook()
    hook.client_of = {"bedrock-data-automation": client}.__getitem__
    scene = Scene(hook, Subject(project_arn=arn, stage="DEVELOPMENT"), "us-east-1", "123456789012", "arn")
    project = {"projectArn": arn, "creationTime": 0, "lastModifiedTime": 0, "projectName": "p", "status": "COMPLETED"}
    with Stubber(client) as stub:
        asked = {"projectArn": arn, "projectStage": "DEVELOPMENT"}
        stub.add_response("get_data_automation_project", {"project": project | changes}, asked)
        (check,) = check_project(scene)

    assert check.level is level
    assert "DEVELOPMENT" in check.text or "SYNC" in check.text


def test_a_project_that_is_not_ready_is_a_fault(guarded, subject):
    guarded.emulator.configure(project_seconds=3600)
    control = guarded.emulator.client("bedrock-data-automation")
    arn = control.create_data_automation_project(projectName="slow", standardOutputConfiguration=STANDARD)["projectArn"]

    from airflow_bda.hooks import BdaHook

    assert (
        "IN_PROGRESS" in said(run_preflight(BdaHook(), replace(subject, project_arn=arn)), Level.FAULT)["project"].text
    )


def test_a_disabled_key_is_a_fault(guarded, subject):
    from airflow_bda.hooks import BdaHook

    guarded.kms.disable_key(KeyId=guarded.keys["job"].rpartition("/")[2])

    assert "KMS key" in said(run_preflight(BdaHook(), subject), Level.FAULT)


def test_the_write_probe_leaves_nothing(guarded, subject, policy):
    before = guarded.s3.list_objects_v2(Bucket="outputs")["KeyCount"]
    deleting = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::outputs/*"},
    }

    report = run_preflight(guarded.hook(policy, deleting), replace(subject, write_probe=True))

    assert "write probe" in said(report, Level.OK)
    assert guarded.s3.list_objects_v2(Bucket="outputs")["KeyCount"] == before


def test_a_write_probe_that_is_refused_is_a_fault(guarded, subject):
    assert "write probe" in said(run_preflight(guarded.hook(), replace(subject, write_probe=True)), Level.FAULT)


def test_in_a_bucket_with_versions_the_probe_leaves_nothing_either(guarded, subject):
    from airflow_bda.hooks import BdaHook

    guarded.s3.put_bucket_versioning(Bucket="outputs", VersioningConfiguration={"Status": "Enabled"})

    report = run_preflight(BdaHook(), replace(subject, write_probe=True))

    assert "write probe" in said(report, Level.OK)
    left = guarded.s3.list_object_versions(Bucket="outputs")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_without_the_probe_it_is_said_that_nothing_was_written(guarded, subject):
    from airflow_bda.hooks import BdaHook

    report = run_preflight(BdaHook(), subject)

    assert "--write-probe" in said(report, Level.HINT)["write probe"].remedy
    assert guarded.s3.list_objects_v2(Bucket="outputs")["KeyCount"] == 0


def test_a_bucket_that_is_not_there_has_no_policy_to_tell_of(guarded, subject):
    from airflow_bda.hooks import BdaHook

    report = run_preflight(BdaHook(), replace(subject, output_uri="s3://no-such-bucket-here/x"))

    assert "output bucket policy" not in {check.name for check in report.checks}


def test_a_bucket_of_another_account_is_told(guarded, subject):
    (theirs,) = guarded.administrator_of("210987654321", "s3")
    theirs.create_bucket(Bucket="theirs")
    place = {"input_uri": "s3://theirs/a.pdf", "output_uri": OUTPUT, "region": "us-east-1", "account": "123456789012"}
    workload = plan_workload(**place)
    document = input_bucket_policy(workload, PolicyOptions(principal="arn:aws:iam::123456789012:role/worker"))
    theirs.put_bucket_policy(Bucket="theirs", Policy=json.dumps(document))

    report = run_preflight(guarded.hook(caller_policy(workload)), Subject(input_uri="s3://theirs/a.pdf"))

    told = said(report, Level.HINT)["input bucket"]
    assert "another account" in told.text
    assert "airflow-bda policy input-bucket --principal" in told.remedy


def test_a_key_that_is_not_there_is_a_fault(guarded, subject):
    from airflow_bda.hooks import BdaHook

    report = run_preflight(BdaHook(), replace(subject, kms_key="alias/none"))

    assert "does not exist" in said(report, Level.FAULT)["KMS key"].text


def test_keys_are_asked_about_that_nobody_named(guarded, subject, policy):
    """An alias stands for a key, and the buckets tell theirs: without the keys' permissions jobs would fail."""
    guarded.kms.create_alias(AliasName="alias/docs", TargetKeyId=guarded.keys["job"])
    policy["Statement"] = [each for each in policy["Statement"] if "kms:Decrypt" not in each["Action"]]
    look_at_keys = {"Effect": "Allow", "Action": ["kms:DescribeKey", "s3:GetEncryptionConfiguration"], "Resource": "*"}
    hook = guarded.hook(policy, LOOK, {"Version": "2012-10-17", "Statement": look_at_keys})

    report = run_preflight(hook, replace(subject, kms_key="alias/docs", input_key=None, output_key=None))

    missed = " ".join(check.text for check in report.faults if check.name == "permissions")
    assert all(key in missed for key in (guarded.keys["job"], guarded.keys["output"]))
    assert "kms:GenerateDataKey" in missed


def test_a_role_with_a_path_is_found(guarded):
    """Sessions do not show it, and the roles that MWAA makes have one."""
    arn = guarded.iam.create_role(RoleName="made", Path="/service-role/", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    needed = [Permission("Read", ("s3:GetObject",), ("arn:aws:s3:::in/a.pdf",), "r")]
    session = "arn:aws:sts::123456789012:assumed-role/made/task"

    assert "service-role" in arn
    assert [str(each) for each in find_missing(guarded.iam, session, needed, region="us-east-1")] == [
        "s3:GetObject on arn:aws:s3:::in/a.pdf"
    ]


def test_what_is_too_old_is_a_fault(monkeypatch):
    monkeypatch.setattr(
        "importlib.metadata.requires", lambda name: ["boto3>=99", "not-there>=1", 'rich>=99; extra == "local"']
    )

    assert [(check.level, check.remedy) for check in check_versions()] == [
        (Level.FAULT, "pip install 'boto3>=99'"),
        (Level.FAULT, "pip install 'not-there>=1'"),
    ]


def test_what_is_installed_here_is_new_enough():
    assert {check.level for check in check_versions()} <= {Level.OK}


def test_quotas_are_told_by_their_names(bda_emulator):
    """Against botocore's own model of Service Quotas: moto knows those of one service, and it is not this one."""
    from airflow_bda.hooks import BdaHook

    client = bda_emulator.client("service-quotas")
    hook = BdaHook()
    hook.client_of = {"service-quotas": client}.__getitem__
    scene = Scene(hook, Subject(input_uri="s3://in/a.mp3"), "us-east-1", "123456789012", "arn")
    with Stubber(client) as stub:
        for code, name, value in (("L-3E961CAB", "Concurrent audio jobs", 20.0), ("L-A596AFC0", "Open jobs", 1800.0)):
            stub.add_response(
                "get_service_quota",
                {"Quota": {"QuotaName": name, "Value": value}},
                {"ServiceCode": "bedrock", "QuotaCode": code},
            )
        told = [check.text.partition(" in all")[0] for check in check_quotas(scene)]

    assert told == ["Concurrent audio jobs: 20", "Open jobs: 1800"]


def test_an_endpoint_that_nobody_answers_at_is_no_matter_of_credentials(bda_emulator, monkeypatch):
    from airflow_bda.hooks import BdaHook

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    hook = BdaHook(aws_conn_id=None, config={"retries": {"total_max_attempts": 1}})

    (fault,) = run_preflight(hook, Subject(input_uri=INPUT)).faults

    assert fault.name == "network"
    assert "AWS_ENDPOINT_URL" in fault.remedy


def test_what_was_not_named_is_said_not_to_be_looked_at(bda_emulator):
    from airflow_bda.hooks import BdaHook

    assert "--input" in said(run_preflight(BdaHook(), Subject()), Level.HINT)["permissions"].remedy


def test_without_an_identity_nothing_more_is_looked_at(bda_emulator, monkeypatch):
    from airflow_bda.hooks import BdaHook

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    report = run_preflight(BdaHook(aws_conn_id=None), Subject(input_uri=INPUT))

    assert [check.name for check in report.faults] == ["identity"]
    assert report.checks[-1].name == "identity"


@pytest.mark.parametrize(
    ("minutes", "level"), [(0, Level.OK), (2, Level.HINT), (-2, Level.HINT), (6, Level.FAULT), (-6, Level.FAULT)]
)
def test_a_clock_that_is_wrong_is_seen(minutes, level):
    theirs = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(theirs, usegmt=True)}}}

    (check,) = check_clock(answer)

    assert check.level is level


def test_the_command_tells_machines_and_people(guarded, project, capsys):
    arguments = ["doctor", "--input", INPUT, "--output", OUTPUT, "--project", project, "--region", "us-east-1"]

    assert main([*arguments, "--json"]) == 0
    printed = capsys.readouterr()
    assert {check["level"] for check in json.loads(printed.out)} <= {"ok", "hint"}
    assert " 0 faults" in printed.err

    assert main([*arguments, "--stage", "DEVELOPMENT"]) == 1
    assert "fault  project: " in capsys.readouterr().out

    assert main(["doctor", "--input", "nonsense"]) == 2


def test_a_connection_that_is_not_there_is_told(bda_emulator, airflow_db, capsys):
    """The Amazon provider works on with other credentials, and so may a job."""
    assert main(["doctor", "--conn-id", "no_such_connection"]) == 0
    assert "hint   connection: there is no 'no_such_connection'" in capsys.readouterr().out


class TestOperator:
    def test_a_sound_setup_gives_the_report(self, guarded, subject):
        operator = self.operator(subject)

        report = operator.execute({})

        assert {check["level"] for check in report} <= {"ok", "hint"}
        assert json.loads(json.dumps(report)) == report

    def test_every_fault_is_in_the_error_and_no_retry_follows(self, guarded, subject):
        from airflow_bda._compat import AirflowFailException
        from airflow_bda.exceptions import BdaRequestError

        operator = self.operator(subject, input_s3_uri="s3://inputs/none.pdf", project_stage="DEVELOPMENT")

        with pytest.raises(BdaRequestError) as failed:
            operator.execute({})

        assert isinstance(failed.value, AirflowFailException)
        assert [problem.partition(":")[0] for problem in failed.value.problems] == ["project", "input"]

    def test_a_uri_that_is_none_fails_likewise(self, guarded, subject):
        from airflow_bda.exceptions import BdaRequestError

        with pytest.raises(BdaRequestError, match="nonsense"):
            self.operator(subject, input_s3_uri="nonsense").execute({})

    @staticmethod
    def operator(subject, **changes):
        from airflow_bda.operators import BdaPreflightOperator

        arguments = {
            "task_id": "look",
            "input_s3_uri": subject.input_uri,
            "output_s3_uri": subject.output_uri,
            "project_arn": subject.project_arn,
            "blueprints": list(subject.blueprint_arns),
            "kms_key_id": subject.kms_key,
        }
        return BdaPreflightOperator(**arguments | changes)
