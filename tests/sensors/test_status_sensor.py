"""BdaStatusSensor: what it checks, looks at and hands to the triggerer."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from airflow_bda._compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_bda.exceptions import BdaClientError, BdaError, BdaRequestError, BdaServiceError, BdaTimeoutError
from airflow_bda.hooks import BdaHook, telemetry
from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.sensors import BdaStatusSensor

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

ARN = "arn:aws:bedrock:eu-west-1:123456789012:data-automation-invocation/4e360000-1111-2222-3333-444455556666"
PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"


def context(xcoms=None):
    """Return a task's context that can be asked for the date of its first poke, and for XComs."""
    xcoms = {} if xcoms is None else xcoms
    ti = SimpleNamespace(
        try_number=1,
        map_index=-1,
        get_first_reschedule_date=lambda context: None,
        xcom_push=lambda key, value: xcoms.update({("wait", key): value}),
        xcom_pull=lambda task_ids, key, map_indexes: xcoms.get((task_ids, key)),
    )
    return {"ti": ti}


def sensor(invocation_arn=ARN, **arguments):
    defaults = {"poke_interval": 0.1, "timeout": 20, "deferrable": False}
    return BdaStatusSensor(task_id="wait", invocation_arn=invocation_arn, **(defaults | arguments))


@pytest.fixture
def start(bda_emulator, sample_pdf):
    def start():
        hook = BdaHook()
        document = bda_emulator.upload(sample_pdf, "a.pdf")
        return hook.invoke(
            hook.build_request(input_s3_uri=document, output_s3_uri="s3://bda-test/out", project_arn=PROJECT)
        )

    return start


@pytest.fixture
def stuck(bda_emulator, start):
    """Return the ARN of a job that never ends."""
    bda_emulator.faults.add("stuck_job")
    return start()


def test_arn_and_connection_are_templated():
    assert set(BdaStatusSensor.template_fields) == {"invocation_arn", "aws_conn_id", "region_name", "verify"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "pushed no XCom"),
        ("None", "pushed no XCom"),
        ("{{ ti.xcom_pull('invoke') }}", "unrendered template"),
        ("4e360000-1111-2222-3333-444455556666", "bare job id"),
        (ARN.replace("-invocation", "-project"), "as BdaInvokeOperator returns it"),
    ],
)
@pytest.mark.parametrize("deferrable", [True, False])
def test_what_is_no_invocation_fails_at_once(value, said, deferrable):
    with pytest.raises(BdaRequestError, match=said) as refused:
        sensor(value, deferrable=deferrable).execute(context())

    assert isinstance(refused.value, AirflowFailException)


def test_defers_to_execute_complete_with_an_absolute_deadline(stuck):
    waiting = sensor(
        stuck,
        deferrable=True,
        timeout=3600,
        poll_interval=timedelta(seconds=9),
        execution_timeout=timedelta(hours=2),
        region_name="eu-west-2",
        verify="/bundle.pem",
        botocore_config={"read_timeout": 5},
        aws_conn_id="other",
    )
    before = datetime.now(timezone.utc)

    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context())

    arguments = deferred.value.trigger.serialize()[1]
    deadline = datetime.fromisoformat(arguments.pop("deadline"))
    assert timedelta(0) <= deadline - before - timedelta(hours=1) < timedelta(minutes=1)
    assert arguments == {
        "invocation_arn": stuck,
        "poll_interval": 9.0,
        "aws_conn_id": "other",
        "region_name": "eu-west-2",
        "verify": "/bundle.pem",
        "botocore_config": {"read_timeout": 5},
    }
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout == timedelta(hours=2)


@pytest.mark.parametrize(
    ("execution_timeout", "expected"),
    [(timedelta(minutes=2), timedelta(seconds=108)), (timedelta(hours=2), timedelta(hours=1))],
)
def test_a_trigger_ends_a_little_before_airflow_would(stuck, execution_timeout, expected):
    """Airflow's own time-out of a deferred task names no job."""
    waiting = sensor(stuck, deferrable=True, timeout=3600, execution_timeout=execution_timeout)
    before = datetime.now(timezone.utc)

    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context())

    deadline = datetime.fromisoformat(deferred.value.trigger.deadline)
    assert timedelta(0) <= deadline - before - expected < timedelta(seconds=15)


def test_a_time_out_that_airflow_noticed_names_the_job(bda_emulator):
    """No triggerer was there to notice it."""
    waiting = sensor(deferrable=True, execution_timeout=timedelta(hours=2))

    with pytest.raises(AirflowSensorTimeout, match="execution_timeout=2:00:00") as late:
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context())

    assert isinstance(late.value, BdaTimeoutError)
    assert late.value.invocation_arn == ARN


def test_a_time_out_that_airflow_noticed_is_skipped_where_asked_to(bda_emulator):
    waiting = sensor(deferrable=True, execution_timeout=timedelta(hours=2), soft_fail=True)

    with pytest.raises(AirflowSkipException, match=ARN):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context())


@pytest.mark.parametrize("option", [{}, {"soft_fail": True}])
def test_a_trigger_that_failed_is_no_time_out(bda_emulator, option):
    with pytest.raises(Exception, match=r"(?i)trigger failure|soft_fail") as failed:
        sensor(deferrable=True, **option).resume_execution("__fail__", {"error": "Trigger failure"}, context())

    assert not isinstance(failed.value, BdaTimeoutError)


@pytest.mark.parametrize(
    ("deferrable", "wrong", "named"),
    [
        (True, {"botocore_config": {"proxies": {"https": "http://user:hunter2@proxy"}}}, "botocore_config"),
        (True, {"botocore_config": {"proxies": ["user:hunter2@proxy:3128"]}}, "botocore_config"),
        (True, {"poll_interval": float("nan")}, "poll_interval"),
        (False, {"poll_interval": "soon"}, "poll_interval"),
    ],
)
def test_what_no_wait_can_work_with_is_refused_before_the_first_look(bda_emulator, deferrable, wrong, named):
    with pytest.raises(BdaRequestError, match=named) as refused:
        sensor(deferrable=deferrable, **wrong).execute(context())

    assert "hunter2" not in str(refused.value)
    assert bda_emulator.calls.get("GetDataAutomationStatus", 0) == 0


@pytest.mark.parametrize("timeout", [0, float("nan"), float("inf"), "60", timedelta.max])
def test_a_timeout_without_sense_is_named(timeout):
    with pytest.raises(BdaRequestError, match="timeout"):
        sensor(timeout=timeout)


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("option", ["MAX_STATUS_REQUESTS_PER_SECOND", "MIN_POLL_INTERVAL"])
def test_an_option_without_sense_is_named_in_every_mode(monkeypatch, bda_emulator, option, deferrable):
    monkeypatch.setenv(f"AIRFLOW__BDA__{option}", "0")

    with pytest.raises(BdaRequestError, match=option.lower()):
        sensor(deferrable=deferrable).execute(context())


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_connection_that_never_worked_is_named_when_the_time_is_over(monkeypatch, bda_emulator, deferrable):
    settings = json.loads(bda_emulator.airflow_connection)
    settings["extra"]["endpoint_url"] = "http://127.0.0.1:9"
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", json.dumps(settings))

    with pytest.raises(BdaTimeoutError, match="Could not connect"):
        sensor(aws_conn_id="nowhere", timeout=2, deferrable=deferrable).execute(context())


def test_a_connection_edited_after_its_credentials_expired_is_used(monkeypatch, bda_emulator, stuck):
    """The first key is no good any more; the second one is in the connection by the next look."""
    keys = []
    ask = BdaHook.ask_status
    monkeypatch.setattr(
        BdaHook, "ask_status", lambda self, arn: (keys.append(self.get_credentials().access_key), ask(self, arn))[1]
    )
    waiting = sensor(stuck)
    assert waiting.poke(context()) is False
    bda_emulator.faults.add("expired_credentials", operation="GetDataAutomationStatus", times=1)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", bda_emulator.airflow_connection.replace('"testing"', '"edited"'))

    assert [waiting.poke(context()) for _ in range(2)] == [False, False]
    assert keys == ["testing", "testing", "edited"]


def test_a_kill_names_the_job(caplog, monkeypatch):
    monkeypatch.setattr(BdaStatusSensor, "log", logging.getLogger("sensor"))

    with caplog.at_level(logging.WARNING):
        sensor().on_kill()

    assert [ARN in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize(("fault", "raised"), [({}, None), ({"status": "ServiceError"}, BdaServiceError)])
def test_a_job_that_has_ended_is_not_deferred_for(bda_emulator, start, fault, raised):
    """A trigger that fires at once may be ahead of the executor, which Airflow 3.3 takes for a failure."""
    if fault:
        bda_emulator.faults.add("failed_job", **fault)
    arn = start()
    with suppress(BdaServiceError):
        BdaHook().wait(arn)
    waiting = sensor(arn, deferrable=True)

    if raised:
        with pytest.raises(raised):
            waiting.execute(context())
    else:
        assert waiting.execute(context()).endswith("/job_metadata.json")


def test_what_passes_is_waited_out_in_the_triggerer(bda_emulator, start):
    arn = start()
    bda_emulator.faults.add("throttling", operation="GetDataAutomationStatus")

    with pytest.raises(TaskDeferred):
        sensor(arn, deferrable=True, botocore_config={"retries": {"total_max_attempts": 1}}).execute(context())


@pytest.fixture
def waiting_after_invoke(stuck):
    """Return a sensor that follows an operator, and what the operator pushed."""
    with DAG("links", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)):
        invoke = BdaInvokeOperator(task_id="invoke", input_s3_uri="s3://a/b", output_s3_uri="s3://a/c")
        waiting = sensor(stuck, deferrable=True)
        invoke >> waiting
    return waiting, {
        ("invoke", "return_value"): stuck,
        ("invoke", "_link_BdaInputLink"): "https://input",
        ("invoke", "_link_BdaOutputLink"): "https://output",
    }


def test_links_are_there_while_it_is_deferred(waiting_after_invoke):
    waiting, xcoms = waiting_after_invoke

    with pytest.raises(TaskDeferred):
        waiting.execute(context(xcoms))

    assert xcoms["wait", "_link_BdaInputLink"] == "https://input"
    assert xcoms["wait", "_link_BdaOutputLink"] == "https://output"


def test_no_links_are_taken_from_a_task_with_another_job(waiting_after_invoke):
    waiting, xcoms = waiting_after_invoke
    xcoms["invoke", "return_value"] = ARN.replace("4e36", "0000")

    with pytest.raises(TaskDeferred):
        waiting.execute(context(xcoms))

    assert {value for (task, _), value in xcoms.items() if task == "wait"} == {""}


def test_links_that_cannot_be_read_do_not_stop_the_wait(waiting_after_invoke):
    waiting, _ = waiting_after_invoke
    without_xcoms = {"ti": SimpleNamespace(try_number=1, map_index=-1)}

    with pytest.raises(TaskDeferred):
        waiting.execute(without_xcoms)


def test_asks_in_the_region_of_the_arn():
    assert sensor().hook._region_name == "eu-west-1"
    assert sensor(region_name="eu-west-2").hook._region_name == "eu-west-2"


def test_returns_the_metadata_uri(bda_emulator, start):
    arn = start()

    assert sensor(arn).execute(context()) == f"s3://bda-test/out/{arn.rpartition('/')[2]}/job_metadata.json"


def test_trouble_on_the_way_is_waited_out(bda_emulator, start):
    arn = start()
    for kind in ("throttling", "server_error", "expired_credentials", "not_json", "unknown_members"):
        bda_emulator.faults.add(kind, operation="GetDataAutomationStatus", times=2)
    bda_emulator.faults.add("unknown_status", operation="GetDataAutomationStatus", times=1, status="Resting")

    assert sensor(arn, botocore_config={"retries": {"total_max_attempts": 1}}).execute(context())


def test_new_job_that_is_not_found_yet_is_waited_for(bda_emulator, start):
    bda_emulator.faults.add("late_visibility", polls=3)

    assert sensor(start()).execute(context())


@pytest.mark.parametrize("silent_fail", [True, False])
def test_job_that_failed_is_never_waited_for(bda_emulator, start, silent_fail):
    bda_emulator.faults.add("failed_job", status="ClientError")

    with pytest.raises(BdaClientError) as failed:
        sensor(start(), silent_fail=silent_fail).execute(context())

    assert isinstance(failed.value, AirflowFailException)


def test_timeout_names_the_job_and_that_it_goes_on(bda_emulator, start):
    bda_emulator.faults.add("stuck_job")
    arn = start()

    with pytest.raises(AirflowSensorTimeout) as late:
        sensor(arn, timeout=1).execute(context())

    assert isinstance(late.value, BdaTimeoutError)
    assert (late.value.invocation_arn, late.value.status) == (arn, "Created")
    assert "The job keeps running" in str(late.value)


@pytest.mark.parametrize(
    ("fault", "option", "raised"),
    [
        ({"kind": "failed_job", "status": "ClientError"}, "soft_fail", AirflowSkipException),
        ({"kind": "failed_job", "status": "ServiceError"}, "soft_fail", BdaServiceError),
        ({"kind": "failed_job", "status": "ServiceError"}, "never_fail", AirflowSkipException),
        ({"kind": "stuck_job"}, "soft_fail", AirflowSkipException),
        ({"kind": "stuck_job"}, "never_fail", AirflowSkipException),
    ],
)
def test_skipping_is_the_same_with_and_without_the_triggerer(bda_emulator, start, fault, option, raised):
    bda_emulator.faults.add(**fault)
    arn = start()
    timeout = 1.5 if fault == {"kind": "stuck_job"} else 60

    with pytest.raises(raised):
        sensor(arn, timeout=timeout, **{option: True}).execute(context())
    with pytest.raises(raised):
        wait_deferred(sensor(arn if timeout < 60 else start(), timeout=timeout, deferrable=True, **{option: True}))


def test_a_try_that_is_resumed_with_the_event_of_another_waits_anew(stuck):
    """Airflow 3.0 does that to each retry of a task that was deferred."""
    waiting = sensor(stuck, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context())
    retry = {"ti": SimpleNamespace(try_number=2)}

    with pytest.raises(TaskDeferred):
        waiting.execute_complete(retry, {"status": "error"}, **deferred.value.kwargs)


def wait_deferred(waiting):
    """Do what Airflow does with a deferrable sensor."""
    try:
        return waiting.execute(context())
    except TaskDeferred as deferred:
        return waiting.execute_complete(context(), event_of(deferred.trigger))


def event_of(trigger):
    async def first():
        return (await anext(trigger.run())).payload

    return asyncio.run(first())


def denied(self, invocation_arn):
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "No."}}, "GetDataAutomationStatus")


@pytest.mark.parametrize("arguments", [{"deferrable": False}, {"deferrable": True}, {"never_fail": True}])
@pytest.mark.parametrize("end", ["request", "permission", "client", "service", "timeout", "success"])
def test_every_end_is_counted_once_by_its_kind(bda_emulator, start, monkeypatch, end, arguments):
    """Also an end that comes before there is a job's outcome, and one that skips the task."""
    sent = []
    monkeypatch.setattr(telemetry, "_send", lambda what, metric, *values, **options: sent.append(metric))
    faults = {"client": ("failed_job", "ClientError"), "service": ("failed_job", "ServiceError")}
    if end in faults:
        kind, status = faults[end]
        bda_emulator.faults.add(kind, status=status)
    elif end == "timeout":
        bda_emulator.faults.add("stuck_job")
    elif end == "permission":
        monkeypatch.setattr(BdaHook, "ask_status", denied)
    waiting = sensor("no ARN" if end == "request" else start(), timeout=1.5 if end == "timeout" else 60, **arguments)
    raised = nullcontext() if end == "success" else pytest.raises((BdaError, AirflowSkipException))

    with raised:
        wait_deferred(waiting)

    expected = "bda.succeeded" if end == "success" else f"bda.failed.{end}"
    assert [metric for metric in sent if metric.startswith(("bda.failed", "bda.succeeded"))] == [expected]
