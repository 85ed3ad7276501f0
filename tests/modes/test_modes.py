"""Modes differ only in where the waiting happens: one table of outcomes, and one run of Airflow over all of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import modes_table
import pytest
from airflow_processes.running import decoded
from airflow_processes.settings import XCOMS
from modes_table import MAY_NOT_ASK, NOWHERE, OUTCOMES, SKIPPING

from airflow_bda._compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_bda.exceptions import BdaClientError, BdaRequestError, BdaTimeoutError

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

pytestmark = pytest.mark.takes_long

SENSORS = ("poke", "reschedule", "deferrable_sensor")
OPERATORS = ("blocking", "deferrable")
FAIL_AT_ONCE = (BdaClientError, BdaRequestError)


@pytest.fixture(autouse=True)
def _leave_out_what_airflow_cannot(request):
    """In 3.0 ``dag.test()`` hands a rescheduled sensor its start as text, and Airflow's own sensor fails on that."""
    if request.node.callspec.params["mode"] == "reschedule" and version("apache-airflow").startswith("3.0."):
        pytest.skip("Airflow 3.0's dag.test() cannot reschedule a sensor twice")


@pytest.fixture(scope="module")
def run(airflow_db, bda_emulator_server):
    """Run every task of the table, and give the state and the XComs of each."""
    with pytest.MonkeyPatch.context() as patch:
        yield _run(airflow_db, bda_emulator_server, patch)
    modes_table.forget()


def _run(airflow_db, server, patch):
    from airflow_processes.documents import PlainProcessor

    from airflow_bda.emulator import EMULATOR, EmulatorSettings
    from airflow_bda.emulator.testing import EmulatorForTests

    emulator = EmulatorForTests(server)
    emulator.reset()
    for name, value in emulator.environment.items():
        patch.setenv(name, value)
    key, secret = modes_table.user_who_may_not_ask(emulator.client("iam"))
    may_not_ask = json.loads(emulator.airflow_connection) | {"login": key, "password": secret}
    patch.setenv(f"AIRFLOW_CONN_{MAY_NOT_ASK.upper()}", json.dumps(may_not_ask))
    nowhere = json.loads(emulator.airflow_connection)
    nowhere["extra"]["endpoint_url"] = "http://127.0.0.1:9"
    patch.setenv(f"AIRFLOW_CONN_{NOWHERE.upper()}", json.dumps(nowhere))
    EMULATOR.configure(
        EmulatorSettings(created_seconds=0, in_progress_seconds=0.3, enforce_iam=True), processor=PlainProcessor()
    )
    emulator.upload(b"a document", "a document.pdf", bucket="modes")
    # As if the emulator were AWS: links lead into the console.
    patch.setattr("airflow_bda.hooks.connection.AsyncAwsHook.emulator_url", None)
    # The tasks change it, each to what its outcome needs.
    patch.setattr("airflow_bda.engine.judging.NOT_FOUND_GRACE_SECONDS", modes_table.LONG)
    patch.setattr("airflow_bda.engine.judging.NEVER_REACHED_SECONDS", 1.0)
    patch.setattr("airflow_bda.engine.poller._RETRY_FIRST_SECONDS", 0.2)
    patch.setattr("airflow_bda.engine.submitting._FIRST_PAUSE_SECONDS", 0.05)
    folder = airflow_db.parent / "dags" / "modes"
    shutil.copytree(Path(__file__).parent / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        bag = DagBag(str(folder))
        assert bag.import_errors == {}
        instances = [ti for dag in bag.dags.values() for ti in dag.test().get_task_instances()]
        return {ti.task_id: (str(ti.state), _xcoms(airflow_db, ti.task_id)) for ti in instances}
    finally:
        shutil.rmtree(folder)
        emulator.reset()


def _xcoms(database, task_id):
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(f"SELECT key, value FROM {XCOMS} WHERE task_id = ?", (task_id,))
        return {key: decoded(value) for key, value in rows}


def has_no_job(outcome, mode):
    """Whether the outcome came before there was a job to name."""
    return outcome.aws_conn_id == NOWHERE and mode in OPERATORS


def links(xcoms):
    """Return the links that are no empty texts: Airflow 3 stores those too."""
    return {key: value for key, value in xcoms.items() if key.startswith("_link_") and value}


def expected_links(outcome, mode, xcoms):
    """Return an operator's links to its job, however that ends; a sensor that follows none has results to show."""
    if has_no_job(outcome, mode):
        return {}
    console = "https://us-east-1.console.aws.amazon.com/s3"
    if mode in SENSORS:
        arn = modes_table.jobs[f"{outcome.name}-{mode}"] if outcome.error is None else None
    else:
        arn = (
            xcoms["return_value"]
            if outcome.error is None
            else modes_table.errors[f"{outcome.name}-{mode}"].invocation_arn
        )
    output = f"{console}/buckets/modes?region=us-east-1&prefix=results/{str(arn).rpartition('/')[2]}/"
    given = {"_link_BdaOutputLink": output} if arn else {}
    if mode in OPERATORS:
        given["_link_BdaInputLink"] = f"{console}/object/modes?region=us-east-1&prefix=a%20document.pdf"
    return given


@pytest.mark.parametrize("mode", [*SENSORS, *OPERATORS])
@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.name)
def test_an_outcome_is_the_same_in_every_mode(run, outcome, mode):
    task_id = f"{outcome.name}-{mode}"
    state, xcoms = run[task_id]

    assert state == ("success" if outcome.error is None else "failed")
    assert links(xcoms) == expected_links(outcome, mode, xcoms)
    if outcome.error is None:
        uri = xcoms["return_value" if mode in SENSORS else modes_table.METADATA_XCOM]
        assert uri.startswith("s3://modes/results/")
        assert uri.endswith("/job_metadata.json")
        return
    assert "return_value" not in xcoms
    error = modes_table.errors[task_id]
    assert isinstance(error, outcome.error), error
    assert isinstance(error, AirflowFailException) == issubclass(outcome.error, FAIL_AT_ONCE)
    assert isinstance(error, AirflowSensorTimeout) == (outcome.error is BdaTimeoutError and mode in SENSORS)
    if not has_no_job(outcome, mode):
        assert error.invocation_arn.startswith("arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/")
    assert {name: getattr(error, name) for name in outcome.facts} == outcome.facts


@pytest.mark.parametrize("mode", SENSORS)
@pytest.mark.parametrize(
    ("outcome", "option", "expected"), [(outcome, option, state) for (outcome, option), state in SKIPPING.items()]
)
def test_skipping_is_the_same_in_every_mode(run, outcome, option, expected, mode):
    task_id = f"{outcome.name}-{mode}-{option}"
    state, _ = run[task_id]

    assert state == expected
    error = modes_table.errors[task_id]
    cause = error if expected == "failed" else error.__cause__
    assert isinstance(error, AirflowSkipException) == (expected == "skipped")
    assert isinstance(cause, outcome.error)


@pytest.mark.parametrize("mode", ["deferrable_sensor", "deferrable"])
def test_a_task_is_to_be_resumed_with_the_try_that_deferred(run, mode):
    """By this a try that Airflow 3.0 resumes with the event of another one is recognized, and waits again."""
    deferred = {name: how for name, how in modes_table.deferrals.items() if name.split("-")[1] == mode}

    assert len(deferred) >= len(OUTCOMES) // 2, "some jobs may have ended before their task could defer"
    for name, how in deferred.items():
        assert how["method_name"] == "execute_complete"
        assert how["kwargs"] == {"deferred_in_try": modes_table.tries[name]}
