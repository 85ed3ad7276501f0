"""What changes under a batch: objects that vanish or are replaced, another request, another runner."""

from __future__ import annotations

import asyncio

import pytest
from conftest import BUCKET, INBOX, OUTPUT, Batch

from airflow_bda.exceptions import BdaError, BdaRequestError
from airflow_bda.hooks.batch import HookJobs, HookStore

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

NAMES = [f"{number}.pdf" for number in range(5)]


def delete(batch, name):
    batch.emulator.client("s3").delete_object(Bucket=BUCKET, Key=f"inbox/{name}")


class TestObjects:
    def after_the_listing(self, monkeypatch, change):
        """Make a change when the documents are listed, before any of them is looked at."""
        listed = HookStore.documents

        async def list_and_change(store, uri, *, after):
            page = await listed(store, uri, after=after)
            change()
            return page

        monkeypatch.setattr(HookStore, "documents", list_and_change)

    def test_one_that_was_deleted_after_the_listing_is_a_failed_row(self, batch, upload, monkeypatch):
        upload(*NAMES)
        self.after_the_listing(monkeypatch, lambda: delete(batch, "3.pdf"))

        manifest = batch.next_try(max_failures=1)

        row = batch.rows()["3.pdf"]
        assert (row["status"], row["error_type"], row["arn"], row["jobs"]) == ("failed", "Vanished", None, 0)
        assert manifest["counts"]["succeeded"] == 4
        assert set(batch.jobs) == {*NAMES} - {"3.pdf"}

    def test_one_that_is_deleted_right_before_its_job_is_one_too(self, batch, upload, monkeypatch):
        """The service denies access to an object that is not there."""
        upload(*NAMES)
        invoke = HookJobs.invoke

        async def delete_and_invoke(jobs, request):
            if request.input_s3_uri.endswith("3.pdf"):
                delete(batch, "3.pdf")
            return await invoke(jobs, request)

        monkeypatch.setattr(HookJobs, "invoke", delete_and_invoke)

        batch.next_try(max_failures=1)

        assert batch.rows()["3.pdf"]["error_type"] == "Vanished"
        assert set(batch.jobs) == {*NAMES} - {"3.pdf"}

    def test_one_that_vanished_is_run_by_a_clear_when_it_is_back(self, batch, upload, monkeypatch):
        upload(*NAMES)
        with monkeypatch.context() as once:
            self.after_the_listing(once, lambda: delete(batch, "3.pdf"))
            batch.next_try(max_failures=1)
        upload("3.pdf")
        batch.clear()

        assert batch.next_try()["counts"]["succeeded"] == 5

        assert batch.jobs == dict.fromkeys(NAMES, 1)

    def test_one_that_is_replaced_after_the_listing_is_read_as_it_is_then(self, batch, upload, monkeypatch):
        upload(*NAMES)
        self.after_the_listing(monkeypatch, lambda: upload("3.pdf", content=b"replaced"))

        batch.next_try()

        found = batch.emulator.client("s3").head_object(Bucket=BUCKET, Key="inbox/3.pdf")
        assert batch.rows()["3.pdf"]["etag"] == found["ETag"].strip('"')
        assert batch.jobs == dict.fromkeys(NAMES, 1)

    def test_one_that_is_replaced_after_its_job_is_new_to_the_next_run_alone(self, batch, upload):
        upload(*NAMES)
        batch.next_try()
        upload("3.pdf", content=b"replaced")

        batch.next_try()
        assert batch.jobs == dict.fromkeys(NAMES, 1)
        Batch(batch.emulator, "manual__2").next_try()

        assert batch.jobs == {**dict.fromkeys(NAMES, 1), "3.pdf": 2}


class TestRequests:
    @pytest.mark.parametrize(
        ("change", "total"),
        [
            ({"project_arn": "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"}, 5),
            ({"input_s3_prefix": f"{INBOX}1"}, 1),
            ({"pattern": "[12].pdf"}, 2),
        ],
    )
    def test_a_clear_with_other_arguments_starts_over(self, batch, upload, change, total):
        upload(*NAMES)
        batch.next_try(only_changed=False)
        batch.clear()

        manifest = batch.next_try(only_changed=False, **change)

        assert manifest["counts"]["succeeded"] == total == len(batch.rows())
        assert sum(batch.jobs.values()) == 5 + total

    def test_a_clear_with_the_same_arguments_runs_nothing_again(self, batch, upload):
        upload(*NAMES)
        batch.next_try(only_changed=False)
        batch.clear()

        batch.next_try(only_changed=False)

        assert batch.jobs == dict.fromkeys(NAMES, 1)


class TestRunners:
    async def test_two_triggerers_that_run_one_trigger_run_one_batch(self, batch, upload):
        names = [f"{number:02d}.pdf" for number in range(20)]
        upload(*names)
        with pytest.raises(TaskDeferred) as deferral:
            batch.next_try(deferrable=True, max_in_flight=5)

        async def run():
            (event,) = [event.payload async for event in deferral.value.trigger.run()]
            return event

        first = asyncio.ensure_future(run())
        await asyncio.sleep(1.0)
        events = await asyncio.gather(first, run())

        assert events[0] == events[1]
        assert events[0]["status"] == "success"
        assert batch.jobs == dict.fromkeys(names, 1)


class TestBadPlaces:
    def test_an_output_bucket_in_another_region_is_refused(self, batch, upload):
        upload(*NAMES)
        s3 = batch.emulator.client("s3", region_name="eu-west-1")
        s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

        with pytest.raises(BdaRequestError, match=r"'far-away' is in eu-west-1, and the jobs run in us-east-1"):
            batch.next_try(output_s3_uri="s3://far-away/out")

        assert batch.jobs == {}

    def test_documents_below_the_output_are_refused(self, batch, upload):
        with pytest.raises(BdaRequestError, match=r"s3://bda-test/out/1.pdf'?, which lies below output_s3_uri"):
            batch.next_try(input_s3_prefix=None, input_s3_uris=[f"{OUTPUT}/1.pdf", f"{INBOX}2.pdf"])

        assert batch.jobs == {}

    def test_a_bucket_that_does_not_exist_is_named(self, batch, upload):
        with pytest.raises(BdaError, match=r"s3://not-there/inbox/.*NoSuchBucket|NoSuchBucket.*s3://not-there/inbox/"):
            batch.next_try(input_s3_prefix="s3://not-there/inbox/")

    def test_an_object_of_a_list_that_does_not_exist_is_a_failed_row(self, batch, upload):
        upload("1.pdf")

        batch.next_try(input_s3_prefix=None, input_s3_uris=[f"{INBOX}1.pdf", f"{INBOX}2.pdf"], max_failures=1)

        assert {name: row["error_type"] for name, row in batch.rows().items()} == {"1.pdf": None, "2.pdf": "Vanished"}
