"""BdaBatchOperator: what it takes, what it tells, and what a retry, a clear or another run does."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from conftest import BUCKET, INBOX, OUTPUT, Batch

from airflow_bda._compat import AirflowFailException, AirflowSkipException
from airflow_bda.engine.batch.documents import Round
from airflow_bda.engine.batch.session import Attempt
from airflow_bda.exceptions import BdaClientError, BdaError, BdaRequestError, BdaServiceError, BdaTimeoutError
from airflow_bda.hooks import telemetry
from airflow_bda.operators import BdaBatchOperator
from airflow_bda.triggers import BdaBatchTrigger

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

ROW = {
    "input",
    "etag",
    "version",
    "status",
    "arn",
    "error_type",
    "error",
    "output",
    "seconds",
    "pages",
    "jobs",
    "round",
    "again",
}
NAMES = [f"{number}.pdf" for number in range(5)]


def statuses(batch):
    return {name: row["status"] for name, row in batch.rows().items()}


class TestOneRound:
    def test_every_document_has_a_job_and_a_row(self, batch, upload):
        upload(*NAMES)

        manifest = batch.next_try()

        assert batch.jobs == dict.fromkeys(NAMES, 1)
        assert statuses(batch) == dict.fromkeys(NAMES, "succeeded")
        assert manifest["counts"] == {
            "total": 5,
            "succeeded": 5,
            "failed": 0,
            "skipped": 0,
            "running": 0,
            "not_started": 0,
        }
        assert manifest == batch.xcoms["manifest"] == json.loads(batch.read("manifest.json"))
        for job in batch.emulator.jobs:
            row = batch.rows()[job.input_s3_uri.removeprefix(INBOX)]
            assert set(row) == ROW
            assert (row["arn"], row["output"]) == (job.invocation_arn, job.output_metadata_uri)

    def test_the_manifest_does_not_grow_with_the_batch(self, batch, upload):
        upload(*(f"{number:03d}.pdf" for number in range(40)))
        batch.emulator.faults.add("failed_job", status="ClientError", error_message="Bad page")

        with pytest.raises(BdaClientError, match=r"40 of 40 documents failed") as failure:
            batch.next_try()

        manifest = batch.xcoms["manifest"]
        assert isinstance(failure.value, AirflowFailException)
        assert [error["count"] for error in manifest["errors"]] == [40]
        assert len(manifest["failed"]) == 10
        assert manifest["errors"][0]["example"]["input"] == f"{INBOX}000.pdf"

    def test_what_is_no_document_is_left_out(self, batch, upload):
        upload("a.pdf", "notes.txt", "sub/b.PNG")
        upload("empty.pdf", content=b"")

        manifest = batch.next_try()

        assert set(batch.jobs) == {"a.pdf", "sub/b.PNG"}
        assert manifest["left_out"] == {"pattern": 0, "format": 1, "empty": 1}

    def test_a_pattern_decides_alone(self, batch, upload):
        upload("a.pdf", "b.scan", "sub/c.scan")

        batch.next_try(pattern="*.scan")

        assert set(batch.jobs) == {"b.scan", "sub/c.scan"}

    def test_a_list_of_documents(self, batch, upload):
        upload(*NAMES)

        batch.next_try(
            input_s3_prefix=None,
            input_s3_uris=[f"{INBOX}3.pdf", f"{INBOX}1.pdf", f"{INBOX}3.pdf", f"{INBOX}gone.pdf"],
            max_failures=1,
        )

        assert batch.jobs == {"1.pdf": 1, "3.pdf": 1}
        assert batch.rows()["gone.pdf"]["error_type"] == "Vanished"

    def test_events_end_the_waits_of_a_batch_that_would_look_again_in_an_hour(self, batch, upload, monkeypatch):
        batch.emulator.faults.add("slow_job", seconds=3)
        queue = batch.emulator.client("sqs").create_queue(QueueName="hints")["QueueUrl"]
        rule = {"Name": "hints", "EventPattern": json.dumps({"source": ["aws.bedrock"]})}
        batch.emulator.client("events").put_rule(**rule)
        target = {"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:123456789012:hints"}
        batch.emulator.client("events").put_targets(Rule="hints", Targets=[target])
        monkeypatch.setenv("AIRFLOW__BDA__JOB_EVENTS_QUEUE", queue)
        monkeypatch.setenv("AIRFLOW__BDA__MIN_POLL_INTERVAL", "3600")
        monkeypatch.setenv("AIRFLOW__BDA__MAX_POLL_INTERVAL", "3600")
        upload("a.pdf", "b.pdf")

        batch.next_try(event_bridge_enabled=True, max_wait=timedelta(seconds=90))

        assert statuses(batch) == {"a.pdf": "succeeded", "b.pdf": "succeeded"}

    def test_shards_share_the_documents(self, batch, upload):
        upload(*NAMES)

        totals = [
            Batch(batch.emulator, f"run {n}").next_try(shard=f"{n}/2", batch_id=f"shard-{n}")["counts"]["total"]
            for n in (0, 1)
        ]

        assert sum(totals) == 5
        assert batch.jobs == dict.fromkeys(NAMES, 1)


class TestBadInput:
    def test_an_empty_prefix_skips_the_task(self, batch, upload):
        with pytest.raises(AirflowSkipException):
            batch.next_try()

    def test_a_prefix_without_documents_is_refused(self, batch, upload):
        upload("notes.txt")

        with pytest.raises(BdaRequestError, match=r"1 without the extension"):
            batch.next_try()

    @pytest.mark.parametrize("output", [f"s3://{BUCKET}/inbox/results", f"s3://{BUCKET}/inbox"])
    def test_an_output_inside_the_input_is_refused(self, batch, upload, output):
        upload(*NAMES)

        with pytest.raises(BdaRequestError, match=r"process its own results"):
            batch.next_try(output_s3_uri=output)

        assert batch.jobs == {}

    def test_a_bucket_in_another_region_is_refused(self, batch, upload):
        s3 = batch.emulator.client("s3", region_name="eu-west-1")
        s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

        with pytest.raises(BdaRequestError, match=r"'far-away' is in eu-west-1, and the jobs run in us-east-1"):
            batch.next_try(input_s3_prefix="s3://far-away/inbox/")

    def test_a_key_that_the_service_cannot_take_is_a_failed_row(self, batch, upload):
        odd = ["tilde~.pdf", "percent%20.pdf", "curly{.pdf", 'quote".pdf', "pipe|.pdf"]
        fine = [
            "plus+plus.pdf",
            "blank blank.pdf",
            "umlaut-\u00e4.pdf",
            "\u65e5\u672c.pdf",
            "amp&<.pdf".replace("<", ""),
            "semi;=@$,!.pdf",
        ]
        upload(*odd, *fine)

        batch.next_try(max_failures=len(odd))

        assert {name for name, row in batch.rows().items() if row["error_type"] == "InvalidRequest"} == set(odd)
        assert batch.jobs == dict.fromkeys(fine, 1)

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"input_s3_uris": ["s3://a/b"]}, "exactly one"),
            ({"input_s3_prefix": None}, "exactly one"),
            ({"input_s3_prefix": None, "input_s3_uris": "['s3://a/b']"}, "render_template_as_native_obj"),
            ({"input_s3_prefix": "inbox/"}, "not an S3 URI"),
            ({"batch_id": "a/b"}, "letters, digits"),
            ({"max_in_flight": 0}, "at least one"),
            ({"max_failures": -1}, "a share below 1"),
            ({"shard": "8/8"}, "'0/8' to '7/8'"),
            ({"blueprints": ["invoice"]}, "blueprints"),
        ],
    )
    def test_arguments_that_make_no_sense(self, batch, upload, arguments, problem):
        upload(*NAMES)

        with pytest.raises(BdaRequestError, match=problem):
            batch.next_try(**arguments)

        assert batch.jobs == {}


class TestFailures:
    def test_a_service_error_gets_one_new_job_in_each_retry(self, batch, upload):
        upload(*NAMES)
        batch.emulator.faults.add("failed_job", key="*3.pdf", status="ServiceError", times=2)

        for _ in range(2):
            with pytest.raises(BdaServiceError, match=r"1 of 5 documents failed"):
                batch.next_try()
        batch.next_try()

        assert batch.jobs == {**dict.fromkeys(NAMES, 1), "3.pdf": 3}
        assert batch.rows()["3.pdf"]["jobs"] == 3

    def test_a_client_error_is_taken_up_by_a_clear_alone(self, batch, upload):
        upload(*NAMES)
        batch.emulator.faults.add("failed_job", key="*3.pdf", status="ClientError", times=1)
        for _ in range(2):
            with pytest.raises(BdaClientError):
                batch.next_try()
        assert batch.jobs == dict.fromkeys(NAMES, 1)

        batch.clear()
        batch.next_try()

        assert batch.jobs == {**dict.fromkeys(NAMES, 1), "3.pdf": 2}

    @pytest.mark.parametrize(
        ("arguments", "kind"),
        [({}, "client"), ({"max_in_flight": 0}, "request"), ({"input_s3_prefix": "s3://not-there/in"}, "other")],
    )
    def test_a_batch_that_fails_is_counted_once_by_its_kind(self, batch, upload, monkeypatch, arguments, kind):
        upload(*NAMES)
        batch.emulator.faults.add("failed_job", key="*3.pdf", status="ClientError")
        sent = []
        monkeypatch.setattr(telemetry, "_send", lambda what, metric, *values, **options: sent.append(metric))

        with pytest.raises(BdaError):
            batch.next_try(**arguments)

        assert [metric for metric in sent if metric.startswith("bda.failed")] == [f"bda.failed.{kind}"]

    @pytest.mark.parametrize("allowed", [1, 0.2])
    def test_some_failures_may_be_allowed(self, batch, upload, allowed):
        upload(*NAMES)
        batch.emulator.faults.add("failed_job", key="*3.pdf", status="ClientError")

        assert batch.next_try(max_failures=allowed)["counts"]["failed"] == 1

    def test_the_deadline_ends_a_try_and_the_next_one_goes_on(self, batch, upload):
        upload(*NAMES)
        batch.emulator.faults.add("slow_job", key="*3.pdf", seconds=4, times=1)

        with pytest.raises(BdaTimeoutError, match=r"has not ended"):
            batch.next_try(max_wait=timedelta(seconds=2.5))
        assert statuses(batch)["3.pdf"] in {"running", "not_started"}
        batch.next_try()

        assert batch.jobs == dict.fromkeys(NAMES, 1)


class TestAgain:
    def test_another_run_skips_what_did_not_change(self, batch, upload):
        upload(*NAMES)
        batch.next_try()
        upload("1.pdf", content=b"changed")
        upload("new.pdf")

        tomorrow = Batch(batch.emulator, "manual__2")
        manifest = tomorrow.next_try()

        assert (manifest["counts"]["skipped"], manifest["counts"]["succeeded"]) == (4, 2)
        assert batch.jobs == {**dict.fromkeys(NAMES, 1), "1.pdf": 2, "new.pdf": 1}
        assert tomorrow.rows()["0.pdf"]["output"] == batch.rows()["0.pdf"]["output"]

    def test_another_request_skips_nothing(self, batch, upload):
        upload(*NAMES)
        batch.next_try()

        Batch(batch.emulator, "manual__2").next_try(
            project_arn="arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
        )

        assert batch.jobs == dict.fromkeys(NAMES, 2)

    def test_other_tags_make_no_document_unfinished(self, batch, upload):
        upload(*NAMES)
        batch.next_try()

        Batch(batch.emulator, "manual__2").next_try(tags={"day": "2"})

        assert batch.jobs == dict.fromkeys(NAMES, 1)

    def test_versions_tell_objects_apart(self, batch, upload):
        batch.emulator.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        upload(*NAMES)
        upload("0.pdf", content=b"the latest version")
        batch.next_try()
        upload("1.pdf")

        Batch(batch.emulator, "manual__2").next_try()

        assert batch.jobs == {**dict.fromkeys(NAMES, 1), "1.pdf": 2}
        assert all(row["version"] for row in batch.rows().values())

    def test_force_starts_over_after_a_clear(self, batch, upload):
        upload(*NAMES)
        batch.next_try(force=True)
        batch.next_try(force=True)
        assert batch.jobs == dict.fromkeys(NAMES, 1)

        batch.clear()
        batch.next_try(force=True)

        assert batch.jobs == dict.fromkeys(NAMES, 2)

    def test_a_retry_keeps_the_request_that_the_batch_began_with(self, batch, upload):
        upload(*NAMES)
        batch.emulator.faults.add("failed_job", key="*3.pdf", status="ServiceError", times=1)
        with pytest.raises(BdaServiceError):
            batch.next_try(tags={"try": "1"})

        batch.next_try(tags={"try": "2"})

        assert batch.jobs == {**dict.fromkeys(NAMES, 1), "3.pdf": 2}

    def test_a_run_that_was_made_anew_lists_anew(self, batch, upload):
        upload(*NAMES)
        batch.next_try()
        upload("new.pdf")
        anew = Batch(batch.emulator)
        anew.run.start_date += timedelta(days=1)

        assert anew.next_try()["counts"]["total"] == 6

        assert batch.jobs == dict.fromkeys([*NAMES, "new.pdf"], 1)

    def test_two_runs_do_not_share_a_batch_that_is_under_way(self, batch, upload):
        upload(*NAMES)
        batch.emulator.faults.add("slow_job", key="*3.pdf", seconds=4, times=1)
        with pytest.raises(BdaTimeoutError):
            batch.next_try(batch_id="inbox", max_wait=timedelta(seconds=2))
        ledger_of_one_that_runs(batch)

        with pytest.raises(BdaRequestError, match=r"is being run by another DAG run"):
            Batch(batch.emulator, "manual__2").next_try(batch_id="inbox")


@pytest.mark.parametrize(
    ("started", "is_outdated"),
    [
        ("2026-03-01T12:00:00+00:00", True),
        ("2026-03-01T12:30:00+00:00", False),
        ("2026-03-01T13:00:00+00:00", False),
        ("7", False),
        (None, False),
    ],
)
def test_an_attempt_of_before_a_clear_leaves_the_batch_alone(started, is_outdated):
    """A process that stood still while Airflow gave it up, and the run was started anew, must not start it over."""
    last = Round(2, "2026-03-02T12:30:00+00:00", "task", "life", "try", run_started="2026-03-01T12:30:00+00:00")

    assert Attempt("task", "other life", "other try", started, 0).is_outdated(last) == is_outdated


def test_on_airflow_2_a_run_that_was_made_anew_has_a_larger_key():
    last = Round(2, "2026-03-02T12:30:00+00:00", "task", "life", "try", run_started="8")

    assert Attempt("task", "other life", "other try", "7").is_outdated(last)
    assert not Attempt("task", "other life", "other try", "10").is_outdated(last)
    assert not Attempt("another task", "other life", "other try", "7").is_outdated(last)


def ledger_of_one_that_runs(batch):
    """Take away the part that says that the round ended."""
    s3 = batch.emulator.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="out/_batch/inbox/ledger/")["Contents"]
    s3.delete_object(Bucket=BUCKET, Key=listed[-1]["Key"])


class TestDeferring:
    def deferral(self, batch):
        with pytest.raises(TaskDeferred) as deferral:
            batch.next_try(deferrable=True)
        return deferral.value

    async def test_the_trigger_runs_the_batch(self, batch, upload):
        upload(*NAMES)
        deferral = self.deferral(batch)
        assert batch.jobs == {}

        events = [event.payload async for event in deferral.trigger.run()]

        assert batch.jobs == dict.fromkeys(NAMES, 1)
        manifest = batch.operator.execute_complete(batch.context, events[0], **deferral.kwargs)
        assert manifest["counts"]["succeeded"] == 5

    async def test_a_trigger_that_runs_again_finds_the_end(self, batch, upload):
        upload(*NAMES)
        deferral = self.deferral(batch)
        (first,) = [event.payload async for event in deferral.trigger.run()]

        (again,) = [event.payload async for event in deferral.trigger.run()]

        assert again == first
        assert batch.jobs == dict.fromkeys(NAMES, 1)

    def test_what_is_stored_does_not_grow_with_the_batch(self, batch, upload):
        upload(*(f"{number:03d}.pdf" for number in range(50)))

        path, arguments = self.deferral(batch).trigger.serialize()

        assert len(json.dumps(arguments)) < 400
        assert path == "airflow_bda.triggers.bda_batch.BdaBatchTrigger"
        assert BdaBatchTrigger(**arguments).serialize() == (path, arguments)

    def test_a_secret_is_refused_before_anything_is_listed(self, batch, upload):
        with pytest.raises(BdaRequestError, match=r"the http proxy.s URL holds"):
            batch.next_try(deferrable=True, botocore_config={"proxies": {"http": "http://me:secret@proxy"}})


def test_all_that_can_be_is_templated():
    operator = BdaBatchOperator(task_id="t", input_s3_prefix=INBOX, output_s3_uri=OUTPUT)

    assert {"input_s3_uris", "input_s3_prefix", "pattern", "output_s3_uri", "blueprints", "batch_id", "shard"} <= set(
        operator.template_fields
    )
    assert all(hasattr(operator, name) for name in operator.template_fields)


@pytest.mark.parametrize(("try_number", "is_outdated"), [(1, True), (2, True), (3, False), (4, False)])
def test_an_attempt_of_an_earlier_try_leaves_the_batch_alone(try_number, is_outdated):
    """A process that was suspended while Airflow gave it up, and a clear began a later try of the same run."""
    last = Round(2, "2026-03-02T12:30:00+00:00", "task", "life", "try", run_started="2026-03-01T12:30:00+00:00")
    last.try_number = 3

    assert Attempt("task", "a", "b", last.run_started, 0, try_number).is_outdated(last) == is_outdated
    assert not Attempt("another task", "a", "b", last.run_started, 0, try_number).is_outdated(last)


def test_a_run_that_was_created_again_begins_with_the_first_try():
    last = Round(2, "2026-03-02T12:30:00+00:00", "task", "life", "try", run_started="2026-03-01T12:30:00+00:00")
    last.try_number = 3

    assert not Attempt("task", "a", "b", "2026-03-01T13:30:00+00:00", 0, 1).is_outdated(last)
    unknown = Round(2, "2026-03-02T12:30:00+00:00", "task", "life", "try", try_number=3)
    assert not Attempt("task", "a", "b", None, 0, 1).is_outdated(unknown)
