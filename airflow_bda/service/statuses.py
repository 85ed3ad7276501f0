"""
How a job stands, whichever of the service's three spellings says so.

The API says ``Success``, an EventBridge event ``SUCCESS``, ``job_metadata.json`` ``PROCESSED``; all are
:attr:`JobStatus.SUCCESS`. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_GetDataAutomationStatus.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_bda.service.json_reading import PlainData
from airflow_bda.service.safe_values import safe_number, safe_text

if TYPE_CHECKING:
    from datetime import datetime


class UnexpectedAnswerError(Exception):
    """A call went through, but its answer lacks what every answer of BDA's has: something else answered."""


class JobStatus(str, Enum):
    """The states of a job. ``UNKNOWN`` stands for a word that this release does not know: the job may be going on."""

    CREATED = "Created"
    IN_PROGRESS = "InProgress"
    SUCCESS = "Success"
    SERVICE_ERROR = "ServiceError"
    CLIENT_ERROR = "ClientError"
    UNKNOWN = "Unknown"

    @classmethod
    def parse(cls, word: str | None) -> JobStatus:
        """Read a status in any of the service's spellings; an unfamiliar one is ``UNKNOWN``, never an error."""
        return _SPELLINGS.get(_letters(word or ""), cls.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        """Whether a job in this state has ended."""
        return self in _TERMINAL

    def __str__(self) -> str:
        return self.value


def _letters(word: str) -> str:
    """Fold case and separators, in which the service's spellings differ."""
    return "".join(letter for letter in word.lower() if letter.isalpha())


_TERMINAL = frozenset({JobStatus.SUCCESS, JobStatus.SERVICE_ERROR, JobStatus.CLIENT_ERROR})
_SPELLINGS = {_letters(status.value): status for status in JobStatus} | {"processed": JobStatus.SUCCESS}


@dataclass(frozen=True)
class JobState(PlainData):
    """
    What GetDataAutomationStatus said of one invocation.

    :param status_text: the status as the service wrote it; differs from *status* only for unknown words.
    :param output_metadata_uri: the URI of ``job_metadata.json``, on success.
    :param error_type: the service's own word for a failure.
    :param submitted_at: when the job was submitted; an older service model does not tell.
    :param duration_seconds: how long the job took, in seconds; an older service model does not tell.
    """

    invocation_arn: str
    status: JobStatus
    status_text: str = ""
    output_metadata_uri: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    submitted_at: datetime | None = None
    completed_at: datetime | None = None
    duration_seconds: int | None = None

    def __post_init__(self) -> None:
        # Whoever answered may have sent anything; a state is logged, stored and sent between processes.
        for name in ("invocation_arn", "status_text", "output_metadata_uri", "error_type", "error_message"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, safe_text(value))
        object.__setattr__(self, "duration_seconds", safe_number(self.duration_seconds))

    @classmethod
    def from_response(cls, invocation_arn: str, response: Mapping[str, Any]) -> JobState:
        """
        Read botocore's answer; members that are not known are left alone.

        :raises UnexpectedAnswerError: without a status, which is what botocore makes of a body that is not JSON, and
            for members of another shape than BDA's.
        """
        status_text = response.get("status") if isinstance(response, Mapping) else None
        output = response.get("outputConfiguration") or {} if isinstance(response, Mapping) else {}
        if not isinstance(status_text, str) or not status_text or not isinstance(output, Mapping):
            raise UnexpectedAnswerError(f"the answer for {invocation_arn} holds no status")
        return cls(
            invocation_arn=invocation_arn,
            status=JobStatus.parse(status_text),
            status_text=status_text,
            output_metadata_uri=output.get("s3Uri"),
            error_type=response.get("errorType"),
            error_message=response.get("errorMessage"),
            submitted_at=response.get("jobSubmissionTime"),
            completed_at=response.get("jobCompletionTime"),
            duration_seconds=response.get("jobDurationInSeconds"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which XComs and JSON take; times in ISO format."""
        times = {"submitted_at": self.submitted_at, "completed_at": self.completed_at}
        return {
            **vars(self),
            "status": self.status.value,
            **{name: moment.isoformat() if moment else None for name, moment in times.items()},
        }

    def describe(self) -> str:
        """Return one line for a log: which job, and how it stands."""
        if self.status is JobStatus.UNKNOWN and self.status_text != JobStatus.UNKNOWN.value:
            return (
                f"{self.invocation_arn} has the status {self.status_text!r}, which this release does not know; "
                "waiting on until it ends in one that it knows."
            )
        return f"{self.invocation_arn} is {self.status_text}."
