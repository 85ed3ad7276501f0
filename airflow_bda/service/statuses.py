"""
The status of a job, in each of the service's three spellings, and the outcome of a wait, the same in every mode.

The outcome of a wait travels from the triggerer to the worker as an event. The event is a stored format: a triggerer of
one release may write it for a worker of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_bda.service import errors
from airflow_bda.service.json_reading import PlainData
from airflow_bda.service.safe_values import safe_number, safe_text

if TYPE_CHECKING:
    from datetime import datetime


class UnexpectedAnswerError(Exception):
    """A call went through, but its answer lacks what every answer of BDA's has: something else answered."""


class JobStatus(str, Enum):
    """The states of a job. ``UNKNOWN`` is for one that this release does not have: the job may still be running."""

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
    """Remove case and separators, in which the service's spellings differ."""
    return "".join(letter for letter in word.lower() if letter.isalpha())


_TERMINAL = frozenset({JobStatus.SUCCESS, JobStatus.SERVICE_ERROR, JobStatus.CLIENT_ERROR})
_SPELLINGS = {_letters(status.value): status for status in JobStatus} | {"processed": JobStatus.SUCCESS}


@dataclass(frozen=True)
class JobState(PlainData):
    """
    What GetDataAutomationStatus said of one invocation.

    :param status_text: the status as the service wrote it; differs from *status* only for unknown words.
    :param output_metadata_uri: the URI of ``job_metadata.json``, on success.
    :param error_type: the service's name for a failure.
    :param submitted_at: when the job was submitted; None with an older service model.
    :param duration_seconds: how long the job took, in seconds; None with an older service model.
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
        # The answer may contain anything; a state is logged, stored and sent between processes.
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
        """Return one line for a log: the job and its status."""
        if self.status is JobStatus.UNKNOWN and self.status_text != JobStatus.UNKNOWN.value:
            return (
                f"{self.invocation_arn} has the status {self.status_text!r}, which this release does not know; "
                "waiting on until it ends in one that is known."
            )
        return f"{self.invocation_arn} is {self.status_text}."


_FACTS = ("invocation_arn", "status", "error_type", "error_message", "input_s3_uri")
_ERROR_CLASSES: dict[str, type[errors.BdaError]] = {
    error_class.__name__: error_class
    for error_class in (
        errors.BdaError,
        errors.BdaRequestError,
        errors.BdaClientError,
        errors.BdaServiceError,
        errors.BdaTimeoutError,
        errors.BdaPermissionError,
        errors.BdaConnectionError,
    )
}


@dataclass(frozen=True)
class JobOutcome(PlainData):
    """
    The end of a wait: success, or the error to raise.

    :param output_metadata_uri: the URI of ``job_metadata.json``, on success.
    :param error: why there is no result; None for success.
    :param state: the last state that was seen; None when no call was answered, and in what is read from an event.
    """

    invocation_arn: str
    output_metadata_uri: str | None = None
    error: errors.BdaError | None = None
    state: JobState | None = None

    @property
    def timed_out(self) -> bool:
        """Whether the deadline came first: the job keeps running."""
        return isinstance(self.error, errors.BdaTimeoutError)

    @classmethod
    def of_state(cls, state: JobState) -> JobOutcome:
        """Return the outcome of a job that has ended."""
        if state.status is JobStatus.SUCCESS:
            return cls(state.invocation_arn, output_metadata_uri=state.output_metadata_uri, state=state)
        return cls(state.invocation_arn, error=errors.job_error(state), state=state)

    @classmethod
    def of_timeout(
        cls,
        invocation_arn: str,
        *,
        deadline: datetime,
        last_state: JobState | None,
        last_failure: errors.BdaError | None = None,
        limit: str | None = None,
    ) -> JobOutcome:
        """
        Return the outcome of a wait that reached its deadline; the job is still running.

        :param last_failure: what the last status call failed with, if it did: the reason why no more is known.
        :param limit: the setting that set the deadline, where that is known.
        """
        what = "the job is still running." if last_state or not last_failure else "no status could be read."
        why = f" ({limit})" if limit else ""
        return cls(
            invocation_arn,
            error=errors.BdaTimeoutError(
                f"Timed out at {deadline.isoformat(timespec='seconds')}{why}; {what}",
                invocation_arn=invocation_arn,
                status=last_state.status_text if last_state else "unknown",
                error_message=last_failure.summary() if last_failure else None,
            ),
            state=last_state,
        )

    def about(self, **facts: Any) -> JobOutcome:
        """Return the same outcome with more facts in its error: a wait has the job only, a task its document too."""
        return replace(self, error=self.error.about(**facts)) if self.error else self

    def metadata_uri(self) -> str | None:
        """
        Return the URI of ``job_metadata.json``.

        :raises BdaError: where the wait did not end in success.
        """
        if self.error is not None:
            raise self.error
        return self.output_metadata_uri

    def to_event(self) -> dict[str, Any]:
        """Return the payload of a trigger's event: ids, URIs and statuses, never a document's contents."""
        event: dict[str, Any] = {"status": "success", "invocation_arn": self.invocation_arn}
        if self.error is None:
            return event | {"output_metadata_uri": self.output_metadata_uri}
        facts = {name: getattr(self.error, name) for name in _FACTS if getattr(self.error, name) is not None}
        failure = {
            "class": type(self.error).__name__,
            "message": self.error.message,
            "remedy": self.error.remedy,
            **facts,
        }
        return event | {"status": "error", "message": str(self.error), "error": failure}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which XComs and JSON take: that of a trigger's event."""
        return self.to_event()

    @classmethod
    def from_event(cls, event: Mapping[str, Any] | None) -> JobOutcome:
        """
        Read a trigger's event.

        An event that says neither success nor why not is an error of its own, never taken for success.
        """
        arn = str((event or {}).get("invocation_arn") or "")
        if event and event.get("status") == "success" and arn:
            return cls(arn, output_metadata_uri=event.get("output_metadata_uri"))
        failure = dict((event or {}).get("error") or {})
        error_class = _ERROR_CLASSES.get(str(failure.get("class")), errors.BdaError)
        return cls(
            arn,
            error=error_class(
                failure.get("message") or f"The trigger ended with an event that says nothing of a job: {event!r}.",
                remedy=failure.get("remedy"),
                **{name: failure[name] for name in _FACTS if name in failure},
            ),
        )
