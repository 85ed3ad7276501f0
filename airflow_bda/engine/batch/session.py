"""
Begin a batch, take one up again, and bring a round to its end: what the operator, the trigger and the command call.

What a new try finds decides what it does:

============================================ ==========================================================================
what is different                            what happens
============================================ ==========================================================================
nothing: the same try in another process     the round goes on where it was
the try (a retry)                            a new round: what is unfinished goes on, ``ServiceError`` gets another job;
                                             the request stays the first one's, with a warning where it differs
the life (the task was cleared)              likewise, and every failed document gets another job
the life, and the request or the source      the batch starts over
the life, and ``force``                      the batch starts over, and takes up what earlier batches finished too
the run (another one, or one made anew)      the batch starts over, once nobody runs it any more
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
from airflow_bda.engine.batch.ledger import BEAT_SECONDS, SILENCE_SECONDS, Ledger, TakenOverError
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
# These say who is told and what a job is called, not what comes out of it: changing them makes no document unfinished.
_WITHOUT_EFFECT_ON_RESULTS = frozenset({"tags", "event_bridge_enabled"})


@dataclass(frozen=True)
class Attempt:
    """
    Who takes a batch up.

    :param owner: names the task in its DAG run.
    :param life: names the task's life; a clear changes it.
    :param key: names the try.
    :param run_started: when the run started, in ISO 8601, which a clear of the whole run changes too; on Airflow 2 the
        run's key in the database; None where neither is known.
    :param run_clears: how often the run was cleared; None where Airflow does not tell.
    """

    owner: str
    life: str
    key: str
    run_started: str | None = None
    run_clears: int | None = None

    def is_same_run(self, last: Round) -> bool:
        """
        Whether the last round belongs to the same DAG run.

        One that was deleted and created again has the same name. It has started anew, and has not been cleared since.
        """
        if last.owner != self.owner:
            return False
        if last.run_started == self.run_started or self.run_clears is None or last.run_clears is None:
            return True
        return self.run_clears > last.run_clears

    def is_outdated(self, last: Round) -> bool:
        """
        Whether the last round belongs to a later start of the same DAG run.

        Then Airflow gave this attempt up long ago, and its process stood still meanwhile. Taken for a run that was made
        anew, it would start the batch over.
        """
        mine, lasts = _place_in_time(self.run_started), _place_in_time(last.run_started)
        # A batch may have begun on Airflow 2, and go on after an upgrade.
        return last.owner == self.owner and type(mine) is type(lasts) and mine < lasts


@dataclass(frozen=True)
class Order:
    """
    A batch as it was asked for.

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
    What a batch runs in.

    :param now: tells the time of day.
    :param tell: logs one line.
    :param warn: logs one warning.
    """

    store: Store
    now: Callable[[], datetime]
    tell: Callable[[str], None]
    warn: Callable[[str], None]


def batch_folder(store: Store, output_s3_uri: str, batch_id: str) -> Folder:
    """Return the folder of a batch."""
    return Folder(store, f"{output_s3_uri.rstrip('/')}/{FOLDER}/{batch_id}")


def job_digest(job: dict[str, Any]) -> str:
    """Return the digest of what decides a document's results: the request without its input."""
    asked = {name: value for name, value in job.items() if name not in _WITHOUT_EFFECT_ON_RESULTS and value is not None}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


async def begin(order: Order, attempt: Attempt, world: World) -> Ledger:
    """
    Take a batch over, and bring it to where its round can run: begun, planned, in a round of this attempt.

    :return: the ledger, owned; the caller closes it.
    :raises BdaRequestError: when the batch is in use by another run, or what was asked for makes no sense.
    :raises BdaError: when S3 refuses.
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
    """Return what orders the starts of a run: its key on Airflow 2, which grows, or its time."""
    text = run_started or ""
    try:
        return int(text) if text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        return ""


def _check_free(order: Order, attempt: Attempt, state: State, silence: float | None) -> None:
    last = state.round
    if last is not None and attempt.is_outdated(last):
        raise BatchMovedOnError("A later try of the task has the batch.")
    is_anothers = last is not None and last.owner != attempt.owner and not last.is_finished
    if is_anothers and silence is not None and silence < SILENCE_SECONDS:
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
            why = "another DAG run has it now, or the run was created anew"
        elif is_same_life:
            if changed:
                world.warn(
                    f"{', '.join(changed)} changed since the batch began. It goes on with what it began with; clear "
                    "the task to start over with the new values."
                )
            return
        elif order.force:
            why = "force=True"
        elif changed:
            why = f"{', '.join(changed)} changed"
        else:
            return
        if world.now() >= order.deadline:
            # Nothing could be started any more, and the rows of what was done would be lost. A process that stood still
            # while later tries did the work comes here.
            raise BdaTimeoutError(
                f"The batch {order.batch_id!r} was to start over ({why}), and the deadline has passed.",
                remedy="Nothing was changed. Clear the task to start over.",
            )
        world.tell(f"The batch {order.batch_id} starts over: {why}.")
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
    """Name the arguments that are not what the batch began with."""
    # As the ledger would have them: a tuple is a list there.
    old, new = {**state.job, **state.source}, json.loads(json.dumps({**job, **source}))
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


async def _plan(ledger: Ledger, order: Order, world: World) -> None:
    # Named by the owner and the life: a plan that was not finished is never taken for one that was.
    name = f"plan-{ledger.owner}-{str(ledger.state.life)[:8]}"
    index = FinishedIndex(_index_folder(ledger, order.job))
    skip = order.only_changed and not order.force
    plan = await write_plan(ledger.folder, name, order.source, index.rows() if skip else _none())
    await ledger.write({"t": "plan", "plan": plan.name, "documents": plan.documents, "left_out": plan.left_out})
    world.tell(f"The batch {order.batch_id} has {plan.documents} documents; {sum(plan.left_out.values())} left out.")


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
        world.tell(f"Taking the batch {order.batch_id} up again, round {number}: what is unfinished or failed.")


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

    :param on_start: is given the runner, to watch it.
    :return: the manifest. Documents that failed are in it; they are no error here.
    :raises TakenOverError: when another runner took the batch over.
    :raises BdaError: when something concerns the whole batch. ``results.jsonl`` tells how far it came.
    """
    state = ledger.state
    assert state.round is not None, "there is no round to run"  # noqa: S101
    if state.round.is_finished:
        found = await ledger.folder.read_lines(MANIFEST)
        return dict(found[0])
    runner = Runner(ledger, jobs, max_in_flight=max_in_flight, now=world.now, tell=world.tell)
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
    Run a round that was begun, or follow the runner that took it over: two triggerers may run one trigger.

    :param key: the try that the round must belong to.
    :return: the manifest.
    :raises TakenOverError: when a later try has the batch.
    """
    while True:
        ledger = Ledger(folder, world.now)
        try:
            await ledger.take_over(is_allowed=partial(_check_key, key))
            return await run_round(ledger, jobs, world, max_in_flight=max_in_flight)
        except TakenOverError:
            world.warn(f"Another runner has taken the batch at {folder.uri} over; following it.")
        finally:
            await ledger.close()
        manifest = await _follow(folder, key, world)
        if manifest is not None:
            return manifest


def _check_key(key: str, state: State, _: float | None) -> None:
    if state.round is None or state.round.key != key:
        raise BatchMovedOnError("A later try of the task has the batch.")


class BatchMovedOnError(BdaError):
    """The batch is in a round of another try; who waits for an earlier one waits for nothing."""


async def _follow(folder: Folder, key: str, world: World) -> dict[str, Any] | None:
    """Watch the owner; return the manifest at its end, and None when nothing was heard of it for long."""
    loop = asyncio.get_running_loop()
    ledger = Ledger(folder, world.now)
    heard_at, last = loop.time(), 0
    while loop.time() - heard_at < SILENCE_SECONDS:
        await ledger.read()
        _check_key(key, ledger.state, None)
        if ledger.state.round is not None and ledger.state.round.is_finished:
            return dict((await folder.read_lines(MANIFEST))[0])
        if ledger.number != last:
            heard_at, last = loop.time(), ledger.number
        await asyncio.sleep(BEAT_SECONDS / 3)
    return None
