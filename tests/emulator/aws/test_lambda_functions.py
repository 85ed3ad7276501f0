"""Functions that are created in the emulator's Lambda really run, with the limits that they were given."""

from __future__ import annotations

import base64
import io
import json
import os
import threading
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from botocore.exceptions import ClientError
from moto.awslambda.models import LambdaFunction

from airflow_bda.emulator.aws import lambda_functions
from airflow_bda.emulator.aws.lambda_functions import FunctionRunner, TooManyInvocationsError, link_libraries
from airflow_bda.emulator.server.server import EmulatorServer

CODE = """
import json, os, sys, time
print("imported", flush=True)

def handle(event, context):
    print("called with", json.dumps(event))
    result = globals()[event.pop("do", "tell")](context, **event)
    return result

def tell(context):
    return {
        "pid": os.getpid(), "arn": context.invoked_function_arn, "id": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(), "environment": dict(os.environ),
        "client": context.client_context and context.client_context.custom,
    }

def fail(context):
    raise ValueError("on purpose")

def leave(context):
    os._exit(3)

def sleep(context, seconds):
    time.sleep(seconds)
    return {"pid": os.getpid()}

def allocate(context, mb):
    return len(bytearray(mb << 20))

def load(context, module):
    __import__(module)
    return sys.modules[module].__file__

def buckets(context):
    import boto3
    return [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
"""
ROLE = "arn:aws:iam::123456789012:role/any"


def zipped(code: str, **files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"index": code, **files}.items():
            archive.writestr(f"{name}.py", content)
    return buffer.getvalue()


class Function:
    """A function in the emulator."""

    def __init__(self, emulator) -> None:
        self.client = emulator.client("lambda")
        emulator.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        self.create("f")

    def create(self, name: str, **changes) -> None:
        options = {
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "index.handle",
            "Code": {"ZipFile": zipped(CODE)},
            "Timeout": 30,
            "MemorySize": 256,
        }
        self.client.create_function(FunctionName=name, **{**options, **changes})

    def invoke(self, name: str = "f", **event):
        """Return the result of an invocation that goes well."""
        answer = self.ask(name, **event)
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def failure(self, name: str = "f", **event) -> dict:
        """Return what is said of an invocation that goes wrong."""
        answer = self.ask(name, **event)
        assert answer["FunctionError"] == "Unhandled"
        return json.loads(answer["Payload"].read())

    def ask(self, name: str = "f", **event):
        return self.client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")


@pytest.fixture
def function(bda_emulator) -> Function:
    return Function(bda_emulator)


def test_it_gets_what_lambda_gives(function):
    function.client.update_function_configuration(FunctionName="f", Environment={"Variables": {"COLOUR": "green"}})

    told = function.invoke()

    assert told["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert 0 < told["left"] <= 30_000
    assert told["environment"]["COLOUR"] == "green"
    assert told["environment"]["AWS_REGION"] == "us-east-1"


def test_nothing_of_the_emulators_own_environment_reaches_it(function, monkeypatch):
    """What stands there may be real credentials."""
    monkeypatch.setenv("AWS_PROFILE", "real")
    monkeypatch.setenv("SECRET", "real")

    environment = function.invoke()["environment"]

    assert "real" not in environment.values()
    assert not Path(environment["HOME"]).samefile(os.environ["HOME"])


def test_its_clients_lead_to_the_emulator(function, bda_emulator):
    bda_emulator.make_bucket("seen-from-inside")

    assert function.invoke(do="buckets") == ["seen-from-inside"]


def test_it_can_import_no_more_than_on_lambda(function):
    """What is installed beside the emulator is not there on AWS either."""
    assert "boto3" in function.invoke(do="load", module="boto3")
    for missing in ("airflow_bda", "moto", "airflow"):
        assert function.failure(do="load", module=missing)["errorType"] == "ModuleNotFoundError"


def test_its_own_copy_of_a_library_goes_first(function):
    function.create("own", Code={"ZipFile": zipped(CODE, boto3="here = True")})

    assert "bda-function-" in function.invoke("own", do="load", module="boto3")


def test_it_stays_warm_until_it_changes(function):
    first, second = function.invoke(), function.invoke()
    function.client.update_function_code(FunctionName="f", ZipFile=zipped(CODE + "\n# changed"))
    third = function.invoke()

    assert first["pid"] == second["pid"] != third["pid"]
    assert first["id"] != second["id"]


def test_invocations_at_once_run_in_processes_of_their_own(function):
    pids = []
    threads = [
        threading.Thread(target=lambda: pids.append(function.invoke(do="sleep", seconds=0.5)["pid"])) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(pids)) == 2


def test_what_it_raises_is_told(function):
    failure = function.failure(do="fail")

    assert (failure["errorType"], failure["errorMessage"]) == ("ValueError", "on purpose")
    assert function.invoke()["pid"]


@pytest.mark.parametrize(("code", "error"), [("import nothing_such", "Runtime.ImportModuleError"), ("1/0", "ZeroDiv")])
def test_what_cannot_begin_is_told(code, error, function):
    function.create("broken", Code={"ZipFile": zipped(code)})

    assert function.failure("broken")["errorType"].startswith(error)


def test_a_process_that_ends_is_told_and_replaced(function):
    assert "exit status 3" in function.failure(do="leave")["errorMessage"]
    assert function.invoke()["pid"]


def test_its_time_is_held_to(function):
    function.create("short", Timeout=1)

    assert "Task timed out after 1.00 seconds" in function.failure("short", do="sleep", seconds=60)["errorMessage"]
    assert function.invoke("short")["pid"]


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="other systems do not hold processes to such a limit")
def test_its_memory_is_held_to(function):
    function.create("small", MemorySize=128)

    assert function.failure("small", do="allocate", mb=500)["errorType"] == "MemoryError"
    assert function.invoke("f", do="allocate", mb=100) == 100 << 20


def test_what_it_writes_is_in_its_log(function, bda_emulator):
    answer = function.ask()
    logs = bda_emulator.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]
    events = logs.get_log_events(logGroupName="/aws/lambda/f", logStreamName=stream["logStreamName"])["events"]

    tail = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert tail == [event["message"] for event in events]
    assert tail[1:3] == ["imported", "called with {}"]


def test_an_event_invocation_does_not_wait(function, bda_emulator):
    answer = function.client.invoke(FunctionName="f", Payload='{"do": "sleep", "seconds": 0}', InvocationType="Event")

    assert answer["StatusCode"] == 202
    logs = bda_emulator.client("logs")
    for _ in range(200):
        groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/f")["logGroups"]
        if groups and logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]:
            return
        time.sleep(0.05)
    raise AssertionError("it never ran")


def test_a_dry_run_runs_nothing(function):
    assert function.client.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204


def test_a_client_context_arrives(function):
    context = base64.b64encode(json.dumps({"custom": {"a": "b"}}).encode()).decode()

    answer = function.client.invoke(FunctionName="f", Payload="{}", ClientContext=context)

    assert json.loads(answer["Payload"].read())["client"] == {"a": "b"}


def test_code_that_is_none_for_here_is_told(function):
    function.create("other", Runtime="nodejs22.x")

    assert "Python functions only" in function.failure("other")["errorMessage"]


def test_a_queue_invokes_it(function, bda_emulator):
    sqs = bda_emulator.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function.create("hears", Code={"ZipFile": zipped("def handle(event, context): print(event['Records'][0]['body'])")})
    function.client.create_event_source_mapping(FunctionName="hears", EventSourceArn=arn)

    sqs.send_message(QueueUrl=url, MessageBody="from the queue")

    logs = bda_emulator.client("logs")
    assert logs.filter_log_events(logGroupName="/aws/lambda/hears", filterPattern="queue")["events"]


def test_nothing_is_left_behind(bda_emulator):
    """Neither processes nor folders, after a reset."""
    told = Function(bda_emulator).invoke()
    code = Path(told["environment"]["LAMBDA_TASK_ROOT"])
    assert code.exists()

    bda_emulator.reset()

    assert not code.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(told["pid"], 0)


def test_where_others_can_reach_it_nothing_runs_unless_asked_for():
    open_to_all, asked_for = EmulatorServer("0.0.0.0"), EmulatorServer("0.0.0.0", run_functions=True)  # noqa: S104

    assert not open_to_all.run_functions
    assert asked_for.run_functions
    assert EmulatorServer().run_functions


def test_a_web_page_with_a_name_that_leads_here_cannot_upload_one(bda_emulator):
    """Its own origin and the server's host then agree, which for others would make it the same site."""
    port = urlsplit(bda_emulator.endpoint_url).port
    evil = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}

    answer = requests.post(f"{bda_emulator.endpoint_url}/2015-03-31/functions", headers=evil, timeout=10)

    assert answer.status_code == 403


def test_without_leave_it_says_how_to_get_it(bda_emulator):
    """The server that was started last runs the functions, or does not."""
    with EmulatorServer(run_functions=False):
        failure = Function(bda_emulator).failure()

    assert "--run-functions" in failure["errorMessage"]


def test_motos_own_way_comes_back(bda_emulator_server, monkeypatch):
    assert LambdaFunction.invoke is lambda_functions._invoke
    monkeypatch.setattr(lambda_functions, "_RUNNERS", [])
    with EmulatorServer():
        pass
    assert LambdaFunction.invoke is lambda_functions._MOTOS_OWN
    lambda_functions._PATCHED.invoke = lambda_functions._invoke


def test_where_the_native_client_is_missing_ours_stands_in(function, monkeypatch):
    """AWS builds it for Linux only; the rest of its client runs everywhere."""
    find = lambda_functions.find_spec
    monkeypatch.setattr(lambda_functions, "find_spec", lambda name: None if name == "runtime_client" else find(name))

    assert function.invoke()["arn"].endswith(":function:f")
    assert function.failure(do="fail")["errorType"] == "ValueError"
    assert function.invoke(do="buckets") == []


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(lambda_functions, "find_spec", lambda _: None)

    with pytest.raises(lambda_functions.MissingLibraryError, match=r"boto3 is not installed"):
        link_libraries(tmp_path)


def test_too_much_at_once_is_refused(function, monkeypatch):
    monkeypatch.setattr(FunctionRunner, "invoke", _too_many)

    with pytest.raises(ClientError, match="TooManyRequestsException"):
        function.ask()


def _too_many(*_):
    raise TooManyInvocationsError("32 invocations are running")
