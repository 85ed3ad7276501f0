"""What `airflow-bda policy` prints: filled in, for every partition, with no wildcard that could be a name."""

from __future__ import annotations

import json

import pytest

from airflow_bda.access.permissions import caller_permissions
from airflow_bda.access.policies import (
    PolicyOptions,
    caller_policy,
    input_bucket_policy,
    key_policy,
    lambda_policy,
    output_bucket_policy,
)
from airflow_bda.access.workload import plan_workload
from airflow_bda.cli import main
from airflow_bda.service.arns import DESTINATIONS_OF_REGION, PROFILE_OF_REGION, partition_of

ACCOUNT = "123456789012"
PLACES = {"input_uri": "s3://in/docs/a.pdf", "output_uri": "s3://out/results/", "account": ACCOUNT}


def statements(document):
    return {statement["Sid"]: statement for statement in document["Statement"]}


def listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("region", PROFILE_OF_REGION)
def test_the_profile_is_allowed_wherever_it_routes_to(region):
    policy = statements(caller_policy(plan_workload(**PLACES, region=region)))

    expected = {
        f"arn:{partition_of(region)}:bedrock:{each}:{ACCOUNT}:data-automation-profile/{PROFILE_OF_REGION[region]}"
        for each in DESTINATIONS_OF_REGION[region]
    }
    assert set(listed(policy["InvokeBdaProfile"]["Resource"])) == expected


def test_a_profile_of_unknown_routes_is_allowed_everywhere():
    profile = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:data-automation-profile/new.data-automation-v2"

    policy = statements(caller_policy(plan_workload(**PLACES, profile_arn=profile)))

    assert policy["InvokeBdaProfile"]["Resource"] == profile.replace("us-east-1", "*")


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1"])
def test_every_arn_is_of_the_partition(region):
    workload = plan_workload(**PLACES, region=region, kms_key="k", input_key="k", output_key="k")
    documents = [
        make(workload) for make in (caller_policy, lambda_policy, input_bucket_policy, output_bucket_policy, key_policy)
    ]

    arns = [word for word in json.dumps(documents).split('"') if word.startswith("arn:")]
    assert {arn.split(":")[1] for arn in arns} == {partition_of(region)}


def test_chinas_services_have_another_suffix():
    profile = f"arn:aws-cn:bedrock:cn-north-1:{ACCOUNT}:data-automation-profile/cn.data-automation-v1"
    policy = statements(caller_policy(plan_workload(**PLACES, profile_arn=profile, kms_key="k")))

    condition = policy["UseJobKeyThroughBda"]["Condition"]["StringEquals"]
    assert condition == {"kms:ViaService": "bedrock.cn-north-1.amazonaws.com.cn"}


@pytest.mark.parametrize("input_uri", ["s3://in/docs/a.pdf", "s3://in/docs/", "s3://in"])
@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-1"])
def test_every_wildcard_has_its_reason_and_no_reason_stands_alone(region, input_uri):
    workload = plan_workload(**PLACES | {"input_uri": input_uri}, region=region, kms_key="k")

    for permission in caller_permissions(workload):
        assert any("*" in resource for resource in permission.resources) == bool(permission.wildcard)
        assert not any("*" in action for action in permission.actions)


def test_the_output_bucket_lets_bda_in_for_this_account_only():
    policy = statements(output_bucket_policy(plan_workload(**PLACES, region="us-east-1")))

    assert policy["BdaObjects"]["Action"] == "s3:PutObject"
    assert policy["BdaObjects"]["Resource"] == "arn:aws:s3:::out/results/*"
    assert policy["BdaList"]["Resource"] == "arn:aws:s3:::out"
    for statement in policy.values():
        assert statement["Principal"] == {"Service": "bedrock.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_a_principal_is_named_where_it_is_given():
    role = "arn:aws:iam::210987654321:role/worker"
    options = PolicyOptions(principal=role)
    workload = plan_workload(**PLACES, region="us-east-1", kms_key="k")

    assert statements(output_bucket_policy(workload, options))["CallerObjects"]["Principal"] == {"AWS": role}
    assert statements(key_policy(workload, options))["UseTheKeyForBda"]["Principal"] == {"AWS": role}


def test_the_lambda_may_also_write_its_log():
    workload = plan_workload(**PLACES, region="us-east-1")
    policy = statements(lambda_policy(workload, PolicyOptions(function="mine")))

    assert policy.keys() - statements(caller_policy(workload)).keys() == {"WriteFunctionLog"}
    assert all("/aws/lambda/mine" in resource for resource in policy["WriteFunctionLog"]["Resource"])


@pytest.mark.parametrize("kind", ["caller", "input-bucket", "output-bucket", "kms", "lambda"])
def test_the_command_prints_json_and_explains_beside_it(kind, capsys):
    arguments = ["policy", kind, "--input", "s3://in/a.pdf", "--output", "s3://out", "--account", ACCOUNT]

    assert main([*arguments, "--region", "us-east-1", "--kms-key", "k", "--stage", "LIVE", "--explain"]) == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out)["Version"] == "2012-10-17"
    assert printed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--account", ACCOUNT], "--region"),
        (["--region", "us-east-1"], "--account"),
        (["--region", "mars-north-1", "--account", ACCOUNT], "mars-north-1"),
        (["--region", "us-east-1", "--account", ACCOUNT, "--kms-key", "alias/docs"], "describe-key"),
        (["--region", "us-east-1", "--account", ACCOUNT, "--project", "nonsense"], "nonsense"),
    ],
)
def test_too_little_to_fill_it_in_is_wrong_usage(options, said, capsys):
    assert main(["policy", "caller", "--input", "s3://in/a.pdf", "--output", "s3://out", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err


def test_a_keys_policy_is_about_one_key(capsys):
    arguments = [
        "policy",
        "kms",
        "--input",
        "s3://a/b",
        "--output",
        "s3://c",
        "--region",
        "us-east-1",
        "--account",
        ACCOUNT,
    ]

    assert main(arguments) == 2
    assert main([*arguments, "--kms-key", "a", "--input-kms-key", "b"]) == 2


@pytest.mark.parametrize("command", [["policy", "caller"], ["doctor"]])
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nonsense", "--input is 'nonsense': write a URI such as s3://bucket/folder/document.pdf"),
        ("s3:///a.pdf", "--input is 's3:///a.pdf': write a URI such as"),
        ("s3://in*/", "'in*' is not a bucket's name"),
        ("s3://*/", "'*' is not a bucket's name"),
        ("s3://{{ bucket }}/a", "is not a bucket's name"),
    ],
)
def test_a_uri_that_is_none_is_told_with_its_option_and_an_example(command, uri, said, capsys):
    arguments = [*command, "--input", uri, "--output", "s3://out", "--region", "us-east-1"]

    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_wildcard_in_a_key_is_told_of(capsys):
    arguments = ["policy", "caller", "--output", "s3://out", "--region", "us-east-1", "--account", ACCOUNT]

    assert main([*arguments, "--input", "s3://in/a*.pdf"]) == 0
    assert "match anything" in capsys.readouterr().err


def test_an_endpoint_that_refuses_is_told_of_at_once(capsys, monkeypatch):
    from argparse import Namespace

    from airflow_bda.commands.options import hook_of

    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    args = Namespace(conn_id=None, profile=None, region="us-east-1", endpoint_url="http://127.0.0.1:9")
    with hook_of(args):
        pass

    assert "nothing answers at http://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "folder"), [("s3://out/results/", "out/results/_batch"), ("s3://out", "out/_batch")]
)
def test_a_batch_keeps_its_files_below_the_output_and_deletes_only_old_indexes(output, folder, capsys):
    arguments = ["--input", "s3://in/docs/", "--output", output, "--region", "us-east-1", "--account", ACCOUNT]
    single = main(["policy", "caller", *arguments]) or statements(json.loads(capsys.readouterr().out))

    assert main(["policy", "caller", "--batch", "--explain", *arguments]) == 0

    printed = capsys.readouterr()
    policy = statements(json.loads(printed.out))
    assert single.items() <= policy.items()
    assert set(policy["ListBatch"]["Resource"]) == {"arn:aws:s3:::in", "arn:aws:s3:::out"}
    assert {"s3:GetObject", "s3:PutObject"} <= set(policy["KeepBatchFiles"]["Action"])
    assert policy["KeepBatchFiles"]["Resource"] == f"arn:aws:s3:::{folder}/*"
    assert policy["TellVersionsOfBatchInput"]["Resource"] == "arn:aws:s3:::in"
    deleting = [each["Resource"] for each in policy.values() if "s3:DeleteObject" in listed(each["Action"])]
    assert deleting == [f"arn:aws:s3:::{folder}/_finished/*"]
    assert "RemoveOldBatchIndex: " in printed.err


@pytest.mark.parametrize("option", [["--batch"], ["--sync"], ["--queue", "https://sqs.us-east-1.amazonaws.com/1/q"]])
def test_only_the_callers_policy_knows_what_callers_do_beyond_jobs(option, capsys):
    assert main(["policy", "kms", *option, "--input", "s3://in/a", "--output", "s3://out"]) == 2
    assert f"{option[0]} is for the caller's" in capsys.readouterr().err


WHERE = ["--input", "s3://in/a.pdf", "--output", "s3://out", "--region", "us-east-1", "--account", ACCOUNT]
QUEUE_ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:hints"


@pytest.mark.parametrize(
    ("queue", "arn"),
    [
        (QUEUE_ARN, QUEUE_ARN),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/hints", QUEUE_ARN),
        (f"http://localhost:9324/{ACCOUNT}/hints", QUEUE_ARN),
        ("http://localhost:9324/hints", QUEUE_ARN),
        ("https://sqs.eu-west-1.amazonaws.com/999999999999/h.fifo", "arn:aws:sqs:eu-west-1:999999999999:h.fifo"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/999999999999/h", "arn:aws-cn:sqs:cn-north-1:999999999999:h"),
    ],
)
def test_a_queue_of_events_may_be_read_where_it_is_asked_for(queue, arn, capsys):
    assert main(["policy", "caller", "--queue", queue, "--explain", *WHERE]) == 0

    printed = capsys.readouterr()
    reading = statements(json.loads(printed.out))["ReadJobEvents"]
    assert reading["Resource"] == arn
    assert set(reading["Action"]) == {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}
    assert "ReadJobEvents: " in printed.err


@pytest.mark.parametrize(
    "queue", ["hints", "arn:aws:sns:us-east-1:123456789012:hints", "https://host/1/*", "arn:aws:sqs:*:*:*"]
)
def test_what_is_no_queue_is_refused_with_its_name(queue, capsys):
    assert main(["policy", "caller", "--queue", queue, *WHERE]) == 2
    assert repr(queue) in capsys.readouterr().err


def test_processing_at_once_is_allowed_where_it_is_asked_for(capsys):
    project = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:data-automation-project/0123456789ab"
    assert main(["policy", "caller", "--project", project, *WHERE]) == 0
    assert '"bedrock:InvokeDataAutomation"' not in capsys.readouterr().out

    assert main(["policy", "caller", "--sync", "--project", project, *WHERE]) == 0

    policy = statements(json.loads(capsys.readouterr().out))
    at_once = policy["InvokeBdaAtOnce"]
    assert at_once["Action"] == "bedrock:InvokeDataAutomation"
    jobs = policy["StartBdaJobs"]["Resource"]
    assert set(at_once["Resource"]) == {project, *listed(policy["InvokeBdaProfile"]["Resource"]), jobs}
