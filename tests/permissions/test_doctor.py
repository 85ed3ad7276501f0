"""`airflow-bda doctor` and BdaPreflightOperator: what stands between a setup and its first job."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from botocore.stub import Stubber

from airflow_bda.access.denial import find_missing
from airflow_bda.access.permissions import Extras, Permission
from airflow_bda.access.policies import PolicyOptions, caller_policy, doctor_policy, input_bucket_policy
from airflow_bda.access.preflight.account_checks import check_queue, check_quotas
from airflow_bda.access.preflight.checks import check_clock, check_project, check_versions
from airflow_bda.access.preflight.findings import Level, Scene, Subject
from airflow_bda.access.workload import plan_workload
from airflow_bda.cli import main
from airflow_bda.service.arns import Queue

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


def run_preflight(hook, subject):
    return hook.preflight(subject)


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


@pytest.mark.parametrize("index", range(10))
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
    arn = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
    client = bda_emulator.client("bedrock-data-automation")
    if not set(changes) <= set(client.meta.service_model.shape_for("DataAutomationProject").members):
        pytest.skip("the installed botocore is older than projects' types")
    clients = {"bedrock-data-automation": client}
    subject = Subject(project_arn=arn, stage="DEVELOPMENT")
    scene = Scene(clients.__getitem__, subject, "us-east-1", "123456789012", "arn")
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


def test_keys_that_were_not_named_are_asked_about(guarded, subject, policy):
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


CONCURRENT_AUDIO, OPEN_JOBS, INVOKE_RATE, STATUS_RATE = "L-3E961CAB", "L-A596AFC0", "L-0DF688AB", "L-FC4A46BE"
QUOTAS = {
    CONCURRENT_AUDIO: {"QuotaName": "Concurrent audio jobs", "Value": 20.0},
    OPEN_JOBS: {"QuotaName": "Open jobs", "Value": 1800.0},
    INVOKE_RATE: {"QuotaName": "InvokeDataAutomationAsync requests", "Value": 10.0},
    STATUS_RATE: {"QuotaName": "GetDataAutomationStatus requests", "Value": 10.0},
}


def quotas_told(bda_emulator, *, own=QUOTAS, default=None, rate=None, jobs_at_once=None):
    """Look at quotas, against botocore's model of Service Quotas: moto has those of one other service."""
    client = bda_emulator.client("service-quotas")
    subject = Subject(input_uri="s3://in/a.mp3", jobs_at_once=jobs_at_once)
    scene = Scene({"service-quotas": client}.__getitem__, subject, "us-east-1", "123456789012", "arn", rate)
    with Stubber(client) as stub:
        for code in QUOTAS:
            asked = {"ServiceCode": "bedrock", "QuotaCode": code}
            if code in own:
                stub.add_response("get_service_quota", {"Quota": own[code]}, asked)
            else:
                stub.add_client_error(
                    "get_service_quota", "NoSuchResourceException", http_status_code=400, expected_params=asked
                )
                stub.add_response("get_aws_default_service_quota", {"Quota": default[code]}, asked)
        return list(check_quotas(scene))


def test_quotas_are_told_by_their_names(bda_emulator):
    told = quotas_told(bda_emulator, rate=10.0, jobs_at_once=20)

    counts = [check.text.partition(" in all")[0] for check in told[:2]]
    assert counts == [
        "Concurrent audio jobs: 20",
        "Open jobs: 1800",
    ]
    assert [check.text.partition(",")[0] for check in told[2:]] == [
        "InvokeDataAutomationAsync requests: 10 a second",
        "GetDataAutomationStatus requests: 10 a second",
    ]
    assert {check.level for check in told} == {Level.OK}


def test_the_default_of_aws_counts_where_the_account_has_no_value_of_its_own(bda_emulator):
    own = {code: quota for code, quota in QUOTAS.items() if code != OPEN_JOBS}
    told = quotas_told(bda_emulator, own=own, default=QUOTAS)

    assert "Open jobs: 1800" in told[1].text


@pytest.mark.parametrize(
    ("quota", "wanted", "remedy"),
    [
        ({"Value": 5.0}, 10.0, "MAX_STATUS_REQUESTS_PER_SECOND=4,"),
        ({"Value": 300.0, "Period": {"PeriodValue": 1, "PeriodUnit": "MINUTE"}}, 10.0, "=4,"),
        ({"Value": 60.0, "QuotaName": "Status requests per minute"}, 2.0, "=0.8,"),
    ],
)
def test_a_rate_above_the_quota_is_told_with_what_to_set(bda_emulator, quota, wanted, remedy):
    told = quotas_told(bda_emulator, own={**QUOTAS, STATUS_RATE: quota}, rate=wanted)

    assert told[-1].level is Level.HINT
    assert remedy in told[-1].remedy
    assert f"{wanted:g}" in told[-1].text


@pytest.mark.parametrize(("jobs_at_once", "hints"), [(None, 0), (20, 0), (21, 1), (1801, 2)])
def test_more_jobs_at_once_than_a_quota_allows_are_told(bda_emulator, jobs_at_once, hints):
    told = quotas_told(bda_emulator, jobs_at_once=jobs_at_once)

    assert len([check for check in told if check.level is Level.HINT]) == hints


def test_the_policy_of_doctor_lets_it_see_everything(guarded, subject, policy, project):
    """What is left is what moto does not have, and what cannot be looked at."""
    looks = doctor_policy(plan_workload(**guarded.workload | {"project_arn": project}))
    report = run_preflight(guarded.hook(policy, looks), subject)

    assert report.faults == ()
    assert "permissions" in said(report, Level.OK)
    assert not [check for check in report.hints if "could not" in check.text]


class TestQueueOfEvents:
    @pytest.fixture
    def queue(self, guarded, monkeypatch):
        url = guarded.emulator.client("sqs").create_queue(QueueName="hints")["QueueUrl"]
        monkeypatch.setenv("AIRFLOW__BDA__JOB_EVENTS_QUEUE", url)
        return url

    def test_it_is_looked_at_with_the_printed_policies(self, guarded, subject, project, queue):
        workload = plan_workload(**guarded.workload | {"project_arn": project})
        options = PolicyOptions(
            extras=Extras(queue_arns=(Queue.parse(queue).arn_in(workload.region, workload.account),))
        )
        hook = guarded.hook(caller_policy(workload, options), doctor_policy(workload, options))

        found = said(run_preflight(hook, subject), Level.OK)

        assert "hints is there" in found["job events"].text
        assert "permissions" in found

    def test_who_may_not_read_it_is_told_and_has_no_fault(self, guarded, subject, policy, queue):
        report = run_preflight(guarded.hook(policy, LOOK), subject)

        assert report.faults == ()
        texts = [str(check) for check in report.hints]
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
            assert any(action in text and f"--queue {queue}" in text for text in texts)

    @pytest.mark.parametrize(
        ("url", "code", "text"),
        [
            ("https://sqs.us-east-1.amazonaws.com/123456789012/hints", "AccessDenied", "GetQueueAttributes"),
            ("http://localhost:1/123456789012/hints", "AWS.SimpleQueueService.NonExistentQueue", "cannot be reached"),
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/hints", None, "is in eu-west-1"),
        ],
    )
    def test_what_cannot_be_looked_at_is_a_hint(self, bda_emulator, url, code, text):
        client = bda_emulator.client("sqs")
        scene = Scene({"sqs": client}.__getitem__, Subject(), "us-east-1", "123456789012", "arn", None, url)
        with Stubber(client) as stub:
            if code:
                stub.add_client_error("get_queue_attributes", code, http_status_code=400)
            (check,) = check_queue(scene)

        assert check.level is Level.HINT
        assert text in str(check)


def test_an_empty_document_is_a_fault(guarded, subject):
    from airflow_bda.hooks import BdaHook

    guarded.s3.put_object(Bucket="inputs", Key="docs/empty.pdf", Body=b"")

    found = run_preflight(BdaHook(), replace(subject, input_uri="s3://inputs/docs/empty.pdf"))

    assert "is empty" in said(found, Level.FAULT)["input"].text


def test_a_prefix_with_empty_objects_only_has_no_documents(guarded, subject):
    from airflow_bda.hooks import BdaHook

    guarded.s3.put_object(Bucket="inputs", Key="new/", Body=b"")

    assert (
        "nothing"
        in said(run_preflight(BdaHook(), replace(subject, input_uri="s3://inputs/new/")), Level.HINT)["input"].text
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"project_arn": "arn:aws:bedrock:eu-west-1:123456789012:data-automation-project/000000000000"}, "project"),
        ({"blueprint_arns": ("arn:aws:bedrock:eu-west-1:123456789012:blueprint/000000000000",)}, "blueprint"),
        (
            {"profile_arn": "arn:aws:bedrock:eu-west-1:123456789012:data-automation-profile/eu.data-automation-v1"},
            "profile",
        ),
        ({"kms_key": "arn:aws:kms:eu-west-1:123456789012:key/1"}, "KMS key"),
    ],
)
def test_an_arn_of_another_region_is_named_with_both(guarded, subject, changes, name):
    from airflow_bda.hooks import BdaHook

    report = run_preflight(BdaHook(), replace(subject, **changes))

    (told, *_) = [check for check in report.faults if check.name == name]
    assert "eu-west-1" in told.text
    assert "us-east-1" in told.text
    assert "--region eu-west-1" in told.remedy


def test_a_bucket_of_another_region_is_told(bda_emulator):
    from airflow_bda.hooks import BdaHook

    s3 = bda_emulator.client("s3")
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    told = [check.text for check in run_preflight(BdaHook(), Subject(input_uri="s3://far-away/in/")).hints]

    assert any("far-away is in eu-west-1, and jobs run in us-east-1" in text for text in told)


def test_a_region_that_is_none_is_one_line_and_no_call(bda_emulator, capsys):
    assert main(["doctor", "--region", "mars-1"]) == 1

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fault")]
    assert "'mars-1' is not the name of an AWS region" in line
    assert bda_emulator.calls == {}


def test_without_a_region_the_two_ways_to_set_one_are_named(bda_emulator, monkeypatch, capsys):
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert main(["doctor"]) == 1

    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fault")]
    assert "--region" in line
    assert "AWS_DEFAULT_REGION" in line


def test_an_answer_that_is_a_web_page_is_told_in_one_line(bda_emulator):
    from botocore.exceptions import ClientError

    from airflow_bda.service.aws_errors import answer_or_refusal

    def answered() -> None:
        page = {"Error": {"Code": "502", "Message": "<html>\n<body>Bad gateway</body>"}}
        raise ClientError({**page, "ResponseMetadata": {"HTTPStatusCode": 502}}, "GetCallerIdentity")

    refusal = answer_or_refusal(answered)

    assert refusal.text == "502: the answer is not from AWS"
    assert refusal.http_status == 502


def test_an_unreachable_endpoint_is_not_reported_as_bad_credentials(bda_emulator, monkeypatch):
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


def test_a_connection_that_is_not_there_is_an_error_of_the_command(bda_emulator, airflow_db, capsys):
    """The Amazon provider works on with other credentials, which is not what the user asked for."""
    assert main(["doctor", "--conn-id", "no_such_connection"]) == 1
    assert "Airflow has no connection 'no_such_connection'" in capsys.readouterr().err


def test_a_connection_that_is_not_there_is_a_hint_in_a_task(bda_emulator, airflow_db):
    from airflow_bda.hooks import BdaHook

    report = run_preflight(BdaHook(aws_conn_id="no_such_connection", region_name="us-east-1"), Subject())

    (check,) = (check for check in report.checks if check.name == "connection")
    assert str(check).startswith("hint   connection: there is no 'no_such_connection'")


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
