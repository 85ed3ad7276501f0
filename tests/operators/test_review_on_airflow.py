"""The examples with a person in them, on a whole Airflow: the form is answered over the REST API."""

from __future__ import annotations

import io
import shutil
import time
from importlib import resources
from pathlib import Path

import pytest
import requests
from airflow_processes.eventually import eventually
from airflow_processes.fixtures import Service, bda_server  # noqa: F401  a fixture
from airflow_processes.running import RunningAirflow

from airflow_bda.emulator import EMULATOR
from airflow_bda.emulator.testing import EmulatorForTests
from airflow_bda.operators import BdaReviewOperator
from airflow_bda.tables import read_table

DAGS = Path(__file__).parents[2] / "dags"
EXAMPLES = ("bda_human_review", "bda_inbox")
UNSURE = {"VendorName", "VendorAddress", "CustomerName", "CustomerAddress"}
pytestmark = [
    pytest.mark.running_airflow,
    pytest.mark.skipif(not BdaReviewOperator.is_available, reason="Airflow asks people from 3.1 on"),
]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, migrated_database, bda_server):  # noqa: F811  the fixture
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    for dag_id in EXAMPLES:
        shutil.copy(DAGS / f"{dag_id}.py", home / "dags")
    running = RunningAirflow(
        home / "running",
        database=migrated_database,
        environment={
            **Service(bda_server).environment,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        },
        dags=home / "dags",
        dag_ids=EXAMPLES,
        apps="core,execution",
    )
    try:
        running.start()
        yield running
    finally:
        running.end()


@pytest.fixture
def emulator(bda_server):  # noqa: F811  the fixture
    """Have an emulator that reads documents, with a sample in its bucket."""
    bda_server.reset()
    EMULATOR.configure()
    emulator = EmulatorForTests(bda_server)
    sample = resources.files("airflow_bda.emulator") / "samples" / "invoice.pdf"
    emulator.upload(sample.read_bytes(), "invoice.pdf", bucket="bda-input")
    emulator.make_bucket("bda-output")
    yield emulator
    bda_server.reset()
    EMULATOR.configure()


class Reviewer:
    """A person who answers over the REST API."""

    def __init__(self, airflow):
        self._url = airflow.url
        token = requests.get(f"{self._url}/auth/token", timeout=60).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def form(self, run):
        """Wait for the form of a run, and give it."""
        answer = eventually(
            lambda: found if (found := self._ask("GET", run)).ok else None,
            what="the form is there",
            describe=lambda: f"{run.instances()}\n{run.airflow.tell_of_logs()}",
        )
        eventually(lambda: {"awaiting_input", "deferred"} & set(run.states()), what="the task waits")
        # More than a heartbeat: Airflow ends a try that goes on while its first process is still there, and no person
        # is that quick.
        time.sleep(2)
        return answer.json()

    def answer(self, run, values):
        answered = self._ask("PATCH", run, json={"chosen_options": ["Save"], "params_input": values})
        assert answered.ok, answered.text

    def _ask(self, method, run, **options):
        place = f"dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/review/-1/hitlDetails"
        return requests.request(method, f"{self._url}/api/v2/{place}", headers=self._headers, timeout=60, **options)


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_a_form_is_answered_over_the_rest_api_and_the_table_has_who_and_when(airflow, emulator, dag_id):
    run = airflow.trigger(dag_id)
    reviewer = Reviewer(airflow)
    form = reviewer.form(run)
    fields = {field["schema"]["title"]: key for key, field in form["params"].items()}
    assert set(fields) == UNSURE
    assert form["params"][fields["VendorName"]]["description"].startswith("Confidence 0.83, page 1. Read: Tern River")

    values = {key: field["value"] for key, field in form["params"].items()}
    reviewer.answer(run, {**values, fields["VendorName"]: "Tern River Instruments, Inc."})

    assert set(run.end()) == {"success"}
    (review,) = [each for each in run.xcoms() if isinstance(each, dict) and "reviewed" in each]
    assert (review["unsure"], review["reviewed"], review["corrected"], review["open"]) == (4, 4, 1, 0)
    uri = review["fields_uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    rows = {row["path"]: row for row in read_table(uri.rpartition(".")[2], io.BytesIO(body))}
    assert rows["VendorName"]["value"] == "Tern River Instruments, Inc."
    assert rows["VendorName"]["value_read"] == "Tern River Instruments"
    reviewed = {path for path, row in rows.items() if row["reviewed_by"] and row["reviewed_at"]}
    assert reviewed == UNSURE


def test_the_whole_inbox_is_at_most_25_lines():
    """Without its imports and what it says of itself."""
    source = (DAGS / "bda_inbox.py").read_text()
    _, _, code = source.partition("def tell(")
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
