"""
What the whole emulator shares: its settings, the faults in force, the processing, and who listens.

moto keeps one state for a process, and so does this: ``mock_aws`` and a server in the same process see the same jobs.
"""

from __future__ import annotations

from functools import lru_cache
from threading import BoundedSemaphore, RLock
from typing import TYPE_CHECKING, Protocol

from airflow_bda.emulator.core.faults import FaultPlan
from airflow_bda.emulator.core.settings import EmulatorSettings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_bda.emulator.documents.contract import ProcessedInput, ProcessingRequest
    from airflow_bda.emulator.runtime.jobs import Job
    from airflow_bda.service.formats import Modality


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
    """What is told of jobs; EventBridge events will be sent from here."""

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
                # Here, because it changes moto, which is left alone where nobody asks for it.
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
