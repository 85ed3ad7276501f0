"""BdaResultsOperator: what it reads, what it writes, and what a second try or run replaces."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from airflow_bda.exceptions import BdaError, BdaRequestError
from airflow_bda.operators import BdaResultsOperator

DAY = datetime(2026, 3, 2, 6, tzinfo=timezone.utc)


class Tables:
    """The bucket that the tables go to, and a task that writes them."""

    def __init__(self, emulator):
        self.emulator = emulator
        emulator.make_bucket("bda-tables")

    def write(self, metadata_uris, *, at=DAY, map_index=-1, **arguments):
        defaults = {"output_s3_uri": "s3://bda-tables/lake", "on_no_match": "ignore"}
        operator = BdaResultsOperator(task_id="tables", metadata_uris=metadata_uris, **(defaults | arguments))
        ti = SimpleNamespace(dag_id="inbox", task_id="tables", run_id="scheduled", map_index=map_index)
        return operator.execute({"ti": ti, "dag_run": SimpleNamespace(logical_date=at, run_after=at)})

    def stored(self):
        from airflow_bda.hooks import BdaHook

        listed = BdaHook().s3.list_objects_v2(Bucket="bda-tables").get("Contents", [])
        return [item["Key"] for item in listed]

    def rows(self, uri):
        from airflow_bda.hooks import BdaHook

        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = BdaHook().s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return [json.loads(line) for line in body.splitlines()]


@pytest.fixture
def tables(bda_emulator):
    return Tables(bda_emulator)


def test_both_tables_have_every_row_of_every_job(tables, stored_job):
    written = tables.write([stored_job("packet"), stored_job("film")])

    assert (written["jobs"], written["segments"], written["fields"], written["pages"]) == (2, 4, 25, 4)
    assert (written["matched"], written["fallback"], written["unmatched"]) == (2, 1, 1)
    assert len(tables.rows(written["segments_uri"])) == written["segments"]
    assert len(tables.rows(written["fields_uri"])) == written["fields"]
    assert tables.stored() == [
        f"lake/{table}/date=2026-03-02/inbox-tables-060000.jsonl" for table in ("fields", "segments")
    ]


def test_a_retry_and_a_run_of_the_same_date_replace_their_rows(tables, stored_job):
    tables.write([stored_job("packet"), stored_job("film")])

    again = tables.write([stored_job("film")])

    assert len(tables.stored()) == 2
    assert {row["job_id"] for row in tables.rows(again["fields_uri"])} == {"film"}
    tables.write([stored_job("film")], format="parquet")
    assert all(key.endswith(".parquet") for key in tables.stored())
    assert len(tables.stored()) == 2


def test_other_dates_hours_and_mapped_tasks_keep_theirs(tables, stored_job):
    uri = stored_job("film")
    for at in (DAY, DAY.replace(hour=7), DAY.replace(day=3)):
        tables.write(uri, at=at)
    tables.write(uri, map_index=4)
    assert len(tables.stored()) == 8
    named = tables.write(uri, partition="march", at=None)
    assert named["segments_uri"] == "s3://bda-tables/lake/segments/date=march/inbox-tables.jsonl"


@pytest.fixture
def put_batch(bda_emulator):
    """Put a batch's files: one row for each of its results, None for a document that failed."""

    def put(batch_id, outputs):
        rows = [
            {"input": f"s3://in/{place}", "status": "succeeded", "arn": f"arn:{place}", "output": output}
            if output
            else {"input": f"s3://in/{place}", "status": "failed", "arn": f"arn:{place}", "output": None}
            for place, output in zip("abcdef", outputs, strict=False)
        ]
        folder = f"out/_batch/{batch_id}"
        lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        results = bda_emulator.upload(lines, f"{folder}/results.jsonl", bucket="bda-results")
        manifest = {"format": 1, "batch_id": batch_id, "results_uri": results, "counts": {"total": len(rows)}}
        uri = bda_emulator.upload(json.dumps(manifest).encode(), f"{folder}/manifest.json", bucket="bda-results")
        return {"xcom": manifest | {"manifest_uri": uri}, "manifest": uri, "results": results}

    return put


@pytest.fixture
def batch(put_batch, stored_job):
    """Put a batch's files: two documents with a result and one without."""
    return put_batch("b", [stored_job("packet"), None, stored_job("film")])


@pytest.mark.parametrize("given", ["xcom", "manifest", "results"])
def test_a_batch_is_read_by_its_manifest(tables, batch, given):
    written = tables.write(batch[given])

    assert written["jobs"] == 2
    assert {row["invocation_arn"] for row in tables.rows(written["fields_uri"])} == {"arn:a", "arn:c"}


@pytest.mark.parametrize("given", ["xcom", "manifest", "results"])
def test_the_manifests_of_shards_become_one_table(tables, stored_job, put_batch, given):
    """One row a job of every shard; a shard that was skipped has no manifest, and one may have no result at all."""
    shards = [
        put_batch("0", [stored_job("packet"), None]),
        put_batch("1", [stored_job("film")]),
        put_batch("2", [None]),
    ]
    written = tables.write([None, *(shard[given] for shard in shards)])

    assert written["jobs"] == 2
    assert {row["job_id"] for row in tables.rows(written["segments_uri"])} == {"packet", "film"}
    assert len(tables.stored()) == 2


def test_what_mapped_tasks_return_is_read_and_skipped_ones_are_passed_over(tables, stored_job):
    outputs = [
        None,
        stored_job("packet"),
        {"invocation_arn": "arn:film", "output_metadata_uri": stored_job("film"), "status": "Success"},
    ]
    written = tables.write(iter(outputs))

    assert written["jobs"] == 2
    arns = {row["job_id"]: row["invocation_arn"] for row in tables.rows(written["segments_uri"])}
    assert arns == {"packet": None, "film": "arn:film"}


def test_no_job_at_all_is_an_empty_table(tables):
    written = tables.write([])
    assert (written["jobs"], written["segments"], len(tables.stored())) == (0, 0, 2)


def test_what_is_left_out_is_counted(tables, stored_job):
    written = tables.write(stored_job("packet"), min_confidence=0.9)

    assert written["fields"] + written["fields_left_out"] == 14
    assert min(row["confidence"] for row in tables.rows(written["fields_uri"])) >= 0.9


def test_segments_without_a_blueprint_warn_or_fail_by_name(tables, stored_job, caplog, capsys):
    tables.write(stored_job("packet"), on_no_match="warn")
    # Airflow 3 logs by structlog, which prints; Airflow 2 by logging.
    assert "s3://bda-inbox/loans/packet.pdf, segment 2" in caplog.text + capsys.readouterr().out

    with pytest.raises(BdaRequestError, match=r"packet\.pdf, segment 2"):
        tables.write(stored_job("packet"), on_no_match="fail", at=DAY.replace(day=9))
    assert not any("2026-03-09" in key for key in tables.stored())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"format": "csv"}, "format"),
        ({"on_no_match": "shout"}, "on_no_match"),
        ({"min_confidence": 80}, "min_confidence"),
        ({"min_confidence": "0.5"}, "min_confidence"),
        ({"output_s3_uri": "lake"}, "output_s3_uri"),
        ({"metadata_uris": "['s3://a/job_metadata.json']"}, "render_template_as_native_obj"),
        ({"metadata_uris": ["nothing"]}, "metadata_uris"),
        (
            {"metadata_uris": "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/1"},
            "output_metadata_uri",
        ),
        ({"metadata_uris": [{"status": "Success"}]}, "output_metadata_uri"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(tables, arguments, named):
    uris = arguments.pop("metadata_uris", [])
    with pytest.raises(BdaRequestError, match=named):
        tables.write(uris, **arguments)
    assert tables.stored() == []


def test_a_file_that_is_not_there_is_named(tables, bda_emulator):
    bda_emulator.make_bucket("bda-results")
    with pytest.raises(BdaError, match=r"s3://bda-results/none/job_metadata.json"):
        tables.write("s3://bda-results/none/job_metadata.json")
    with pytest.raises(BdaError, match=r"s3://bda-results/none/manifest.json"):
        tables.write("s3://bda-results/none/manifest.json")
    with pytest.raises(BdaError, match="s3://no-bucket/lake"):
        tables.write([], output_s3_uri="s3://no-bucket/lake")


@pytest.fixture
def linked(tables, monkeypatch):
    """Give the links that the task stores."""
    from airflow_bda.links import bda

    found = {}
    monkeypatch.setattr(bda, "push_link", lambda ti, key, value: found.update({key: value}))
    return found


def test_a_report_is_written_and_linked_to(tables, stored_job, linked, bda_emulator):
    written = tables.write([stored_job("packet"), stored_job("film")], report=True)

    assert written["report_uri"] == "s3://bda-tables/lake/reports/date=2026-03-02/inbox-tables-060000.html"
    key = written["report_uri"].removeprefix("s3://bda-tables/")
    stored = bda_emulator.client("s3").get_object(Bucket="bda-tables", Key=key)
    assert stored["ContentType"] == "text/html; charset=utf-8"
    page = stored["Body"].read().decode()
    assert "packet.pdf" in page
    assert "street.mov" in page
    url = linked["_link_BdaReportLink"].removeprefix(f"{bda_emulator.endpoint_url}/_bda/jobs/")
    assert sorted(url.removesuffix("/report").split(",")) == ["film", "packet"]
    tables.write(stored_job("packet"), report=True)
    assert linked == {"_link_BdaReportLink": f"{bda_emulator.endpoint_url}/_bda/jobs/packet/report"}


def test_on_aws_the_link_leads_to_the_reports_object(tables, stored_job, linked, monkeypatch):
    from airflow_bda.hooks import BdaHook

    monkeypatch.setattr(BdaHook, "emulator_url", None)
    tables.write(stored_job("packet"), report=True)

    (url,) = linked.values()
    assert url.startswith("https://us-east-1.console.aws.amazon.com/s3/object/bda-tables?region=us-east-1&prefix=lake/")


def test_without_a_report_the_link_is_hidden(tables, stored_job, linked):
    assert "report_uri" not in tables.write(stored_job("packet"))
    assert linked == {"_link_BdaReportLink": ""}


def test_a_report_has_the_documents_with_the_lowest_confidences(tables, stored_job, monkeypatch, bda_emulator):
    from airflow_bda.operators import bda_results

    monkeypatch.setattr(bda_results, "_MOST_REPORTED", 1)
    written = tables.write([stored_job("film"), stored_job("packet")], report=True)

    key = written["report_uri"].removeprefix("s3://bda-tables/")
    page = bda_emulator.client("s3").get_object(Bucket="bda-tables", Key=key)["Body"].read().decode()
    assert "packet.pdf" in page
    assert "street.mov" not in page
