"""
Begin or resume a batch, and run a round to its end, for the operator, the trigger and the command.

What has changed since the last round decides what a new try does:

============================================ ==========================================================================
what is different                            what happens
============================================ ==========================================================================
nothing: the same try in another process     the round continues
the try (a retry)                            a new round: unfinished documents continue, ``ServiceError`` gets another
                                             job; the first request is kept, with a warning if the new one differs
the life (the task was cleared)              the same, and every failed document gets another job
the life, and the request or the source      the batch starts over
the life, and ``force``                      the batch starts over, and also runs what earlier batches finished
the run (another one, or one created again)  the batch starts over, unless the other run is still running it
============================================ ==========================================================================
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bda.engine.batch.documents import SUCCEEDED, Round, State
from airflow_bda.engine.batch.ledger import HEARTBEAT_SECONDS, HEARTBEAT_TIMEOUT_SECONDS, Ledger, TakenOverError
from airflow_bda.engine.batch.planning import FinishedIndex, write_plan
from airflow_bda.engine.batch.reporting import MANIFEST, all_rows, conclude
from airflow_bda.engine.batch.runner import Runner
from airflow_bda.engine.batch.store import Folder
from airflow_bda.service.errors import BdaError, BdaRequestError, BdaTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_bda.engine.batch.documents import Row
    from airflow_bda.engine.batch.planning import Source
    from airflow_bda.engine.batch.starting import Jobs
    from airflow_bda.engine.batch.store import Store

FOLDER = "_batch"
_FINISHED = "_finished"
# Tags and notifications do not change a job's results: documents that were finished with others stay finished.
_WITHOUT_EFFECT_ON_RESULTS = frozenset({"tags", "event_bridge_enabled"})


@dataclass(frozen=True)
class Attempt:
    """
    The try of a task that runs a batch.

    :param owner: names the task in its DAG run.
    :param life: names the task's life; a clear changes it.
    :param key: names the try.
    :param run_started: when the run started, in ISO 8601, which a clear of the whole run changes too; on Airflow 2 the
        run's key in the database; None where neither is known.
    :param run_clears: how often the run was cleared; None where Airflow does not tell.
    :param try_number: counts the tries since the run was created, which a clear does not start anew.
    """

    owner: str
    life: str
    key: str
    run_started: str | None = None
    run_clears: int | None = None
    try_number: int = 0

    def is_same_run(self, last: Round) -> bool:
        """
        Whether the last round belongs to the same DAG run.

        A run that was deleted and created again has the same name, another start, and no clears.
        """
        if last.owner != self.owner:
            return False
        if last.run_started == self.run_started or self.run_clears is None or last.run_clears is None:
            return True
        return self.run_clears > last.run_clears

    def is_outdated(self, last: Round) -> bool:
        """
        Whether the last round belongs to a later try, or a later start, of the same DAG run.

        Then Airflow gave this attempt up long ago, while its process was suspended. Mistaken for a clear, it would run
        failed documents again; mistaken for a run that was created again, it would start the batch over.
        """
        mine, lasts = _place_in_time(self.run_started), _place_in_time(last.run_started)
        # A batch may have begun on Airflow 2, and continue after an upgrade.
        if last.owner != self.owner or not mine or type(mine) is not type(lasts):
            return False
        return bool((mine, self.try_number) < (lasts, last.try_number))


@dataclass(frozen=True)
class Order:
    """
    The arguments of a batch.

    :param job: the arguments of :func:`airflow_bda.service.request.build_request` that all documents share,
        ``output_s3_uri`` and ``profile_arn`` among them.
    :param only_changed: whether to skip what an earlier batch on this output finished with the same request.
    :param force: whether to start over.
    :param deadline: when to give up, timezone-aware.
    """

    batch_id: str
    job: dict[str, Any]
    source: Source
    deadline: datetime
    only_changed: bool = True
    force: bool = False


@dataclass(frozen=True)
class World:
    """
    What a batch needs from its surroundings.

    :param now: returns the current time.
    :param log: logs one line.
    :param warn: logs one warning.
    """

    store: Store
    now: Callable[[], datetime]
    log: Callable[[str], None]
    warn: Callable[[str], None]


def batch_folder(store: Store, output_s3_uri: str, batch_id: str) -> Folder:
    """Return the folder of a batch."""
    return Folder(store, f"{output_s3_uri.rstrip('/')}/{FOLDER}/{batch_id}")


def job_digest(job: dict[str, Any]) -> str:
    """Return the digest of the arguments that determine a document's results: the request without its input."""
    asked = {name: value for name, value in job.items() if name not in _WITHOUT_EFFECT_ON_RESULTS and value is not None}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


async def begin(order: Order, attempt: Attempt, world: World) -> Ledger:
    """
    Take a batch over, and begin it, plan it and begin this attempt's round, as far as that was not done.

    :return: the ledger, owned; the caller closes it.
    :raises BdaRequestError: when another run is running the batch, or the arguments are not valid.
    :raises BdaError: when S3 refuses a call.
    """
    order.source.check_apart_from(order.job["output_s3_uri"])
    folder = batch_folder(world.store, order.job["output_s3_uri"], order.batch_id)
    ledger = Ledger(folder, world.now)
    await ledger.take_over(is_allowed=partial(_check_free, order, attempt))
    try:
        await _begin_anew(ledger, order, attempt, world)
        if ledger.state.plan is None:
            await _plan(ledger, order, world)
        await _begin_round(ledger, order, attempt, world)
    except BaseException:
        await ledger.close()
        raise
    return ledger


def _place_in_time(run_started: str | None) -> Any:
    """Return a value that orders the starts of a run: the key on Airflow 2, which grows, or the time."""
    text = run_started or ""
    try:
        return int(text) if text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        return ""


def _check_free(order: Order, attempt: Attempt, state: State, idle_seconds: float | None) -> None:
    last = state.round
    if last is not None and attempt.is_outdated(last):
        raise BatchMovedOnError("A later try of the task owns the batch.")
    is_anothers = last is not None and last.owner != attempt.owner and not last.is_finished
    if is_anothers and idle_seconds is not None and idle_seconds < HEARTBEAT_TIMEOUT_SECONDS:
        raise BdaRequestError(
            f"The batch {order.batch_id!r} on {order.job['output_s3_uri']} is being run by another DAG run.",
            remedy="Let that run end, or pass another batch_id. Without batch_id, every run has a batch of its own.",
        )


async def _begin_anew(ledger: Ledger, order: Order, attempt: Attempt, world: World) -> None:
    state = ledger.state
    source = order.source.to_json()
    if state.life is not None:
        changed = _changed(state, order.job, source)
        is_same_life = state.round is None or state.round.life == attempt.life
        if state.round is not None and not attempt.is_same_run(state.round):
            why = "another DAG run owns it now, or the run was created again"
        elif is_same_life:
            if changed:
                world.warn(
                    f"{', '.join(changed)} changed since the batch began. The batch continues with the values that "
                    "it began with; clear the task to start over with the new ones."
                )
            return
        elif order.force:
            why = "force=True"
        elif changed:
            why = f"{', '.join(changed)} changed"
        else:
            return
        if world.now() >= order.deadline:
            # No job could be started any more, and the rows of the finished documents would be lost. A process that was
            # suspended while later tries did the work gets here.
            raise BdaTimeoutError(
                f"The deadline has passed: the batch {order.batch_id!r} was not started over ({why}).",
                remedy="Nothing was changed. Clear the task to start over.",
            )
        world.log(f"The batch {order.batch_id} starts over: {why}.")
    await ledger.write(
        {
            "t": "begin",
            "life": uuid.uuid4().hex,
            "job": order.job,
            "source": source,
            "at": world.now().isoformat(timespec="seconds"),
        }
    )


def _changed(state: State, job: dict[str, Any], source: dict[str, Any]) -> list[str]:
    """Return the names of the arguments that differ from those that the batch began with."""
    # As JSON, like those in the ledger, where a tuple is a list.
    old, new = {**state.job, **state.source}, json.loads(json.dumps({**job, **source}))
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


async def _plan(ledger: Ledger, order: Order, world: World) -> None:
    # The name has the owner and the life, so that an unfinished plan is never mistaken for a finished one.
    name = f"plan-{ledger.owner}-{str(ledger.state.life)[:8]}"
    index = FinishedIndex(_index_folder(ledger, order.job))
    skip = order.only_changed and not order.force
    plan = await write_plan(ledger.folder, name, order.source, index.rows() if skip else _none())
    await ledger.write({"t": "plan", "plan": plan.name, "documents": plan.documents, "left_out": plan.left_out})
    world.log(f"The batch {order.batch_id} has {plan.documents} documents; {sum(plan.left_out.values())} left out.")


async def _none() -> AsyncIterator[Row]:
    return
    yield {}


def _index_folder(ledger: Ledger, job: dict[str, Any]) -> Folder:
    return Folder(
        ledger.folder.store, f"{job['output_s3_uri'].rstrip('/')}/{FOLDER}/{_FINISHED}/{job_digest(job)[:32]}"
    )


async def _begin_round(ledger: Ledger, order: Order, attempt: Attempt, world: World) -> None:
    last = ledger.state.round
    if last is not None and last.key == attempt.key:
        return
    number = last.number + 1 if last else 1
    cleared_in = number if last is not None and last.life != attempt.life else last.cleared_in if last else 0
    this = Round(number, order.deadline.isoformat(), **asdict(attempt), cleared_in=cleared_in)
    await ledger.write({"t": "round", "round": asdict(this)})
    if last is not None:
        world.log(f"Resuming the batch {order.batch_id}, round {number}: documents that are unfinished or failed.")


async def run_round(
    ledger: Ledger,
    jobs: Jobs,
    world: World,
    *,
    max_in_flight: int,
    on_start: Callable[[Runner], None] = lambda _: None,
) -> dict[str, Any]:
    """
    Run the ledger's round to its end.

    :param on_start: is called with the runner, which has the counts.
    :return: the manifest. Failed documents raise no error here; the manifest has them.
    :raises TakenOverError: when another runner took the batch over.
    :raises BdaError: an error that concerns the whole batch. ``results.jsonl`` has the rows so far.
    """
    state = ledger.state
    assert state.round is not None, "there is no round to run"  # noqa: S101
    if state.round.is_finished:
        found = await ledger.folder.read_lines(MANIFEST)
        return dict(found[0])
    runner = Runner(ledger, jobs, max_in_flight=max_in_flight, now=world.now, log=world.log)
    on_start(runner)
    try:
        await runner.run()
    except TakenOverError:
        raise
    except BdaError:
        await _conclude(ledger, world)
        raise
    manifest = await _conclude(ledger, world)
    if manifest["counts"][SUCCEEDED]:
        await FinishedIndex(_index_folder(ledger, state.job)).add(lambda: all_rows(ledger))
    await ledger.write({"t": "finish"})
    return manifest


async def _conclude(ledger: Ledger, world: World) -> dict[str, Any]:
    job = ledger.state.job
    return await conclude(
        ledger,
        output_s3_uri=job["output_s3_uri"],
        batch_id=ledger.folder.uri.rpartition("/")[2],
        digest=job_digest(job),
        now=world.now,
    )


async def run_or_follow(folder: Folder, key: str, jobs: Jobs, world: World, *, max_in_flight: int) -> dict[str, Any]:
    """
    Run a round that was begun, or wait for the runner that took it over: two triggerers may run one trigger.

    :param key: the try that the round must belong to.
    :return: the manifest.
    :raises BatchMovedOnError: when a later try owns the batch.
    """
    while True:
        ledger = Ledger(folder, world.now)
        try:
            await ledger.take_over(is_allowed=partial(_check_key, key))
            return await run_round(ledger, jobs, world, max_in_flight=max_in_flight)
        except TakenOverError:
            world.warn(f"Another runner has taken over the batch at {folder.uri}; waiting for its result.")
        finally:
            await ledger.close()
        manifest = await _follow(folder, key, world)
        if manifest is not None:
            return manifest


def _check_key(key: str, state: State, _: float | None) -> None:
    if state.round is None or state.round.key != key:
        raise BatchMovedOnError("A later try of the task owns the batch.")


class BatchMovedOnError(BdaError):
    """Another try owns the batch now; the round of this one will not end."""


async def _follow(folder: Folder, key: str, world: World) -> dict[str, Any] | None:
    """Wait for the owner to end, and return its manifest; None when it has written nothing for too long."""
    loop = asyncio.get_running_loop()
    ledger = Ledger(folder, world.now)
    heard_at, last = loop.time(), 0
    while loop.time() - heard_at < HEARTBEAT_TIMEOUT_SECONDS:
        await ledger.read()
        _check_key(key, ledger.state, None)
        if ledger.state.round is not None and ledger.state.round.is_finished:
            return dict((await folder.read_lines(MANIFEST))[0])
        if ledger.number != last:
            heard_at, last = loop.time(), ledger.number
        await asyncio.sleep(HEARTBEAT_SECONDS / 3)
    return None
