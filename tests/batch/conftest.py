"""A batch operator that is tried and cleared on the emulator, as Airflow would."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from airflow_processes.documents import PlainProcessor

from airflow_bda.emulator import EMULATOR
from airflow_bda.operators import BdaBatchOperator

BUCKET = "bda-test"
INBOX, OUTPUT = f"s3://{BUCKET}/inbox/", f"s3://{BUCKET}/out"


class Batch:
    """One task instance with a batch, that can be tried, and cleared, again and again."""

    def __init__(self, emulator, run_id="manual__1"):
        self.emulator = emulator
        self.xcoms = {}
        self.tries = 0
        self.max_tries = 3
        self.run = SimpleNamespace(start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), clear_number=0)
        self.run_id = run_id

    def next_try(self, **arguments):
        self.tries += 1
        defaults = {"input_s3_prefix": INBOX, "output_s3_uri": OUTPUT, "deferrable": False}
        self.operator = BdaBatchOperator(task_id="batch", **(defaults | arguments))
        return self.operator.execute(self.context)

    @property
    def context(self):
        ti = SimpleNamespace(
            dag_id="dag",
            run_id=self.run_id,
            task_id="batch",
            map_index=-1,
            try_number=self.tries,
            max_tries=self.max_tries,
            task=SimpleNamespace(retries=3),
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
        )
        return {"ti": ti, "dag_run": self.run}

    def clear(self):
        self.max_tries = self.tries + 3
        self.run.clear_number += 1

    def rows(self):
        return {
            row["input"].removeprefix(INBOX): row for row in map(json.loads, self.read("results.jsonl").splitlines())
        }

    def read(self, name):
        folder = self.xcoms["manifest"]["manifest_uri"].removeprefix(f"s3://{BUCKET}/").rpartition("/")[0]
        return self.emulator.client("s3").get_object(Bucket=BUCKET, Key=f"{folder}/{name}")["Body"].read().decode()

    @property
    def jobs(self):
        """How many jobs each document has had."""
        keys = [job.input_s3_uri.removeprefix(INBOX) for job in self.emulator.jobs]
        return {key: keys.count(key) for key in keys}


@pytest.fixture
def batch(bda_emulator, monkeypatch):
    # Reading the documents is not what is tested here.
    EMULATOR.configure(bda_emulator.settings, processor=PlainProcessor())
    monkeypatch.setenv("AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND", "100")
    yield Batch(bda_emulator)
    EMULATOR.configure()


@pytest.fixture
def upload(bda_emulator):
    bda_emulator.make_bucket(BUCKET)

    def upload(*names, content=b"a document"):
        for name in names:
            bda_emulator.client("s3").put_object(Bucket=BUCKET, Key=f"inbox/{name}", Body=content)

    return upload
