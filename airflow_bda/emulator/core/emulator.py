"""
What the whole emulator shares: its settings, the faults in force, the processing, who listens, and background work.

The settings are times, limits and folders; every one has a default. moto keeps one state for a process, and so does
this: ``mock_aws`` and a server in the same process see the same jobs.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore, Lock, RLock, Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_bda.emulator.core.faults import FaultPlan
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bda.emulator.documents.contract import ProcessedInput, ProcessingRequest
    from airflow_bda.emulator.runtime.job_records import Job

logger = logging.getLogger(__name__)

# AWS's quotas as of June 2025: concurrent asynchronous jobs of each modality, and open jobs, in one account and region
# (Service Quotas L-9E3C255A, L-BDD176EF, L-3E961CAB, L-895C7A6C, L-A596AFC0). They have moved since and may again.
DEFAULT_CONCURRENCY: Mapping[Modality, int] = MappingProxyType(
    {Modality.DOCUMENT: 25, Modality.IMAGE: 20, Modality.AUDIO: 20, Modality.VIDEO: 20}
)
DEFAULT_OPEN_JOBS = 1800
# Of about 2 KB each.
DEFAULT_KEPT_JOBS = 20_000
# What is done with projects that were not made here.
ACCEPT, REFUSE = "accept", "refuse"

Item = TypeVar("Item")


@dataclass(frozen=True)
class EmulatorSettings:
    """
    The settings of the emulator.

    :param created_seconds: how long a job stays ``Created`` at the least, in seconds.
    :param in_progress_seconds: how long a job stays ``InProgress`` at the least, in seconds. A job takes this long or
        as long as reading its input really takes, whichever is longer.
    :param concurrency: how many jobs of each modality are in progress at once in one account and region; the others
        wait in ``Created``. A modality that is left out keeps its default.
    :param open_jobs: how many jobs may be unfinished in one account and region before an invoke is refused.
    :param kept_jobs: how many ended jobs each account and region keeps. The oldest of the others are forgotten, with
        their client tokens: their status is ``ResourceNotFoundException``. Their files stay in S3.
    :param requests_per_second: the rate of each operation, by its name, above which calls are throttled, in one account
        and region. An operation that is left out has no limit.
    :param job_times: whether a status carries ``jobSubmissionTime``, ``jobCompletionTime`` and
        ``jobDurationInSeconds``, which older releases of the service did not return.
    :param processing_threads: how many inputs are read at the same time, over all jobs.
    :param blueprints_dir: a folder with the JSON files of custom blueprints.
    :param answers_dir: a folder with canned results.
    :param enforce_iam: whether users and roles are held to their policies, by BDA and by S3; a key of neither is the
        account's own and may do all. See :mod:`airflow_bda.emulator.aws.iam_callers`.
    :param unknown_projects: what is done with a project of the caller's own that was never made here: ``accept`` takes
        it for one with all custom blueprints, ``refuse`` answers as for any project that does not exist.
    :param project_seconds: how long a project is ``IN_PROGRESS`` after it was created or updated, in seconds.
    """

    created_seconds: float = 0.2
    in_progress_seconds: float = 0.5
    concurrency: Mapping[Modality, int] = field(default_factory=dict)
    open_jobs: int = DEFAULT_OPEN_JOBS
    kept_jobs: int = DEFAULT_KEPT_JOBS
    requests_per_second: Mapping[str, float] = field(default_factory=dict)
    job_times: bool = True
    processing_threads: int = 2
    blueprints_dir: Path | None = None
    answers_dir: Path | None = None
    enforce_iam: bool = False
    unknown_projects: str = ACCEPT
    project_seconds: float = 0.0

    def __post_init__(self) -> None:
        # A frozen dataclass sets its own fields this way only.
        object.__setattr__(self, "concurrency", MappingProxyType({**DEFAULT_CONCURRENCY, **self.concurrency}))
        object.__setattr__(self, "requests_per_second", MappingProxyType(dict(self.requests_per_second)))
        too_low = [
            name
            for name, value, lowest in (
                ("created_seconds", self.created_seconds, 0),
                ("in_progress_seconds", self.in_progress_seconds, 0),
                ("project_seconds", self.project_seconds, 0),
                ("open_jobs", self.open_jobs, 0),
                ("kept_jobs", self.kept_jobs, 1),
                ("processing_threads", self.processing_threads, 1),
                *((f"concurrency[{modality}]", limit, 1) for modality, limit in self.concurrency.items()),
            )
            if value < lowest
        ]
        too_low += [f"requests_per_second[{name}]" for name, rate in self.requests_per_second.items() if rate <= 0]
        if too_low:
            raise ValueError(f"{', '.join(too_low)}: too low; times are in seconds from 0, limits count from 1")
        if self.unknown_projects not in {ACCEPT, REFUSE}:
            raise ValueError(f"unknown_projects: {self.unknown_projects!r}; write {ACCEPT!r} or {REFUSE!r}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EmulatorSettings:
        """
        Read what :meth:`to_json` returned, or a part of it.

        :raises ValueError: for a setting or a modality that does not exist.
        """
        known = {setting.name for setting in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"unknown settings: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        values = dict(data)
        if "concurrency" in values:
            values["concurrency"] = {Modality(name): limit for name, limit in values["concurrency"].items()}
        for name in ("blueprints_dir", "answers_dir"):
            if values.get(name) is not None:
                values[name] = Path(values[name])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)} | {
            "concurrency": {str(modality): limit for modality, limit in self.concurrency.items()},
            "requests_per_second": dict(self.requests_per_second),
            "blueprints_dir": self.blueprints_dir and str(self.blueprints_dir),
            "answers_dir": self.answers_dir and str(self.answers_dir),
        }


class InputProcessor(Protocol):
    """What reads inputs and makes results of them: :class:`airflow_bda.emulator.documents.Processor`."""

    def modality_of(self, key: str, data: bytes) -> Modality:
        """Guess, cheaply, the modality of an input."""

    def process(self, request: ProcessingRequest) -> ProcessedInput:
        """Read an input and return its results."""

    def known_blueprint(self, arn: str) -> bool:
        """Whether there is such a blueprint."""

    def blueprints(self, *, region: str = ..., account: str = ...) -> tuple[tuple[str, str], ...]:
        """Return the ARN and the name of every blueprint, as one account sees them in one region."""


class JobListener(Protocol):
    """What is called when jobs are created and when they have ended, to send events for one."""

    def job_created(self, job: Job) -> None:
        """Handle a job that was accepted."""

    def job_ended(self, job: Job) -> None:
        """Handle a job that has ended, its files written."""


class Emulator:
    """The emulator of this process."""

    def __init__(self) -> None:
        self._lock = RLock()
        self.faults = FaultPlan()
        self.listeners: list[JobListener] = []
        self.configure()

    def configure(self, settings: EmulatorSettings | None = None, *, processor: InputProcessor | None = None) -> None:
        """
        Set how jobs go from now on.

        :param settings: None for the defaults.
        :param processor: what reads the inputs; None for the emulator's own.
        """
        with self._lock:
            self.settings = settings or EmulatorSettings()
            if self.settings.enforce_iam:
                # Here, because it changes moto, which stays as it is where this is not asked for.
                from airflow_bda.emulator.aws.iam_callers import install

                install(lambda: self.settings.enforce_iam)
            self._given_processor = processor
            self._slots = BoundedSemaphore(self.settings.processing_threads)

    @property
    def processor(self) -> InputProcessor:
        """What reads the inputs, made when first asked for: it loads readers of many formats."""
        with self._lock:
            return self._given_processor or _own_processor(self.settings.blueprints_dir, self.settings.answers_dir)

    def process(self, request: ProcessingRequest) -> ProcessedInput:
        """Read an input and return its results; few at a time, so that calls are answered meanwhile."""
        with self._slots:
            return self.processor.process(request)


@lru_cache(maxsize=1)
def _own_processor(blueprints_dir: Path | None, answers_dir: Path | None) -> InputProcessor:
    from airflow_bda.emulator.documents import Processor

    return Processor(blueprints_dir=blueprints_dir, answers_dir=answers_dir)


EMULATOR = Emulator()


class Lane(Generic[Item]):
    """
    A queue whose items are worked on by a limited number of threads.

    Its threads are daemons, made when there is work and gone when there is none: a program may end with work open, and
    an idle emulator costs nothing.

    :param name: of the threads.
    :param limit: how many run at once.
    :param run: does one item's work; what it raises is logged.
    """

    def __init__(self, name: str, limit: int, run: Callable[[Item], None]) -> None:
        self._name = name
        self._limit = limit
        self._run = run
        self._lock = Lock()
        self._waiting: deque[Item] = deque()
        self._running = 0

    def submit(self, item: Item) -> None:
        """Queue an item."""
        with self._lock:
            self._waiting.append(item)
            if self._running == self._limit:
                return
            self._running += 1
        Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                item = self._waiting.popleft()
            try:
                self._run(item)
            except Exception:
                logger.exception("The background work on %s failed", item)
