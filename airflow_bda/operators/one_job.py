"""
Exactly one job for a document, however often its task is tried.

The client token is the same in every try of one life of a task instance, so the service answers a repeated request
with the invocation that it already has
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html).
Airflow 3.3 and later also keep an *intent* in the task state store, written before the job is submitted: a retry whose
request differs still finds the job. Only a job that was seen to have ended in ``ServiceError`` is followed by another
one, and a try makes one at most.

A *life* goes from the creation of a task instance, or from its last clear, to its next clear.
docs/decisions/0002-one-job-for-a-document.md says which facts identify it, and has the table of what leads to the
same job and what to a new one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import (
    conf,
    count,
    facts_of_life,
    loop_position,
    may_keep_task_state_on_clear,
    runs_in_the_caller,
    task_state_store,
)
from airflow_bda.service.arguments import MEMBER_OF_ARGUMENT
from airflow_bda.service.errors import BdaError, BdaRequestError
from airflow_bda.service.safe_values import safe_logger
from airflow_bda.service.statuses import JobOutcome, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

log = safe_logger(__name__)

# The key in the task state store. Another one would lose the jobs that are in flight.
_KEY = "bda_job"
# No job of BDA is known to end sooner. Asked only where the service does not say when a job was submitted.
_SHORTEST_JOB_SECONDS = 2.0
# Writing an intent takes a moment. A process that needs longer was suspended, perhaps until Airflow gave it up: after
# five minutes without a heartbeat, unless [scheduler] task_instance_heartbeat_timeout says otherwise.
_SUSPENDED_SECONDS = 45.0


@dataclass(frozen=True)
class Job:
    """
    The job that a task is about.

    :param state: how it stood when it was found; None for one just submitted, or whose state is not known.
    """

    invocation_arn: str
    state: JobState | None = None

    def outcome(self) -> JobOutcome | None:
        """Return how it ended; None while it runs."""
        return JobOutcome.of_state(self.state) if self.state and self.state.status.is_terminal else None


@dataclass(frozen=True)
class Intent:
    """
    What a task is about to submit, or has submitted, as the task state store keeps it.

    :param life: the digest of the task's identity: another one after a clear.
    :param request: the digest of the request, of which the client token is made.
    :param arguments: a digest for each argument, to say later which one changed. Never their values.
    :param generation: how many jobs of this life were seen to end in ``ServiceError``.
    :param invocation_arn: the job, as soon as it is known.
    """

    life: str
    request: str
    arguments: Mapping[str, str]
    generation: int = 0
    invocation_arn: str | None = None

    @classmethod
    def to_submit(cls, identity: TaskIdentity, request: InvocationRequest, generation: int) -> Intent:
        """Make the intent to submit a request."""
        life = identity.digest()
        asked = {name: request.argument(name) for name in MEMBER_OF_ARGUMENT if name != "client_token"}
        # The life is part of each, so that equal values of two tasks cannot be told from the store.
        digests = {
            name: hashlib.sha256(json.dumps([life, name, value], sort_keys=True).encode()).hexdigest()[:16]
            for name, value in asked.items()
            if value is not None
        }
        return cls(life, request.digest(), digests, generation)

    def changed(self, other: Intent) -> list[str]:
        """Return the arguments in which two intents differ, as text."""
        names = sorted(self.arguments.keys() | other.arguments.keys())
        return [name for name in names if self.arguments.get(name) != other.arguments.get(name)]


class JobMemory:
    """
    The intent of a task, in Airflow's task state store (3.3 and later).

    A store that fails or is missing loses only what it alone holds: the client token still leads to
    the job.
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        self.is_there = (store := task_state_store(context)) is not None
        self._store = store

    def recall(self) -> Intent | str | None:
        """Return what is kept: an intent, or an ARN alone where something else than this module wrote it."""
        if self._store is None:
            return None
        try:
            found = self._store.get(_KEY)
            if isinstance(found, dict):
                return Intent(**found)
        except Exception:  # whatever a state backend raises, and what another release may have written
            log.warning("The task state store could not be read; going by the client token.", exc_info=True)
            return None
        return found if isinstance(found, str) else None

    def keep(self, intent: Intent) -> float:
        """Store an intent in place of the one before, and return how many seconds that took."""
        if self._store is None:
            return 0.0
        began = time.monotonic()
        try:
            self._store.set(_KEY, asdict(intent))
        except Exception:  # as above
            log.warning("The task state store could not be written.", exc_info=True)
        return time.monotonic() - began


def start_or_find(
    request: InvocationRequest,
    context: Mapping[str, Any],
    *,
    submit: Callable[[InvocationRequest], str],
    last_state: Callable[[str], JobState | None],
    on_found: Callable[[str], None],
) -> Job:
    """
    Start the task's job, or find the one that an earlier try started.

    :param submit: sends a request, with retries, and returns the invocation's ARN.
    :param last_state: asks for an invocation's state, with retries; None where it cannot be asked.
    :param on_found: is told each ARN as soon as it is known, before the job's state is asked for.
    :raises BdaRequestError: when the service refuses a request whose earlier form may have started a job.
    """
    return _Search(request, context, submit, last_state, on_found).job()


class _Search:
    """One try's search for the one job of its task."""

    def __init__(
        self,
        request: InvocationRequest,
        context: Mapping[str, Any],
        submit: Callable[[InvocationRequest], str],
        last_state: Callable[[str], JobState | None],
        on_found: Callable[[str], None],
    ) -> None:
        self._request = request
        self._ti = context["ti"]
        self._identity = task_identity(context)
        self._memory = JobMemory(context)
        self._submit = submit
        self._last_state = last_state
        self._on_found = on_found

    def job(self) -> Job:
        known = self._known()
        wanted = Intent.to_submit(self._identity, self._request, 0)
        if known is None:
            self._count("fresh_submit")
            return self._by_token(wanted)
        changed = known.changed(wanted)
        if known.invocation_arn:
            if changed:
                log.warning(
                    "The request differs from that of an earlier try (%s); following the job of that try. "
                    "Clear the task to start a job for the new request.",
                    ", ".join(changed),
                )
            return self._followed(known, known.invocation_arn)
        # The earlier try ended between its intent and the answer. If the service has its job, its token finds it.
        self._count("fresh_submit")
        if changed:
            log.warning(
                "The request differs from that of an earlier try (%s), which may have started a job; sending it with "
                "the token of that try, so that there is one job at most.",
                ", ".join(changed),
            )
        return self._send(known, changed=changed)

    def _known(self) -> Intent | None:
        """Return the intent of an earlier try of this life."""
        found = self._memory.recall()
        if isinstance(found, str):
            found = replace(Intent.to_submit(self._identity, self._request, 0), invocation_arn=found)
        if found is None or found.life == self._identity.digest():
            return found
        keeps = may_keep_task_state_on_clear() and conf.getboolean("bda", "reattach_after_clear", fallback=False)
        if not keeps or not found.invocation_arn:
            return None
        log.info("The task was cleared and its state was kept.")
        return found

    def _followed(self, known: Intent, arn: str) -> Job:
        """Use a job whose ARN is known, unless it failed on the side of the service."""
        self._count("reconnect_attempt")
        self._on_found(arn)
        state = self._last_state(arn)
        if state is not None and state.status is JobStatus.SERVICE_ERROR:
            self._count("terminal_resubmit")
            log.info("The job of an earlier try ended in ServiceError, and one new job follows it: %s", arn)
            return self._send(Intent.to_submit(self._identity, self._request, known.generation + 1))
        self._count("already_succeeded" if state and state.status is JobStatus.SUCCESS else "reconnect_success")
        log.info("Found the job that an earlier try started: %s", arn)
        return Job(arn, state)

    def _by_token(self, first: Intent) -> Job:
        """
        Find the job by the token alone, where no earlier try is known to have submitted one.

        A submit cannot tell whether it made a job or found one. So a failed job is only followed by the next one where
        it is certain that this try did not make it.
        """
        for generation in itertools.count():
            began, began_at = time.monotonic(), datetime.now(timezone.utc)
            job = self._send(replace(first, generation=generation))
            # Each try makes one job at the most: before this one there can be no more generations than earlier tries.
            if self._ti.try_number <= generation + 1:
                return job
            state = self._last_state(job.invocation_arn)
            if state is None or state.status is not JobStatus.SERVICE_ERROR:
                return replace(job, state=state)
            if _may_be_new(state, began_at=began_at, elapsed=time.monotonic() - began):
                return job
            log.info("The job of an earlier try ended in ServiceError: %s", job.invocation_arn)
        raise AssertionError  # count() has no end

    def _send(self, intent: Intent, *, changed: list[str] | None = None) -> Job:
        """Store the intent, submit it, and store the ARN."""
        _check_not_suspended(self._memory.keep(intent))
        token = self._identity.client_token(intent.request, intent.generation)
        try:
            arn = self._submit(self._request.with_client_token(token))
        except BdaRequestError as error:
            if not changed:
                raise
            raise error.about(
                remedy=f"An earlier try may have started a job with other values of {', '.join(changed)}, and its "
                "ARN is not known. Clear the task to start a new job."
            ) from error
        self._on_found(arn)
        self._memory.keep(replace(intent, invocation_arn=arn))
        return Job(arn)

    def _count(self, decision: str) -> None:
        """Count as Airflow's own ResumableJobMixin does, so that its dashboards count these jobs too."""
        if not self._memory.is_there:
            return
        tags = {"operator": type(getattr(self._ti, "task", None)).__name__}
        if team := (getattr(self._ti, "stats_tags", None) or {}).get("team_name"):
            tags["team_name"] = team
        count(f"resumable_job.{decision}", tags)


def _check_not_suspended(seconds: float) -> None:
    """
    Raise an error after a long pause: another try may have sent another request meanwhile, with another token.

    :param seconds: how long it took to store the intent.
    """
    if seconds > _SUSPENDED_SECONDS:
        raise BdaError(
            f"This process was suspended for {seconds:.0f} s before it could submit the job, and Airflow may have "
            "started another try meanwhile.",
            remedy="Nothing was sent. A retry of the task follows the job of the other try, or starts one.",
        )


def _may_be_new(state: JobState, *, began_at: datetime, elapsed: float) -> bool:
    """
    Whether a job that has ended may be one that this try has just made.

    :param began_at: when this try began to submit, by this machine's clock.
    :param elapsed: seconds from then until the state was answered.
    """
    if state.submitted_at is None:
        return elapsed > _SHORTEST_JOB_SECONDS
    # A job that ran for longer than this try was not made by it, whatever the clocks of this machine and the service
    # say. Both times may be in whole seconds.
    if state.completed_at is not None and state.completed_at - state.submitted_at > timedelta(seconds=elapsed + 1):
        return False
    # The service's times may be in seconds or in milliseconds, cut off.
    step = next(step for step in (1_000_000, 1000, 1) if not state.submitted_at.microsecond % step)
    return state.submitted_at >= began_at - timedelta(microseconds=began_at.microsecond % step)


# Tasks that run within `airflow dags test` or `dag.test()`: before Airflow 3.4, nothing that Airflow tells them differs
# from one such run to the next of the same date. All tries of one are in one process.
_lives_in_this_process: dict[tuple[str, str, str, int], str] = {}


@dataclass(frozen=True)
class TaskIdentity:
    """
    The work of a task instance, the same in all of its tries.

    :param map_index: -1 for a task that is not mapped.
    :param life: facts that stay the same from try to try, and differ after a clear or in a run that was made anew.
    :param loop: the region and the iteration of a Task Loop (Airflow 3.4); None outside of loops.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    life: tuple[str, ...] = ()
    loop: tuple[str, int] | None = None

    def digest(self, *more: object) -> str:
        """
        Return the SHA-256 of the identity, as 64 hex digits.

        :param more: what else to digest with it.
        """
        parts: list[object] = [self.dag_id, self.run_id, self.task_id, self.map_index, list(self.life)]
        if self.loop is not None:
            # Left out where there is none, so that tokens are the same on versions without loops.
            parts.append(list(self.loop))
        # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") are different texts.
        return hashlib.sha256(json.dumps([*parts, *more]).encode()).hexdigest()

    def client_token(self, request_digest: str, generation: int) -> str:
        """
        Return the client token for this piece of work, as 64 hex digits.

        :param request_digest: :meth:`InvocationRequest.digest` of what is asked for.
        :param generation: 0 at first, one more for each invocation that was seen to end in ``ServiceError``.
        """
        return self.digest(request_digest, generation)


def task_identity(context: Mapping[str, Any]) -> TaskIdentity:
    """
    Return the identity of the work that a task does, the same in all of its tries.

    :param context: what Airflow passes to ``execute``.
    """
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    facts = facts_of_life(context)
    if runs_in_the_caller(ti):
        key = (ti.dag_id, ti.run_id, ti.task_id, map_index)
        if ti.try_number <= 1 or key not in _lives_in_this_process:
            _lives_in_this_process[key] = uuid.uuid4().hex
        facts["process"] = _lives_in_this_process[key]
    return TaskIdentity(
        ti.dag_id,
        ti.run_id,
        ti.task_id,
        map_index,
        life=tuple(f"{name}={fact}" for name, fact in sorted(facts.items())),
        loop=loop_position(ti),
    )
