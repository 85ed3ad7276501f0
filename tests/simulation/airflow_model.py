"""
Airflow as tasks see it: runs, tries, clears, the task state store and deferral, on each supported version.

The operators, triggers and the identity of tasks are the real ones. What stands in for Airflow are the facts that it
gives to a task, and when it changes them (docs/decisions/0002-one-job-for-a-document.md); what stands in for AWS is
below the hook.
"""

from __future__ import annotations

import io
import itertools
import json
import logging
from contextlib import ExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from batch_model import EPOCH, ModelJobs, ModelStore
from sqlalchemy.util import await_only, greenlet_spawn

from airflow_bda import _compat
from airflow_bda.engine.submitting import submit
from airflow_bda.engine.waiting import Wait, wait_for_job
from airflow_bda.hooks import batch as batch_hooks
from airflow_bda.hooks import task_arguments
from airflow_bda.links import bda as links
from airflow_bda.operators import bda_batch, one_job
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.triggers import bda as status_trigger
from airflow_bda.triggers import bda_batch as batch_trigger

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Iterator

    from batch_model import Model, Process

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

VERSIONS = ((2, 11), (3, 0), (3, 2), (3, 3), (3, 4))
# The process that the running code belongs to.
here: ContextVar[Process] = ContextVar("here")


@dataclass
class RunModel:
    """
    A DAG run.

    :param now: Airflow's own clock, in seconds; it never jumps.
    """

    version: tuple[int, int]
    now: Callable[[], float]
    # As a database counts.
    keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.create()

    def create(self) -> None:
        """Make the run, or make it anew under the same run_id after it was deleted."""
        self.key, self.clears, self.started = next(self.keys), 0, self.now()

    def clear(self, *, has_ended: bool) -> None:
        """Clear some task of the run. One that had ended starts anew."""
        self.clears += 1
        if has_ended:
            self.started = self.now()

    def as_given(self) -> SimpleNamespace:
        started = EPOCH + timedelta(seconds=self.started)
        run = SimpleNamespace(run_id="run", start_date=started, clear_number=self.clears)
        if self.version < (3, 0):
            run.id = self.key
        return run


class TaskModel:
    """
    A task instance: its tries, its clears, and what it pushed.

    :param map_index: -1 for one that is not mapped.

    """

    def __init__(self, run: RunModel, rng: random.Random, *, retries: int, map_index: int = -1) -> None:
        self.run, self.rng, self.retries, self.map_index = run, rng, retries, map_index
        self.create()

    def create(self) -> None:
        """Make the task instance, with its run."""
        self.try_number, self.max_tries = 0, self.retries
        self.store: dict[str, str] = {}
        self.xcoms: dict[str, Any] = {}
        self.is_cleared = False
        self._new_trace()

    def next_try(self, *, again: bool = False) -> bool:
        """
        Begin a try; return whether it is another one.

        :param again: whether Airflow starts the same try again, as a queue that delivers twice makes it do.
        """
        if again and not self.is_cleared:
            return False
        self.try_number += 1
        self.xcoms, self.is_cleared = {}, False
        return True

    @property
    def may_retry(self) -> bool:
        return self.try_number <= self.max_tries

    def clear(self, *, run_has_ended: bool) -> None:
        """Clear the task, which has ended or is deferred."""
        self.max_tries = self.try_number + self.retries
        self.is_cleared = True
        self._new_trace()
        self.run.clear(has_ended=run_has_ended)
        if self.run.version >= (3, 4) and self.rng.random() < 0.5:
            # The user chooses; without his choice it goes.
            self.store.clear()

    def clear_running(self) -> None:
        """Clear the task while it runs: Airflow ends its process, and tries it again."""
        self.run.clear(has_ended=False)
        self.is_cleared = True
        self._new_trace()

    def _new_trace(self) -> None:
        self.trace = f"00-{self.rng.getrandbits(128):032x}-{self.rng.getrandbits(64):016x}-00"

    def context(self, process: Process) -> dict[str, Any]:
        """Return what a try is given; made anew for each process."""
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="task",
            map_index=self.map_index,
            try_number=self.try_number,
            max_tries=self.max_tries,
            start_date=None,
            task=None,
            job_id=1,
            xcom_push=self.xcoms_of(process),
        )
        if self.run.version >= (3, 2):
            ti.context_carrier = {"traceparent": self.trace}
        context = {"ti": ti, "dag_run": self.run.as_given()}
        if self.run.version >= (3, 3):
            context["task_state_store"] = StateStore(process, self.store)
        return context

    def xcoms_of(self, process: Process) -> Callable[..., None]:
        pushed = self.xcoms

        def push(key: str, value: Any, **_: Any) -> None:
            if not process.is_dead:
                pushed[key] = json.loads(json.dumps(value))

        return push


@dataclass
class StateStore:
    """The task state store of Airflow 3.3 and later, which is asked over HTTP: a process can die at each call."""

    process: Process
    kept: dict[str, str]

    def get(self, key: str, default: Any = None) -> Any:
        found = await_only(self.process.step(lambda: self.kept.get(key), of_aws=False))
        return default if found is None else json.loads(found)

    def set(self, key: str, value: Any) -> None:
        body = json.dumps(value)
        await_only(self.process.step(lambda: self.kept.update({key: body}), of_aws=False))


class ModelHook:
    """The part of BdaHook that tasks call, above a modelled AWS."""

    conn_region_name = "us-east-1"
    emulator_url = None

    def __init__(self, process: Process) -> None:
        self.process = process
        self.jobs = ModelJobs(process)
        self.s3 = SimpleNamespace(get_object=self._get_object)

    @property
    def identity(self) -> str:
        return self.process.name

    async def identity_patiently(self) -> str:
        return self.process.name

    def build_request(self, **arguments: Any) -> InvocationRequest:
        given = {name: value for name, value in arguments.items() if value is not None}
        return self.jobs.request(given, given.pop("input_s3_uri"))

    def submit(self, request: InvocationRequest, *, deadline: datetime) -> str:
        call = submit(lambda: self.jobs.invoke(request), deadline=deadline, wall_clock=self.process.model.now)
        return str(await_only(call))

    def last_state(self, invocation_arn: str) -> JobState | None:
        wait = self._wait(invocation_arn, self.process.model.now(), None)
        outcome = await_only(wait_for_job(wait))
        if outcome.state is None and outcome.error is not None and not outcome.timed_out:
            raise outcome.error
        return outcome.state

    def outcome(self, invocation_arn: str, *, deadline: datetime, poll_interval: float | None, **_: Any) -> Any:
        return await_only(wait_for_job(self._wait(invocation_arn, deadline, poll_interval)))

    async def outcome_async(
        self, invocation_arn: str, *, deadline: datetime, poll_interval: float | None, **_: Any
    ) -> Any:
        return await wait_for_job(self._wait(invocation_arn, deadline, poll_interval))

    def _wait(self, invocation_arn: str, deadline: datetime, poll_interval: float | None) -> Wait:
        return Wait(
            invocation_arn,
            deadline,
            self.jobs.connection,
            self.jobs.limits,
            poll_interval,
            has_worked=True,
            wall_clock=self.process.model.now,
        )

    def _get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  boto3's names
        objects = self.process.model.objects
        body, _ = await_only(self.process.step(lambda: objects[f"s3://{Bucket}/{Key}"], of_aws=False))
        return {"Body": io.BytesIO(body)}


async def execute(operator: Any, context: dict[str, Any], process: Process) -> Any:
    """
    Run a task's ``execute`` in a process.

    :return: what it returned, or the trigger that it deferred to.
    """
    return await _run_sync(operator, process, lambda: type(operator).execute.__wrapped__(operator, context))


async def resume(operator: Any, context: dict[str, Any], process: Process, event: Any, tried: int) -> Any:
    """Run a task's ``execute_complete`` with a trigger's event in a process."""
    work = lambda: operator.execute_complete(context, event, deferred_in_try=tried)  # noqa: E731
    return await _run_sync(operator, process, work)


async def _run_sync(operator: Any, process: Process, work: Callable[[], Any]) -> Any:
    here.set(process)
    # Where the cached property of the Amazon provider's base would put it.
    operator.__dict__["hook"] = ModelHook(process)
    try:
        return await greenlet_spawn(work)
    except TaskDeferred as deferral:
        return deferral.trigger


async def fire(trigger: Any, process: Process) -> Any:
    """Run a trigger in a process, as a triggerer makes it from what was stored, until its event."""
    here.set(process)
    _, arguments = trigger.serialize()
    async for event in type(trigger)(**json.loads(json.dumps(arguments))).run():
        # A triggerer stores it, and a worker reads it.
        return json.loads(json.dumps(event.payload))
    raise AssertionError


class _Log:
    """Airflow's log of a task or a trigger: lines of the schedule's story."""

    def _tell(self, line: str, *arguments: Any, **_: Any) -> None:
        process = here.get(None)
        if process is not None:
            process.model.tell(f"{process.name}: {line % arguments if arguments else line}")

    debug = info = warning = error = exception = _tell


@contextmanager
def in_place_of_airflow(model: Model, version: tuple[int, int]) -> Iterator[None]:
    """Let tasks and triggers see this version, the model's clocks and its AWS."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # noqa: ARG003  datetime's
            return model.now()

    @asynccontextmanager
    async def clients(hook: ModelHook, _: str) -> AsyncIterator[tuple[ModelStore, ModelJobs]]:
        yield ModelStore(hook.process), hook.jobs

    stack = ExitStack()
    for module in (task_arguments, one_job, status_trigger, bda_batch, batch_trigger):
        stack.enter_context(mock.patch.object(module, "datetime", Clock))
    for target, name, value in (
        (one_job, "time", SimpleNamespace(monotonic=model.loop.time)),
        (one_job, "count", lambda *_: None),
        (one_job, "runs_in_the_caller", lambda _: False),
        (_compat, "_AIRFLOW", version),
        (bda_batch, "run_to_the_end", lambda make: await_only(make())),
        (batch_hooks, "batch_clients", clients),
        (status_trigger.ConnectedTrigger, "hook_in", lambda *_: ModelHook(here.get())),
        (SafeLogging, "log", _Log()),
        (links, "push_link", lambda *_: None),
    ):
        stack.enter_context(mock.patch.object(target, name, value))
    with stack:
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)
