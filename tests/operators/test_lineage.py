"""What OpenLineage and assets are told: valid, the same places at start and end, after a deferral, without a call."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import jsonschema
import pytest
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde

from airflow_bda._compat import is_asset_alias, make_asset
from airflow_bda.exceptions import BdaClientError, BdaServiceError
from airflow_bda.operators import (
    BdaBatchOperator,
    BdaInvokeOperator,
    BdaInvokeSyncOperator,
    BdaLambdaInvokeOperator,
    BdaResultsOperator,
)
from airflow_bda.sensors import BdaStatusSensor
from airflow_bda.service.statuses import JobOutcome

try:
    from airflow.sdk import AssetAlias
except ImportError:
    from airflow.datasets import DatasetAlias as AssetAlias

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/11111111-2222-3333-4444-555555555555"
METADATA = "s3://bda-test/out/11111111-2222-3333-4444-555555555555/job_metadata.json"
REQUEST = {"input_s3_uri": "s3://bda-test/a b.pdf", "output_s3_uri": "s3://bda-test/out/"}
OUTPUT = ("s3://bda-test", "out")

URI = {"type": "string", "pattern": "^https?://"}
ANY_URI = {"type": "string", "pattern": r"^[a-z][a-z0-9+.-]*:\S+$"}
FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {"_producer": ANY_URI, "_schemaURL": URI},
    },
}
DATASETS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["namespace", "name"],
        "properties": {
            "namespace": {"type": "string", "pattern": "^s3://[^/]+$"},
            "name": {"type": "string", "minLength": 1},
            "facets": FACETS,
        },
    },
}
# OpenLineage's schema of the facet, beside what it asks of all.
EXTERNAL_QUERY = {
    "required": ["externalQueryId", "source"],
    "properties": {"externalQueryId": {"type": "string"}, "source": {"type": "string"}},
}
# What OpenLineage's own schema asks of an event of a run, and what its naming asks of datasets on S3.
EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {"facets": {"allOf": [FACETS, {"properties": {"externalQuery": EXTERNAL_QUERY}}]}},
        },
        "job": {"type": "object", "required": ["namespace", "name"], "properties": {"facets": FACETS}},
        "inputs": DATASETS,
        "outputs": DATASETS,
    },
}


def event_of(lineage) -> dict:
    """Make the event that OpenLineage would send, as JSON, and check it; its classes check ids, times and types."""
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=datetime.now(timezone.utc).isoformat(),
        run=Run(runId="01890000-0000-7000-8000-000000000000", facets=lineage.run_facets),
        job=Job(namespace="airflow", name="dag.task", facets=lineage.job_facets),
        producer="https://example.com/test",
        inputs=lineage.inputs,
        outputs=lineage.outputs,
    )
    sent = json.loads(Serde.to_json(event))
    jsonschema.validate(sent, EVENT)
    return sent


def places(datasets):
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


class Events:
    """Airflow's accessors: an event for whatever is asked for. Assets of Airflow 3.0 have no hash."""

    def __init__(self):
        self._events = []

    def __getitem__(self, asset):
        for known, event in self._events:
            if known is asset:
                return event
        added, partitions = [], []
        event = SimpleNamespace(
            extra={},
            added=added,
            partitions=partitions,
            add=lambda asset, extra: added.append((asset.uri, extra)),
            add_partitions=partitions.append,
        )
        self._events.append((asset, event))
        return event

    def items(self):
        return list(self._events)

    def values(self):
        return [event for _, event in self._events]


@pytest.fixture
def context():
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=0, xcom_push=lambda **_: None
    )
    return {"ti": ti, "outlet_events": Events()}


@pytest.fixture(autouse=True)
def _no_network(request, monkeypatch):
    """Facets are asked for after a task's end: a socket there would delay the end of the task."""
    if "bda_emulator" in request.fixturenames:
        return

    def refuse(*_, **__):
        raise AssertionError("a call was made")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)


STARTERS = [
    pytest.param(lambda: BdaInvokeOperator(task_id="t", **REQUEST), id="invoke"),
    pytest.param(lambda: BdaLambdaInvokeOperator(task_id="t", function_name="f", **REQUEST), id="lambda"),
    pytest.param(lambda: BdaInvokeSyncOperator(task_id="t", **REQUEST), id="sync"),
    pytest.param(
        lambda: BdaBatchOperator(
            task_id="t", input_s3_uris=[REQUEST["input_s3_uri"]], output_s3_uri="s3://bda-test/out"
        ),
        id="batch",
    ),
    pytest.param(
        lambda: BdaResultsOperator(
            task_id="t", metadata_uris=[REQUEST["input_s3_uri"], None], output_s3_uri="s3://bda-test/out/"
        ),
        id="results",
    ),
]


@pytest.mark.parametrize("make", STARTERS)
def test_start_end_and_failure_name_the_same_places(make):
    operator = make()

    events = [
        event_of(operator.get_openlineage_facets_on_start()),
        event_of(operator.get_openlineage_facets_on_complete(None)),
        event_of(operator.get_openlineage_facets_on_failure(None)),
    ]

    assert [places(event["inputs"]) for event in events] == [[("s3://bda-test", "a b.pdf")]] * 3
    assert [places(event["outputs"]) for event in events] == [[OUTPUT]] * 3


def test_right_after_a_deferral(context):
    """The task is resumed as another object, which has started nothing itself."""
    operator = BdaInvokeOperator(task_id="t", wait_for_completion=True, deferrable=True, **REQUEST)
    event = JobOutcome(ARN, output_metadata_uri=METADATA).to_event()

    operator.execute_complete(context, event, deferred_in_try=1)

    sent = event_of(operator.get_openlineage_facets_on_complete(None))
    assert sent["run"]["facets"]["externalQuery"]["externalQueryId"] == ARN
    assert sent["run"]["facets"]["bda_task"]["facts"]["output_metadata_uri"] == METADATA
    assert places(sent["outputs"]) == [OUTPUT]


def test_a_failure_after_a_deferral_names_its_job(context):
    operator = BdaInvokeOperator(task_id="t", wait_for_completion=True, deferrable=True, **REQUEST)
    event = JobOutcome(ARN, error=BdaServiceError("It failed.", invocation_arn=ARN)).to_event()

    with pytest.raises(BdaServiceError):
        operator.execute_complete(context, event, deferred_in_try=1)

    sent = event_of(operator.get_openlineage_facets_on_failure(None))
    assert sent["run"]["facets"]["externalQuery"]["externalQueryId"] == ARN


def test_the_sensor_names_its_job_and_no_place(context):
    sensor = BdaStatusSensor(task_id="t", invocation_arn=ARN, deferrable=True)
    started = event_of(sensor.get_openlineage_facets_on_start())
    sensor.execute_complete(context, JobOutcome(ARN, output_metadata_uri=METADATA).to_event(), deferred_in_try=1)
    ended = event_of(sensor.get_openlineage_facets_on_complete(None))

    for event in (started, ended):
        assert event["run"]["facets"]["externalQuery"]["externalQueryId"] == ARN
        assert event["inputs"] == event["outputs"] == []
    assert ended["run"]["facets"]["bda_task"]["facts"]["output_metadata_uri"] == METADATA


def test_what_is_no_uri_is_left_out():
    """A task that fails before its arguments are checked is asked too."""
    operator = BdaInvokeOperator(task_id="t", input_s3_uri="no uri", output_s3_uri="s3://bda-test")

    sent = event_of(operator.get_openlineage_facets_on_failure(None))

    assert places(sent["inputs"]) == []
    assert places(sent["outputs"]) == [("s3://bda-test", "/")]


def test_the_events_of_assets_say_what_was_written(context):
    asset, alias = make_asset("s3://bda-test/documents"), AssetAlias("documents")
    operator = BdaInvokeOperator(task_id="t", wait_for_completion=True, outlets=[asset, alias], **REQUEST)

    operator.execute_complete(context, JobOutcome(ARN, output_metadata_uri=METADATA).to_event(), deferred_in_try=1)

    filled = {is_asset_alias(outlet): event for outlet, event in context["outlet_events"].items()}
    assert filled[False].extra["invocation_arn"] == ARN
    assert filled[False].extra["output_metadata_uri"] == METADATA
    assert filled[False].partitions == []
    ((uri, extra),) = filled[True].added
    assert uri.rstrip("/") == "s3://bda-test/out"
    assert extra == filled[False].extra


@pytest.mark.parametrize(("asked", "partitions"), [(True, ["2026-01-05"]), (False, [])])
def test_the_tables_event_has_counts_and_the_partition_where_asked_for(context, asked, partitions):
    """A partition's event starts no DAG that is not scheduled by partitions."""
    operator = BdaResultsOperator(
        task_id="t",
        metadata_uris=[],
        output_s3_uri="s3://bda-test/tables",
        outlets=[make_asset("s3://bda-test/tables")],
        asset_partitions=asked,
    )
    operator.note_end(context, partition_key="2026-01-05" if operator.asset_partitions else None, segments=3)

    (event,) = context["outlet_events"].values()
    assert event.extra == {"segments": 3}
    assert event.partitions == partitions


def test_events_that_cannot_be_filled_do_not_fail_the_task(context):
    operator = BdaInvokeOperator(task_id="t", outlets=[make_asset("s3://bda-test/documents")], **REQUEST)
    context["outlet_events"] = {}

    operator.note_end(context, invocation_arn=ARN)

    sent = event_of(operator.get_openlineage_facets_on_complete(None))
    assert sent["run"]["facets"]["bda_task"]["facts"] == {"invocation_arn": ARN}


def test_a_real_job_is_told_of(bda_emulator, sample_pdf, context):
    document = bda_emulator.upload(sample_pdf, "a.pdf")
    asset = make_asset("s3://bda-test/out")
    operator = BdaInvokeOperator(
        task_id="t",
        input_s3_uri=document,
        output_s3_uri="s3://bda-test/out/",
        wait_for_completion=True,
        outlets=[asset],
    )

    arn = operator.execute(context)

    sent = event_of(operator.get_openlineage_facets_on_complete(None))
    assert sent["run"]["facets"]["externalQuery"]["externalQueryId"] == arn
    (event,) = context["outlet_events"].values()
    assert event.extra["invocation_arn"] == arn
    assert event.extra["output_metadata_uri"].endswith("/job_metadata.json")


def test_a_failed_real_job_is_told_of(bda_emulator, context):
    document = bda_emulator.upload(b"no pdf at all", "a.pdf")
    operator = BdaInvokeOperator(
        task_id="t", input_s3_uri=document, output_s3_uri="s3://bda-test/out/", wait_for_completion=True
    )

    with pytest.raises(BdaClientError):
        operator.execute(context)

    sent = event_of(operator.get_openlineage_facets_on_failure(None))
    (job,) = bda_emulator.jobs
    assert sent["run"]["facets"]["externalQuery"]["externalQueryId"] == job.invocation_arn
