"""
How a wait ended: one value that is the same in every mode, and travels from the triggerer to the worker as an event.

The event is a stored format: a triggerer of one release may write it for a worker of another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_bda.service import errors
from airflow_bda.service.json_reading import PlainData
from airflow_bda.service.statuses import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_bda.service.statuses import JobState

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
    :param error: why there is no result.
    :param state: the last state that was seen; None when no call was answered, and in what is read from an event.
    """

    invocation_arn: str
    output_metadata_uri: str | None = None
    error: errors.BdaError | None = None
    state: JobState | None = None

    @property
    def timed_out(self) -> bool:
        """Whether the deadline came first: the job goes on."""
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

        :param last_failure: what the last look failed with, if it did: the reason that nobody knows more.
        :param limit: the setting that set the deadline, where that is known.
        """
        what = "the job is still running." if last_state or not last_failure else "no status could be read."
        why = f" ({limit})" if limit else ""
        return cls(
            invocation_arn,
            error=errors.BdaTimeoutError(
                f"Timed out at {deadline.isoformat(timespec='seconds')}{why}; {what}",
                invocation_arn=invocation_arn,
                status=last_state.status_text if last_state else "never seen",
                error_message=last_failure.summary() if last_failure else None,
            ),
            state=last_state,
        )

    def about(self, **facts: Any) -> JobOutcome:
        """Return the same outcome, whose error knows more: the waiter knows the job only, the task its document too."""
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
        """Return the payload of a trigger's event: ids, URIs and words, never a document's contents."""
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
