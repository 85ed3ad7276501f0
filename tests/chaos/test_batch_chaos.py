"""A batch on a running Airflow whose workers and triggerers are killed again and again: exactly the right jobs."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from dataclasses import dataclass

import pytest
from airflow_processes.eventually import PATIENCE_SECONDS, eventually

from airflow_bda.service.s3 import Modality

pytestmark = pytest.mark.running_airflow

INVOKE = "InvokeDataAutomationAsync"


@dataclass(frozen=True)
class Scale:
    """
    How large the batch is, and how bad the times are.

    :param seconds: how long a job takes.
    :param kills: how often a worker or a triggerer is killed.
    :param throttled: how many calls the storm throttles.
    """

    documents: int
    seconds: float
    kills: int
    throttled: int


@pytest.fixture(
    params=[
        pytest.param(Scale(documents=12, seconds=5.0, kills=1, throttled=15), id="short"),
        pytest.param(Scale(documents=200, seconds=4.0, kills=20, throttled=50), id="long", marks=pytest.mark.chaos),
    ]
)
def scale(request):
    return request.param


def kill_a_process(airflow, run, killed):
    """Kill who runs the batch now: the task's process, or the triggerer."""
    (instance,) = run.instances()
    if instance.state == "deferred":
        airflow.kill_triggerers()
        airflow.start_triggerer()
        return "triggerer"
    start = next((start for start in reversed(run.starts()) if start.pid not in killed), None)
    if instance.state == "running" and start is not None:
        killed.add(start.pid)
        start.kill()
        return "worker"
    return None


def test_every_document_has_one_job_that_succeeded(airflow, service, scale):
    """A tenth of the jobs fails on the service's side, a tenth of the answers is lost, and a storm throttles calls."""
    rng = random.Random(11)  # noqa: S311  repeatable on purpose
    names = [f"inbox/{number:03d}.pdf" for number in range(scale.documents)]
    service.configure(concurrency={Modality.DOCUMENT: 10}, in_progress_seconds=scale.seconds)
    service.upload(*names)
    service.faults.add("failed_job", status="ServiceError", share=0.1)
    service.faults.add("lost_answer", operation=INVOKE, share=0.1)
    run = airflow.trigger("batch")
    service.wait_for_jobs(1)
    victims, killed = [], set()
    patience = PATIENCE_SECONDS + 40 * scale.kills
    give_up_at = time.monotonic() + patience
    while len(victims) < scale.kills and time.monotonic() < give_up_at and run.instances()[0].state != "success":
        time.sleep(rng.uniform(0.5, 6))
        if len(victims) == scale.kills // 2:
            service.faults.add("throttling", share=0.9, times=scale.throttled)
        if victim := kill_a_process(airflow, run, killed):
            victims.append(victim)
    eventually(
        lambda: run.instances()[0].state == "success",
        what="the batch has ended",
        seconds=patience,
        describe=lambda: f"{run.instances()}, killed: {victims}\n{airflow.tell_of_logs()}",
    )

    assert len(victims) == scale.kills, victims
    ends = defaultdict(list)
    for job in service.jobs:
        ends[job.input_s3_uri].append(str(job.status))
    assert set(ends) == {f"s3://inputs/{name}" for name in names}
    for uri, statuses in ends.items():
        assert statuses == ["ServiceError"] * (len(statuses) - 1) + ["Success"], uri
    manifest = next(xcom for xcom in run.xcoms() if isinstance(xcom, dict))
    assert manifest["counts"]["succeeded"] == manifest["counts"]["total"] == scale.documents
    assert len(json.dumps(manifest)) < 2000
