"""
Bring the whole stack of docker-compose.yaml up, use it as its users do, and take it down. `make test-stack` runs this.

Every example DAG is triggered by the REST API, their results are read from the emulator's S3, the triggerer is
restarted while a task waits in it, and the UI is looked at in headless Chromium. Pictures and, after a failure, the
logs are kept in .stack/. The stack is a project of its own on free ports; a user's stack and .env are left alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import own_environment
import requests
from airflow_api import ENDED, AirflowApi, eventually
from botocore.config import Config
from composed import ComposedStack, StackError, free_port
from rows import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

KEPT = ROOT / ".stack"
HEALTHY_SECONDS = 90
# What docs/how-to/local-stack.md asks for.
MEMORY_MEBIBYTES = 2560
RUN_SECONDS = 600
# Long enough to restart the triggerer and to look around meanwhile.
SLOW_JOB_SECONDS = 120
INVOICE_NUMBER = "TR-2026-0417"
INVOICE_FIELDS = 37
WAITING_DAG, WAITING_TASK = "bda_wait_in_one_task", "process"
EVENT_DAG = "bda_on_event"
INBOX_DAG = "bda_inbox"
HINTED_DAG, HINTED_TASK = "bda_wait_with_events", "process"
# Half that DAG's poll_interval. An end that is noticed so soon was not noticed by looking.
MOST_HINTED_SECONDS = 300
# Long enough for the triggerer to find the job in progress at its first look.
HINTED_JOB_SECONDS = 45
BATCH_DAG = "bda_batch"
DOCUMENT_DAG, FIELDS_TASK = "bda_document", "show_fields"
LAMBDA_DAG = "bda_lambda"
DAMAGED = "damaged.pdf"
# What boto3 tells of the credentials and endpoints that it found.
LIBRARIES = ("botocore", "aiobotocore", "boto3")


class StackTest:
    """One stack under test."""

    def __init__(self) -> None:
        self._password = secrets.token_urlsafe()
        self._airflow_port, self._emulator_port = free_port(), free_port()
        self.stack = ComposedStack(
            "events",
            settings={
                "AIRFLOW_PORT": str(self._airflow_port),
                "AIRFLOW_ADMIN_PASSWORD": self._password,
                "BDA_EMULATOR_PORT": str(self._emulator_port),
            },
        )
        self._most_memory: dict[str, float] = {}
        # The run of each example that ended well.
        self._runs: dict[str, str] = {}
        self._api: AirflowApi

    def run(self) -> None:
        """Do all of it, in an order in which the long waits are used."""
        self.stack.build()
        seconds = self.stack.up()
        _tell(f"stack_healthy_seconds {seconds:.0f}")
        if seconds > HEALTHY_SECONDS:
            _tell(f"note: two idle cores should do that within {HEALTHY_SECONDS} s")
        self._check_users()
        self._api = AirflowApi(self._airflow_url, "admin", self._password)
        self._run_every_dag()
        self._check_results()
        self._check_logs()
        self._look_at_examples()
        self._check_that_an_event_ends_a_wait()
        self._check_alert()
        run_id = self._restart_triggerer_while_a_task_waits()
        self._look_around(run_id)
        self._check_that_it_ends_with_one_job(run_id)
        self._check_memory()

    @property
    def _airflow_url(self) -> str:
        return f"http://127.0.0.1:{self._airflow_port}"

    @property
    def _emulator_url(self) -> str:
        return f"http://127.0.0.1:{self._emulator_port}"

    def _check_users(self) -> None:
        """PostgreSQL's image begins as root by its own design, and goes on as its own user."""
        users = self.stack.users()
        if roots := [name for name, user in users.items() if user in {"", "0", "root"} and name != "postgres"]:
            raise StackError(f"run as root: {', '.join(roots)}")

    def _run_every_dag(self) -> None:
        dag_ids = eventually(self._dag_ids, what="every file in dags/ is read", seconds=RUN_SECONDS)
        if errors := self._api.get("/importErrors")["import_errors"]:
            raise StackError(f"{errors[0]['filename']}: {errors[0]['stack_trace']}")
        for dag_id in dag_ids:
            self._api.unpause(dag_id)
        for dag_id in dag_ids:
            self._runs[dag_id] = self._api.trigger(dag_id)
            self._end_well(dag_id, self._runs[dag_id])
        started = self._eventually(self._event_runs, what="the event of a job's end starts a run")
        for run_id in started:
            self._end_well(EVENT_DAG, run_id)

    def _dag_ids(self) -> list[str]:
        """Return the ids of all DAGs once each file's are there."""
        dags = self._api.get("/dags")["dags"]
        files = {file.name for file in (ROOT / "dags").glob("*.py")}
        return [dag["dag_id"] for dag in dags] if files <= {Path(dag["fileloc"]).name for dag in dags} else []

    def _event_runs(self) -> list[str]:
        runs = self._api.get(f"/dags/{EVENT_DAG}/dagRuns", run_type="asset_triggered")["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def _end_well(self, dag_id: str, run_id: str) -> None:
        state = self._eventually(lambda: self._ended(dag_id, run_id), what=f"{dag_id} has ended")
        tasks = self._api.tasks(dag_id, run_id)
        _tell(f"{dag_id}: {state} ({', '.join(f'{name} {ended}' for name, ended in tasks.items())})")
        if state != "success":
            raise StackError(f"{dag_id}, run {run_id}, has failed")

    def _ended(self, dag_id: str, run_id: str) -> str | None:
        """Give the state of a run that has ended; where a task of it waits for a person, be that person."""
        for task_id, state in self._api.tasks(dag_id, run_id).items():
            if state == "awaiting_input":
                if dag_id == INBOX_DAG:
                    self._browse("form", dag_id, run_id, task_id)
                self._api.answer_form(dag_id, run_id, task_id)
        state = self._api.state(dag_id, run_id)
        return state if state in ENDED else None

    def _check_results(self) -> None:
        """Each job's results are in S3, and the events' DAG has collected the fields of its job."""
        s3 = self._s3()
        listed = s3.list_objects_v2(Bucket="bda-output")["Contents"]
        files = {entry["Key"]: s3.get_object(Bucket="bda-output", Key=entry["Key"])["Body"].read() for entry in listed}
        # Each example writes below a prefix of its own.
        ended = {key.split("/")[-2] for key in files if key.endswith("/job_metadata.json")}
        for job in self._jobs():
            if job["status"] != "Success" or job["job_id"] not in ended:
                raise StackError(f"job {job['job_id']} is {job['status']}, and its results are not in S3")
        collected = [json.loads(content) for key, content in files.items() if key.startswith("results/collected/")]
        if not any(INVOICE_NUMBER in [value for _, value in found["fields"]] for found in collected):
            raise StackError(f"{EVENT_DAG} has not collected the invoice's number: {collected}")
        self._check_batch(files, f"batch/_batch/{BATCH_DAG.replace('_', '-')}-")
        self._check_batch(files, f"inbox/_batch/{INBOX_DAG.replace('_', '-')}-")
        _tell(f"{len(self._jobs())} jobs, {len(files)} files of results")

    def _s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self._emulator_url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106  the emulator's: no secret
            config=Config(s3={"addressing_style": "path"}),
        )

    def _check_batch(self, files: dict[str, bytes], name: str) -> None:
        """Find one row in a batch's results for each document of the inbox, and no document without a job."""
        manifests = [key for key in files if key.startswith(name) and key.endswith("/manifest.json")]
        if len(manifests) != 1:
            raise StackError(f"{name} has not left one manifest: {manifests}")
        manifest = json.loads(files[manifests[0]])
        lines = files[manifest["results_uri"].removeprefix("s3://bda-output/")].splitlines()
        inputs = [json.loads(line)["input"] for line in lines]
        counts = manifest["counts"]
        if (
            not inputs
            or len(set(inputs)) != len(inputs)
            or len(inputs) != counts["total"]
            or counts["succeeded"] != counts["total"]
        ):
            raise StackError(f"{name} has {counts}, and rows of {inputs}")
        _tell(f"{name}: {len(inputs)} rows")

    def _check_logs(self) -> None:
        """Read each task's log, which must not begin with the AWS libraries' lines; mapped tasks must have names."""
        for dag_id, run_id in self._runs.items():
            for task in self._api.task_instances(dag_id, run_id):
                task_id, index = task["task_id"], task["map_index"]
                if task["state"] == "skipped":  # it may never have been started
                    continue
                if index >= 0 and not task["rendered_map_index"]:
                    raise StackError(f"the mapped task {dag_id}.{task_id} has no names")
                lines = self._api.log(dag_id, run_id, task_id, try_number=task["try_number"], map_index=index)
                own = _after_preparation(lines)
                if own and str(own[0].get("logger")).startswith(LIBRARIES):
                    raise StackError(f"the log of {dag_id}.{task_id} begins with {own[0]['event']!r}")

    def _look_at_examples(self) -> None:
        """See in the browser what a user looks for first."""
        self._browse("dags", LAMBDA_DAG, self._runs[LAMBDA_DAG], "invoke")
        self._browse("graph", INBOX_DAG, self._runs[INBOX_DAG], "process")
        self._browse("report", INBOX_DAG, self._runs[INBOX_DAG], "tables")
        run_id = self._runs[DOCUMENT_DAG]
        rows = self._api.xcom(DOCUMENT_DAG, run_id, FIELDS_TASK)
        if len(rows) != INVOICE_FIELDS:
            raise StackError(f"{DOCUMENT_DAG} has returned {len(rows)} fields of {INVOICE_FIELDS}")
        lines = [f"{row['field']} = {row['value']!r} (confidence " for row in rows]
        self._browse("log", DOCUMENT_DAG, run_id, FIELDS_TASK, lines=lines)

    def _check_alert(self) -> None:
        """Let a document that cannot be read fail the inbox, whose alert must name it and the reason."""
        self._s3().put_object(Bucket="bda-input", Key=DAMAGED, Body=b"%PDF-1.7 and nothing else")
        run_id = self._api.trigger(INBOX_DAG)
        state = self._eventually(lambda: self._ended(INBOX_DAG, run_id), what=f"{INBOX_DAG} has failed")
        told = [line["event"] for line in self._api.log(INBOX_DAG, run_id, "process") if line.get("level") == "error"]
        alerts = [event for event in told if event.startswith("s3://bda-input/: 1 of ") and DAMAGED in event]
        self._s3().delete_object(Bucket="bda-input", Key=DAMAGED)
        if state != "failed" or len(alerts) != 1:
            raise StackError(f"{INBOX_DAG}: {state} with a damaged document, and told of it by {told}")
        _tell(f"{INBOX_DAG}: {alerts[0].splitlines()[0]}")

    def _check_that_an_event_ends_a_wait(self) -> None:
        """Have a task wait that looks at its job every ten minutes: it must go on sooner, by the event."""
        self._slow_down_next_job(HINTED_JOB_SECONDS)
        known = {job["job_id"] for job in self._jobs()}
        run_id = self._api.trigger(HINTED_DAG)
        self._end_well(HINTED_DAG, run_id)
        (job,) = [job for job in self._jobs() if job["job_id"] not in known]
        task = self._api.task(HINTED_DAG, run_id, HINTED_TASK)
        seconds = (_moment(task["end_date"]) - _moment(job["ended_at"])).total_seconds()
        _tell(f"{HINTED_DAG}: asked {job['polls']} times, ended {seconds:.0f} s after its job")
        # Its first look found the job in progress; else its end was no event's work.
        if job["polls"] < 2 or seconds > MOST_HINTED_SECONDS:  # noqa: PLR2004
            raise StackError("no event of the job ended the wait")

    def _slow_down_next_job(self, seconds: int) -> None:
        slow = {"faults": [{"kind": "slow_job", "seconds": seconds, "times": 1}]}
        requests.put(f"{self._emulator_url}/_bda/faults", json=slow, timeout=60).raise_for_status()

    def _restart_triggerer_while_a_task_waits(self) -> str:
        self._slow_down_next_job(SLOW_JOB_SECONDS)
        self._jobs_before = len(self._jobs())
        run_id = self._api.trigger(WAITING_DAG)
        self._eventually(lambda: self._is_deferred(run_id), what="a task waits in the triggerer")
        self.stack.compose("restart", "triggerer")
        if not self._is_deferred(run_id):
            raise StackError("the task did not wait on while the triggerer was restarted")
        return run_id

    def _is_deferred(self, run_id: str) -> bool:
        return self._api.tasks(WAITING_DAG, run_id)[WAITING_TASK] == "deferred"

    def _look_around(self, run_id: str) -> None:
        self._browse("wait", WAITING_DAG, run_id, WAITING_TASK)

    def _browse(self, *what: str, lines: Sequence[str] = ()) -> None:
        """
        Look at pages of the UI, and keep pictures of them.

        :param lines: what a log must show.
        """
        programs = own_environment.make("browser")
        script = [str(programs / "python"), str(ROOT / "tools" / "browse_airflow.py")]
        ended = subprocess.run(
            [*script, self._airflow_url, str(KEPT), *what],
            env={**os.environ, "AIRFLOW_ADMIN_PASSWORD": self._password},
            input=json.dumps(lines).encode(),
            check=False,
        )
        if ended.returncode:
            raise StackError("the UI does not show what it should; what the browser says stands above")

    def _check_that_it_ends_with_one_job(self, run_id: str) -> None:
        self._end_well(WAITING_DAG, run_id)
        if (more := len(self._jobs()) - self._jobs_before) != 1:
            raise StackError(f"a restarted triggerer made one job {more}")

    def _check_memory(self) -> None:
        self._measure()
        for name, used in sorted(self._most_memory.items()):
            _tell(f"  {name:<40} {used:>6.0f} MiB")
        total = sum(self._most_memory.values())
        _tell(f"stack_memory_mib {total:.0f}")
        if total > MEMORY_MEBIBYTES:
            raise StackError(f"the stack uses {total:.0f} MiB; it should stay below {MEMORY_MEBIBYTES}")

    def _measure(self) -> None:
        """Remember the moment at which all containers together use most."""
        now = self.stack.memory()
        if sum(now.values()) > sum(self._most_memory.values()):
            self._most_memory = now

    def _jobs(self) -> list[dict[str, Any]]:
        return list(requests.get(f"{self._emulator_url}/_bda/jobs", timeout=60).json()["jobs"])

    def _eventually(self, look: Any, *, what: str) -> Any:
        return eventually(look, what=what, seconds=RUN_SECONDS, meanwhile=[self._measure])


def main() -> int:
    """Return 0 when everything is as it should be; take the stack down in any case."""
    # `kill` and a closed terminal end it like Ctrl-C does: with the stack taken down.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir()
    began = time.monotonic()
    try:
        test = StackTest()
    except StackError as error:
        _tell(f"test-stack: {error}")
        return 1
    try:
        test.run()
    except (StackError, TimeoutError, requests.RequestException) as error:
        test.stack.write_logs(KEPT / "containers.log")
        _tell(f"test-stack: {error}. The containers' logs: {KEPT / 'containers.log'}")
        return 1
    finally:
        test.stack.down()
        _tell(f"screenshots: {KEPT}")
    _tell(f"test-stack: all is well, after {time.monotonic() - began:.0f} s")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _after_preparation(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a task said after Airflow's own preparation, which is folded away."""
    events = [line["event"] for line in lines]
    prepares = events.index("::group::Pre Execute")
    return lines[events.index("::endgroup::", prepares) + 1 :]


def _moment(text: str) -> datetime:
    # Python 3.10 does not know the letter for UTC.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
