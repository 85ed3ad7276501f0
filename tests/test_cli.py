"""The ``airflow-bda`` command: data on standard output, words on standard error, and the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import airflow_bda
from airflow_bda.cli import COMMANDS, main
from airflow_bda.emulator.server.server import airflow_connection

PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"


@pytest.fixture
def document(bda_emulator) -> str:
    """Put a scan where the emulator reads it, in no time."""
    from io import BytesIO

    from PIL import Image

    content = BytesIO()
    Image.new("RGB", (200, 200), "white").save(content, "PNG")
    return bda_emulator.upload(content.getvalue(), "scan.png")


@pytest.fixture
def output(bda_emulator) -> str:
    return bda_emulator.make_bucket("bda-out") + "/results"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "airflow_bda.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_without_arguments_it_lists_its_commands(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert [command.name for command in COMMANDS if f"    {command.name} " not in listed] == []


def test_it_tells_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"airflow-bda {airflow_bda.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["status"],
        ["invoke", "--input", "s3://a/b"],
        ["status", "x", "--conn-id", "a", "--profile", "b"],
        ["status", "x", "--profile", "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage:" in said.err


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_help_answers_without_airflow_or_moto(command):
    """Help is asked for more often than anything else, and Airflow takes seconds to import."""
    code = "import sys; from airflow_bda.cli import main\ntry: main(sys.argv[1:])\nfinally: print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert f"usage: airflow-bda {command}" in ended.stdout
    assert {"airflow", "boto3", "moto"}.isdisjoint(ended.stdout.splitlines()[-1].split())


def test_a_job_from_invoke_to_results(document, output, capsys):
    """A job runs to its end; standard output holds JSON and nothing else, whatever Airflow logs."""
    request = ("--input", document, "--output", output, "--project", PROJECT, "--tag", "team=docs")
    invoked = run("invoke", *request, "--wait", "--json")
    assert invoked.returncode == 0, invoked.stderr
    job = json.loads(invoked.stdout)
    assert job["output_metadata_uri"].startswith(f"{output}/")
    assert job["invocation_arn"] in invoked.stderr

    assert main(["status", job["invocation_arn"], "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["status"] == "Success"
    assert status["output_metadata_uri"] == job["output_metadata_uri"]

    assert main(["results", job["output_metadata_uri"], "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["input_s3_uri"] == document

    assert main(["results", job["invocation_arn"], "--jsonl", "--table", "segments"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["invocation_arn"] for row in rows} == {job["invocation_arn"]}

    assert main(["results", job["output_metadata_uri"]]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("asset 0, segment 0: ")
    assert "segments: 1" in said.err


def test_invoke_prints_the_arn_and_status_explains_it(document, output, capsys):
    assert main(["invoke", "--input", document, "--output", output, "--project", PROJECT]) == 0
    arn = capsys.readouterr().out.strip()
    assert arn.startswith("arn:aws:bedrock:us-east-1:")

    assert main(["status", arn]) == 0
    assert f"invocation_arn: {arn}" in capsys.readouterr().out.splitlines()


def test_the_same_token_starts_one_job(bda_emulator, document, output, capsys):
    command = ["invoke", "--input", document, "--output", output, "--project", PROJECT, "--client-token", "one-job"]

    assert main(command) == 0
    assert main(command) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert len(bda_emulator.jobs) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["results", "s3://bda-out/nothing"],
        ["invoke", "--input", "s3://bda-test", "--output", "s3://bda-out/x"],
    ],
    ids=" ".join,
)
def test_a_failure_is_status_1_and_says_why(bda_emulator, arguments, capsys):
    bda_emulator.make_bucket("bda-out")

    assert main(arguments) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert f"airflow-bda {arguments[0]}: " in said.err
    assert "Traceback" not in said.err


def test_options_lead_to_aws_past_the_environment(bda_emulator, document, output, tmp_path, monkeypatch):
    """`--endpoint-url` and `--profile` win over variables, and a command without a connection leaves no ~/airflow."""
    endpoint = bda_emulator.endpoint_url
    credentials = tmp_path / "credentials"
    credentials.write_text("[mine]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    for name in ("AIRFLOW_HOME", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_BEDROCK_DATA_AUTOMATION_RUNTIME"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    request = ("--input", document, "--output", output, "--project", PROJECT)

    invoked = run("invoke", *request, "--profile", "mine", "--endpoint-url", endpoint, "--region", "us-east-1")

    assert invoked.returncode == 0, invoked.stderr
    assert [job.invocation_arn for job in bda_emulator.jobs] == [invoked.stdout.strip()]
    assert not (tmp_path / "airflow").exists()


def test_status_needs_no_region(bda_emulator, document, output, capsys, monkeypatch):
    """The ARN names it."""
    assert main(["invoke", "--input", document, "--output", output, "--project", PROJECT]) == 0
    arn = capsys.readouterr().out.strip()
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)

    assert main(["status", arn]) == 0


CHATTY = """
import sys, types
from airflow_bda import cli
sys.modules["chatty"] = chatty = types.ModuleType("chatty")
chatty.add_arguments = lambda parser: None
chatty.run = lambda args: print("data") or 0
cli.COMMANDS = (cli.Command("chatty", "chatty", "print data"),)
sys.exit(cli.main(["chatty"]))
"""


def test_a_reader_that_goes_away_ends_the_command_quietly():
    """`airflow-bda results ... | head` closes the pipe early."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", CHATTY], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)

    assert ended.returncode == 1
    assert ended.stderr == ""


def test_results_takes_the_arn_too(document, output, capsys, monkeypatch):
    assert main(["invoke", "--input", document, "--output", output, "--project", PROJECT, "--wait"]) == 0
    arn, uri = capsys.readouterr().out.splitlines()
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    assert main(["results", arn, "--json"]) == 0
    by_arn = capsys.readouterr().out
    assert main(["results", uri, "--json", "--region", "us-east-1"]) == 0
    assert capsys.readouterr().out == by_arn


def test_a_job_without_results_is_named(bda_emulator, document, output, capsys):
    bda_emulator.faults.add("stuck_job")
    assert main(["invoke", "--input", document, "--output", output, "--project", PROJECT]) == 0
    arn = capsys.readouterr().out.strip()

    assert main(["results", arn]) == 1
    said = capsys.readouterr().err
    assert "has no results" in said
    assert arn in said


@pytest.mark.parametrize("command", [["status", "ARN"], ["results", "s3://bda-out/job_metadata.json"]], ids=" ".join)
def test_an_unknown_connection_is_not_another_ones_credentials(bda_emulator, command, capsys):
    arn = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/11111111-2222-3333-4444-555555555555"
    before = sum(bda_emulator.calls.values())

    assert main([arn if word == "ARN" else word for word in command] + ["--conn-id", "no_such_connection"]) == 1

    assert "Airflow has no connection 'no_such_connection'" in capsys.readouterr().err
    assert sum(bda_emulator.calls.values()) == before


@pytest.mark.usefixtures("airflow_db")
def test_a_connection_in_airflows_database_is_taken(bda_emulator, document, output, monkeypatch):
    """It is added by the line that the emulator prints."""
    added = airflow_connection(bda_emulator.endpoint_url, "us-east-1")
    command = ["airflow", "connections", "add", "bda_in_database", "--conn-json", added]
    subprocess.run([sys.executable, "-m", *command], check=True)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    asked = ["invoke", "--input", document, "--output", output, "--project", PROJECT, "--wait"]

    # Both in processes of their own, which encrypt by the same key.
    ended = run(*asked, "--conn-id", "bda_in_database")

    assert ended.returncode == 0, ended.stderr
    assert len(bda_emulator.jobs) == 1


@pytest.mark.parametrize("library", ["moto", "rich", "flask", "pdfplumber"])
def test_a_demo_without_its_libraries_says_how_to_install_them(library, tmp_path):
    code = "import sys; sys.modules[sys.argv.pop(1)] = None; from airflow_bda.cli import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", code, library, "demo", "--state", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert ended.returncode == 1
    assert "pip install 'airflow-provider-bda[local" in ended.stderr
    assert "Traceback" not in ended.stderr


UUID = "11111111-2222-3333-4444-555555555555"
ARN = f"arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/{UUID}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["invoke", "--input", "s3:/b/a.pdf", "--output", "s3://b/out"],
            "argument --input: 's3:/b/a.pdf' is not a URI such as s3://bucket/folder/document.pdf",
        ),
        (
            ["batch", "--input", "s3://b/", "--output", "out"],
            "argument --output: 'out' is not a URI such as s3://bucket/results",
        ),
        (
            ["batch", "--input", "inbox", "--output", "s3://b/out"],
            "argument --input: 'inbox' is not a URI such as s3://bucket/folder/",
        ),
        (
            ["status", "nonsense"],
            "argument ARN: 'nonsense' is not the ARN of an invocation. It reads arn:aws:bedrock:<",
        ),
        (["status", UUID], "It is a bare job id; the ARN is arn:aws:bedrock:<region>:<account>:"),
        (["results", PROJECT], "is not the ARN of an invocation. "),
        (["results", "s3://bda-out"], "argument JOB: 's3://bda-out' is neither a URI such as"),
        (["results", "nonsense"], "'nonsense' is neither a URI such as s3://bucket/results/<job id>/job_metadata.json"),
        (["report", "nonsense"], "nor an invocation's ARN"),
    ],
)
def test_what_is_no_uri_is_named_by_its_option_with_an_example(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_the_request_finds_wrong_is_named_by_its_option(bda_emulator, capsys):
    assert main(["invoke", "--input", "s3://bda-in/{a}.pdf", "--output", "s3://bda-out/x", "--stage", "PROD"]) == 1

    said = capsys.readouterr().err
    assert "--input is 's3://bda-in/{a}.pdf'" in said
    assert "--stage is 'PROD'" in said
    assert "input_s3_uri is" not in said


def test_what_the_service_refuses_is_named_by_its_option(bda_emulator, output, capsys):
    bda_emulator.make_bucket("bda-in")

    assert main(["invoke", "--input", "s3://bda-in/none.pdf", "--output", output]) == 1

    said = capsys.readouterr().err
    assert "does not exist" in said
    assert "Correct --input (mind the extension)" in said


def test_without_a_region_it_says_where_one_can_be_set(bda_emulator, capsys, monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)

    assert main(["invoke", "--input", "s3://bda-in/a.pdf", "--output", "s3://bda-out/x"]) == 1

    said = capsys.readouterr().err
    assert "--region" in said
    assert "AWS_DEFAULT_REGION" in said


BEFORE_THE_HOOK = """
import sys
from airflow_bda.cli import main
from airflow_bda.commands import options
from airflow_bda.service.errors import BdaError

def hook_of(args):
    raise BdaError("Airflow was imported" if "airflow" in sys.modules else "Airflow is still to come")

options.hook_of = hook_of
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["invoke", "--input=s3://b/a.pdf", "--output=s3://b/out"],
        ["batch", "--input=s3://b/in/", "--output=s3://b/out"],
        ["status", ARN],
        ["results", ARN],
        ["report", ARN],
        ["doctor"],
        ["project", "apply", "project.json"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_how_much_airflow_logs_is_set_before_airflow_is_imported(arguments, tmp_path):
    """After that it is too late, and standard error begins with Airflow's lines on credentials and endpoints."""
    (tmp_path / "project.json").write_text('{"project": {"projectName": "a", "standardOutputConfiguration": {}}}')

    ended = subprocess.run(
        [sys.executable, "-c", BEFORE_THE_HOOK, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert "Airflow is still to come" in ended.stderr


@pytest.mark.parametrize("command", ["status", "results", "report"])
def test_a_region_that_is_not_the_jobs_is_named(bda_emulator, command, capsys):
    assert main([command, ARN, "--region", "us-west-2"]) == 1

    assert "The job is of the region us-east-1, and --region is us-west-2" in capsys.readouterr().err


def test_jobs_of_several_regions_are_no_one_call(bda_emulator, capsys):
    assert main(["results", ARN, ARN.replace("us-east-1", "eu-west-1")]) == 1

    assert "several regions, eu-west-1, us-east-1" in capsys.readouterr().err


def test_results_of_several_jobs_tell_how_far_they_are(document, output, capsys):
    assert main(["invoke", "--input", document, "--output", output, "--project", PROJECT, "--wait"]) == 0
    arn, uri = capsys.readouterr().out.splitlines()

    assert main(["results", arn, uri]) == 0

    told = capsys.readouterr().err
    assert f"Reading 1 of 2: {arn}" in told
    assert f"Reading 2 of 2: {uri}" in told


def test_a_report_takes_the_arn_too(document, output, capsys, tmp_path):
    assert main(["invoke", "--input", document, "--output", output, "--project", PROJECT, "--wait"]) == 0
    arn, _ = capsys.readouterr().out.splitlines()
    page = tmp_path / "report.html"

    assert main(["report", arn, "-o", str(page)]) == 0
    assert "scan.png" in page.read_text()


def test_an_endpoint_that_refuses_is_named_before_it_is_tried_again(capsys):
    assert main(["status", ARN, "--endpoint-url", "http://127.0.0.1:1"]) == 1

    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("airflow-bda: nothing answers at http://127.0.0.1:1")
