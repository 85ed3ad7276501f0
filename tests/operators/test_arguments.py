"""What templates make of values, for every templated argument of every operator and sensor: taken, or explained."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda._compat import AirflowFailException
from airflow_bda.exceptions import BdaRequestError
from airflow_bda.hooks.task_arguments import TaskArguments
from airflow_bda.operators import (
    BdaApplyProjectOperator,
    BdaBatchOperator,
    BdaInvokeOperator,
    BdaInvokeSyncOperator,
    BdaLambdaInvokeOperator,
    BdaPreflightOperator,
    BdaResultsOperator,
    BdaReviewOperator,
)
from airflow_bda.sensors import BdaStatusSensor
from airflow_bda.service.model import INVOKE_SYNC, service_model
from airflow_bda.service.request.request import build_request

try:
    from airflow.sdk import DAG, ObjectStoragePath
except ImportError:
    from airflow import DAG
    from airflow.io.path import ObjectStoragePath

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e36a3f0-1111-2222-3333-444455556666"
PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
BLUEPRINT = "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab"
PLACES = {"input_s3_uri": "s3://bda-test/a.pdf", "output_s3_uri": "s3://bda-test/out"}
DOCUMENTS = {"input_s3_prefix": "s3://bda-test/in", "output_s3_uri": "s3://bda-test/out"}
LISTED = {"input_s3_prefix": None, "input_s3_uris": ["s3://bda-test/a.pdf"]}
RESULTS = {"metadata_uris": "s3://bda-test/out/job_metadata.json", "output_s3_uri": "s3://bda-test/lake"}
GOOD = {
    BdaApplyProjectOperator: {"files": ["orders.json"]},
    BdaBatchOperator: DOCUMENTS,
    BdaInvokeOperator: PLACES,
    BdaInvokeSyncOperator: {"blueprints": [BLUEPRINT], **PLACES},
    BdaLambdaInvokeOperator: {"function_name": "bda", **PLACES},
    BdaPreflightOperator: PLACES,
    BdaResultsOperator: RESULTS,
    BdaReviewOperator: {"tables": "s3://bda-test/lake/fields/date=2026-01-05/d.jsonl"},
    BdaStatusSensor: {"invocation_arn": ARN},
}
OPERATORS = [
    getattr(import_module(f"airflow_bda.{room}"), name)
    for room in ("operators", "sensors")
    for name in import_module(f"airflow_bda.{room}").__all__
]


class Mapped(Sequence):
    """Stands for the output of a mapped task: Airflow's lazy sequence of XComs, which is no list."""

    def __init__(self, items):
        self.items = items

    def __getitem__(self, index):
        return self.items[index]

    def __len__(self):
        return len(self.items)


# What a template, or the lack of one, makes of a value; and the same with what is a text to the argument's type.
SPOILED = {
    "None as text": "None",
    "nothing": "",
    "blanks": "  ",
    "unrendered": "{{ params.x }}",
    "unrendered block": "{% if x %}y{% endif %}",
    "a boolean": True,
    "a number with a point": 1.5,
    "a list": ["a"],
    "a list as text": "['a', 'b']",
    "a mapping as text": "{'a': 'b'}",
    "the output of a mapped task": Mapped(["a", "b"]),
    "bytes": b"a",
    "an object": object(),
    "a path of this machine": Path("/a/b"),
}
# Where such a value is one that the argument takes.
TAKEN = {("verify", "a boolean"), ("verify", "a path of this machine"), ("subject", "nothing")}
TAKEN |= {("files", each) for each in ("a list", "the output of a mapped task", "a path of this machine")}
# What this Airflow or botocore cannot run says so before it looks at its arguments; each has a test of that.
CANNOT_RUN = {
    *([] if BdaReviewOperator.is_available else [BdaReviewOperator]),
    *([] if INVOKE_SYNC in service_model().operation_names else [BdaInvokeSyncOperator]),
}
FIELDS = [
    (operator, field) for operator in OPERATORS if operator not in CANNOT_RUN for field in operator.template_fields
]


def run(operator, **arguments):
    """Execute a task with these arguments, as Airflow would once it has rendered them."""
    task = operator(task_id="t", **GOOD[operator])
    for name, value in arguments.items():
        setattr(task, name, value)
    return execute(task)


def execute(task):
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=0, task=task,
        xcom_push=lambda key, value: None, xcom_pull=lambda **_: None, get_first_reschedule_date=lambda _: None,
    )  # fmt: skip
    return task.execute(
        {"ti": ti, "task": task, "params": {}, "dag_run": SimpleNamespace(run_id="r", logical_date=None)}
    )


@pytest.fixture(autouse=True)
def nothing_is_sent(monkeypatch):
    """End the tasks whose arguments pass the checks: these tests are about the others."""

    class SentError(Exception):
        pass

    def send(*_, **__):
        raise SentError

    monkeypatch.setattr("airflow_bda.hooks.bda.BdaHook.submit", send)
    monkeypatch.setattr("airflow_bda.hooks.bda.BdaHook.account_id", property(lambda _: "123456789012"))
    monkeypatch.setattr(BdaLambdaInvokeOperator, "_ask", send)
    monkeypatch.setattr("airflow_bda.projects.files.read_files", send)
    monkeypatch.setattr("airflow_bda.hooks.bda.BdaHook.preflight", send)
    monkeypatch.setattr("airflow_bda.hooks.bda.BdaHook.identity", property(lambda _: "123456789012"))
    monkeypatch.setattr("airflow_bda.operators.bda_batch.run_to_the_end", send)
    monkeypatch.setattr(BdaResultsOperator, "_write", send)
    monkeypatch.setattr("airflow_bda.operators.bda_review._ReviewedTable", send)
    monkeypatch.setattr("airflow_bda.hooks.sync.invoke_sync", send)
    monkeypatch.setattr("airflow_bda.sensors.bda.link_like_upstream", send)
    monkeypatch.setattr("airflow_bda.hooks.bda.BdaHook.conn_region_name", property(lambda _: "us-east-1"))
    return SentError


def test_every_public_operator_and_sensor_is_here():
    assert set(OPERATORS) == set(GOOD)
    assert all(issubclass(operator, TaskArguments) for operator in OPERATORS)


def judged(operator, field, value, sent):
    """Run a task with one argument spoiled, and say what became of the value."""
    try:
        run(operator, **{field: value})
    except sent:
        return "taken"
    except BdaRequestError as refused:
        named = field in "".join(refused.problems or [str(refused)])
        return "refused" if named and isinstance(refused, AirflowFailException) else repr(refused)
    except Exception as error:  # noqa: BLE001  whatever it is, it is the test's result
        return repr(error)
    return "nothing was raised"


@pytest.mark.parametrize(("operator", "field"), FIELDS)
def test_a_spoiled_value_is_refused_by_the_arguments_name(operator, field, nothing_is_sent):
    """One test for all the values of a field: a test for each would take longer to set up than to run."""
    assert {name: judged(operator, field, value, nothing_is_sent) for name, value in SPOILED.items()} == {
        name: "taken" if (field, name) in TAKEN else "refused" for name in SPOILED
    }


@pytest.mark.parametrize(
    ("operator", "argument", "value"),
    [
        (BdaInvokeOperator, "max_wait", "{{ params.x }}"),
        (BdaInvokeOperator, "max_wait", "an hour"),
        (BdaInvokeOperator, "max_wait", None),
        (BdaInvokeOperator, "max_wait", True),
        (BdaInvokeOperator, "max_wait", float("nan")),
        (BdaInvokeOperator, "max_wait", timedelta(days=-1)),
        (BdaInvokeOperator, "max_wait", timedelta.max),
        (BdaInvokeOperator, "poll_interval", "{{ params.x }}"),
        (BdaInvokeOperator, "poll_interval", 0),
        (BdaInvokeOperator, "poll_interval", [1]),
        (BdaInvokeOperator, "botocore_config", "read_timeout=3"),
        (BdaInvokeOperator, "botocore_config", [("read_timeout", 3)]),
        (BdaInvokeOperator, "wait_for_completion", "{{ params.x }}"),
        (BdaInvokeOperator, "deferrable", "False"),
        (BdaInvokeOperator, "reattach", 0),
        (BdaInvokeOperator, "reattach", None),
        (BdaInvokeOperator, "event_bridge_enabled", "True"),
        (BdaLambdaInvokeOperator, "reattach", "False"),
        (BdaPreflightOperator, "write_probe", "yes"),
        (BdaInvokeOperator, "max_wait", 0),
        (BdaInvokeOperator, "max_wait", timedelta(0)),
        *((BdaBatchOperator, "max_wait", value) for value in ("{{ params.x }}", "an hour", None, True, 0, [1])),
        *((BdaBatchOperator, "max_in_flight", value) for value in ("100", None, True, 0, -1, 1.5, [1], float("nan"))),
        *((BdaBatchOperator, "max_failures", value) for value in ("0.1", None, True, -1, -0.1, 1.0, 1.5, float("nan"))),
        *((BdaBatchOperator, name, value) for name in ("only_changed", "force") for value in ("False", 0, None, [])),
        *((BdaBatchOperator, "batch_id", value) for value in ("a/b", "-a", "a" * 129, "a\n")),
        *((BdaBatchOperator, "shard", value) for value in ("8/8", "1/0", "-1/8", "1", "1/8\n", (0, 8))),
        (BdaBatchOperator, "pattern", "[1, 2]"),
        (BdaBatchOperator, "deferrable", "True"),
        (BdaBatchOperator, "botocore_config", "x"),
        (BdaBatchOperator, "event_bridge_enabled", "True"),
        *((BdaResultsOperator, "format", value) for value in ("csv", "JSONL", None, True, ["jsonl"], "None")),
        *((BdaResultsOperator, "on_no_match", value) for value in ("error", None, False, {}, "{{ params.x }}")),
        *((BdaResultsOperator, "min_confidence", value) for value in ("0.5", True, -0.1, 1.1, 50, [0.5], float("nan"))),
        *(
            (BdaResultsOperator, "metadata_uris", value)
            for value in (
                None,
                [[]],
                "s3://bda-test",
                {"results_uri": 1},
                {"output_metadata_uri": None},
                ["s3://bda-test/a/job_metadata.json", "None"],
                [{"output_metadata_uri": "s3://bda-test/a/job_metadata.json", "invocation_arn": 1.5}],
            )
        ),
        (BdaResultsOperator, "botocore_config", "x"),
        (BdaStatusSensor, "timeout", 0),
        (BdaStatusSensor, "poll_interval", "{{ params.x }}"),
        (BdaStatusSensor, "timeout", None),
        (BdaStatusSensor, "timeout", float("inf")),
        (BdaStatusSensor, "deferrable", "True"),
        (BdaStatusSensor, "botocore_config", "x"),
    ],
)
def test_other_arguments_of_the_wrong_kind_are_refused_by_name(operator, argument, value):
    with pytest.raises(BdaRequestError, match=argument):
        run(operator, **{argument: value})


@pytest.mark.parametrize(
    ("argument", "value", "kept"),
    [
        ("max_wait", 3600, timedelta(hours=1)),
        ("max_wait", 0.5, timedelta(seconds=0.5)),
        ("poll_interval", timedelta(seconds=7), 7.0),
        ("verify", "False", False),
        ("verify", Path("/etc/ssl/ca.pem"), "/etc/ssl/ca.pem"),
        ("botocore_config", Config(read_timeout=20), {"read_timeout": 20}),
        ("aws_conn_id", None, None),
        ("input_s3_uri", ObjectStoragePath("s3://conn@bda-test/in/a b.pdf"), "s3://bda-test/in/a b.pdf"),
        ("output_s3_uri", ObjectStoragePath("s3://bda-test/out"), "s3://bda-test/out"),
        (
            "video_segment",
            {"startTimeMillis": "0", "endTimeMillis": "300000"},
            {"startTimeMillis": 0, "endTimeMillis": 300_000},
        ),
    ],
)
def test_what_has_one_meaning_only_is_taken(argument, value, kept, nothing_is_sent):
    task = BdaInvokeOperator(task_id="t", **PLACES)
    setattr(task, argument, value)

    with pytest.raises(nothing_is_sent):
        execute(task)

    assert getattr(task, argument) == kept


@pytest.mark.parametrize(
    ("operator", "arguments", "kept"),
    [
        (BdaBatchOperator, LISTED | {"input_s3_uris": Mapped(LISTED["input_s3_uris"])}, LISTED),
        (BdaBatchOperator, LISTED | {"input_s3_uris": [ObjectStoragePath("s3://bda-test/a.pdf")]}, LISTED),
        (BdaBatchOperator, LISTED | {"input_s3_uris": []}, {"input_s3_uris": []}),
        (BdaBatchOperator, {"input_s3_prefix": ObjectStoragePath("s3://bda-test/in")}, DOCUMENTS),
        (BdaBatchOperator, {"blueprints": Mapped([BLUEPRINT]), "tags": Mapped([{"key": "a", "value": "b"}])}, {}),
        (BdaBatchOperator, {"video_segment": (timedelta(0), timedelta(minutes=6))}, {}),
        (BdaBatchOperator, {"pattern": "[ab]*.pdf"}, {"pattern": "[ab]*.pdf"}),
        (BdaBatchOperator, {"batch_id": 2026, "shard": "7/8"}, {"batch_id": "2026", "shard": "7/8"}),
        (BdaBatchOperator, {"max_failures": 0.5, "max_in_flight": 1}, {"max_failures": 0.5, "max_in_flight": 1}),
        (BdaBatchOperator, {"max_wait": 60}, {"max_wait": timedelta(minutes=1)}),
        (BdaResultsOperator, {"metadata_uris": Mapped([None, RESULTS["metadata_uris"]])}, {}),
        (BdaResultsOperator, {"metadata_uris": ObjectStoragePath(RESULTS["metadata_uris"])}, {}),
        (BdaResultsOperator, {"metadata_uris": {"output_metadata_uri": RESULTS["metadata_uris"]}}, {}),
        (BdaResultsOperator, {"metadata_uris": {"results_uri": "s3://bda-test/out/results.jsonl"}}, {}),
        (BdaResultsOperator, {"metadata_uris": ["s3://bda-test/out/manifest.json"]}, {}),
        (BdaResultsOperator, {"metadata_uris": []}, {}),
        (BdaResultsOperator, {"partition": 20260101}, {"partition": "20260101"}),
        (BdaResultsOperator, {"min_confidence": 1, "format": "parquet"}, {"min_confidence": 1}),
    ],
)
def test_what_batches_and_tables_take(operator, arguments, kept, nothing_is_sent):
    task = operator(task_id="t", **GOOD[operator])
    for name, value in arguments.items():
        setattr(task, name, value)

    with pytest.raises(nothing_is_sent):
        execute(task)

    assert {name: getattr(task, name) for name in kept} == kept


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"input_s3_prefix": None}, "exactly one"),
        ({"input_s3_uris": ["s3://bda-test/a.pdf"]}, "exactly one"),
        (LISTED | {"pattern": "*.pdf"}, "pattern: it is for input_s3_prefix"),
    ],
)
def test_arguments_of_a_batch_that_exclude_each_other_are_refused(arguments, named):
    with pytest.raises(BdaRequestError, match=named):
        run(BdaBatchOperator, **arguments)


def test_a_qualifier_that_became_a_number_is_its_digits():
    task = BdaLambdaInvokeOperator(task_id="t", function_name="bda", qualifier=1, **PLACES)
    task.check_arguments()
    assert task.qualifier == "1"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"payload": "{}"}, "payload"),
        ({"payload": b""}, "payload"),
        ({"invocation_type": "Event"}, "invocation_type"),
        ({"invocation_type": "DryRun", "payload": "{}"}, "2 problems"),
    ],
)
def test_what_means_nothing_to_the_lambda_operator_is_refused(arguments, named):
    with pytest.raises(BdaRequestError, match=named):
        execute(BdaLambdaInvokeOperator(task_id="t", function_name="bda", **PLACES, **arguments))


def test_the_one_way_in_which_the_function_is_invoked_may_be_named(nothing_is_sent):
    with pytest.raises(nothing_is_sent):
        run(BdaLambdaInvokeOperator, invocation_type="RequestResponse")


def test_none_as_a_client_token_says_that_it_is_none():
    """It is a valid token to the service, and every run would get the job of the first one."""
    with pytest.raises(BdaRequestError, match=r"client_token is 'None'.*rendered None"):
        run(BdaInvokeOperator, client_token="None")


@pytest.mark.parametrize("context", [{"k": "None"}, {"k": "{{ x }}"}, "None", {"k": None}, {"k": 1.5}])
def test_an_encryption_context_is_not_shown_when_it_is_spoiled(context):
    with pytest.raises(BdaRequestError, match="kms_encryption_context") as refused:
        run(BdaInvokeOperator, kms_key_id="alias/k", kms_encryption_context=context)
    assert "(not shown)" in str(refused.value)


@pytest.mark.parametrize(
    "blueprints", [BLUEPRINT, str([BLUEPRINT]), [BLUEPRINT, "None"], [1], {"blueprintArn": BLUEPRINT}]
)
def test_preflight_takes_no_text_for_a_list_of_letters(blueprints):
    with pytest.raises(BdaRequestError) as refused:
        run(BdaPreflightOperator, blueprints=blueprints)
    (problem,) = refused.value.problems
    assert problem.startswith("blueprints")


def test_preflight_takes_blueprints_as_the_operator_does(monkeypatch):
    looked_at = []
    monkeypatch.setattr(
        "airflow_bda.hooks.bda.BdaHook.preflight",
        lambda _, subject: (
            looked_at.append(subject.blueprint_arns) or SimpleNamespace(checks=(), faults=(), to_json=list)
        ),
    )
    run(BdaPreflightOperator, blueprints=Mapped([BLUEPRINT, {"blueprintArn": BLUEPRINT, "version": 1}]))
    assert looked_at == [(BLUEPRINT, BLUEPRINT)]


def test_the_output_of_a_mapped_task_is_a_list_of_blueprints():
    request = build_request(**PLACES, blueprints=Mapped([BLUEPRINT]))
    assert request.blueprint_arns == (BLUEPRINT,)


def test_a_reference_to_another_task_is_refused_where_airflow_does_not_resolve_it():
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
        first = BdaInvokeOperator(task_id="a", **PLACES)
        second = BdaInvokeOperator(task_id="b", **PLACES, max_wait=first.output)
    with pytest.raises(BdaRequestError, match=r"max_wait is .*output of another task"):
        execute(second)


def rendered(params, *, native, **arguments):
    """Render a task's templates as Airflow does, and build its request."""
    with DAG(
        "d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), render_template_as_native_obj=native
    ) as dag:
        task = BdaInvokeOperator(task_id="t", **PLACES | arguments)
    task.render_template_fields({"params": params}, dag.get_template_env())
    task.check_arguments()
    return build_request(**task.request_arguments())


SPELLINGS = ["2026", "1", "1.0", "1.10", "007", "1e5", "True", "False", "0x1F", "1_000", "-5", "2026-01-05"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("template", ["{}", "{{{{ params.x }}}}"], ids=["written", "rendered"])
def test_native_rendering_spoils_no_text(template, spelling):
    """Airflow renders texts without any template as well, and makes literals of those that read as one."""
    request = rendered({"x": spelling}, native=True, tags={"release": template.format(spelling)})
    assert request.argument("tags") == [{"key": "release", "value": spelling}]


def test_native_rendering_keeps_what_is_no_text():
    params = {"none": None, "start": 0, "end": 300_000, "blueprints": [BLUEPRINT]}
    request = rendered(
        params,
        native=True,
        project_arn="{{ params.none }}",
        client_token="{{ params.none }}",
        blueprints="{{ params.blueprints }}",
        video_segment={"startTimeMillis": "{{ params.start }}", "endTimeMillis": "{{ params.end }}"},
    )
    assert (request.project_arn, request.client_token, request.blueprint_arns) == (None, None, (BLUEPRINT,))
    assert request.argument("video_segment") == {"startTimeMillis": 0, "endTimeMillis": 300_000}


def test_a_blueprints_version_may_be_a_number():
    versions = ({"blueprintArn": BLUEPRINT, "version": version} for version in ("{{ params.v }}", 3, "3"))
    assert {rendered({"v": 3}, native=True, blueprints=[version]).canonical for version in versions} == {
        build_request(**PLACES, blueprints=[{"blueprintArn": BLUEPRINT, "version": "3"}]).canonical
    }


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text("aN{%[1.\\'\"", max_size=6)


@pytest.mark.parametrize("native", [False, True])
@given(x=values | st.lists(st.integers(), max_size=2))
def test_whatever_a_template_renders_is_taken_or_explained(native, x):
    arguments = {
        "project_arn": "{{ params.x }}",
        "tags": {"a": "{{ params.x }}", "b": "x{{ params.x }}"},
        "kms_key_id": "{{ params.x }}",
        "client_token": "{{ params.x }}",
        "verify": "{{ params.x }}",
        "video_segment": {"startTimeMillis": "{{ params.x }}", "endTimeMillis": 400_000},
    }
    refusal = None
    try:
        request = rendered({"x": x}, native=native, **arguments)
    except BdaRequestError as error:
        refusal = error
    assert refusal.problems if refusal else request.client_token != "None"
