"""The errors of this package. Each says why, what to do next, and which invocation it is about, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.service.safe_values import MOST_CHARACTERS, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from airflow_bda.service.statuses import JobState


class BdaError(Exception):
    """
    Anything that went wrong with an invocation.

    Its text has the reason in the first line (Airflow's pages show only the beginning of it), then the remedy,
    then what it is about, a line each. The parts are attributes.

    :param message: what happened, in one sentence.
    :param remedy: what to do next, when it differs from the class's own.
    :param invocation_arn: the invocation that it happened to, where there is one.
    :param status: the invocation's last known status, as the service writes it.
    :param error_type: the service's name for the failure (``errorType``, or the code of a refused call).
    :param error_message: the service's own message.
    :param input_s3_uri: the document.
    """

    remedy: str = ""

    def __init__(  # noqa: PLR0913  a failure's parts are what it is for
        self,
        message: str,
        *,
        remedy: str | None = None,
        invocation_arn: str | None = None,
        status: str | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
        input_s3_uri: str | None = None,
    ) -> None:
        # Much of it is quoted: from the service, from a message of a queue, from a template.
        self.message = safe_text(message)
        if remedy is not None:
            self.remedy = remedy
        self.invocation_arn = invocation_arn
        self.status = status
        self.error_type = error_type
        self.error_message = None if error_message is None else safe_text(error_message)
        self.input_s3_uri = input_s3_uri
        super().__init__(safe_text(self.text(), MOST_CHARACTERS))

    def reason(self) -> str:
        """Return what happened and why: the message, and the service's own words."""
        why = ": ".join(filter(None, (self.error_type, self.error_message)))
        return " ".join(filter(None, (self.message, why)))

    def summary(self) -> str:
        """Return the reason in one line, for a log."""
        return " ".join(self.reason().split())

    def text(self) -> str:
        """Return the whole text: reason, remedy, and what it is about."""
        facts = (("Invocation", self.invocation_arn), ("Input", self.input_s3_uri), ("Status", self.status))
        return "\n".join(
            filter(None, (self.reason(), self.remedy, *(f"{name}: {fact}" for name, fact in facts if fact)))
        )

    def about(self, **facts: Any) -> Self:
        """Return the same error with more of its attributes known."""
        return self.recast(type(self), **facts)  # type: ignore[return-value]  # recast returns the class that it is passed

    def recast(self, error_class: type[BdaError], **facts: Any) -> BdaError:
        """Return the same error in another class, with more of its attributes known."""
        error = _rebuild(error_class, self.args)
        error.__dict__.update(self.__dict__, **facts)
        error.args = (safe_text(error.text(), MOST_CHARACTERS),)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ would call __init__ with the text alone; Airflow pickles errors between processes.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(error_class: type[BdaError], args: tuple[Any, ...]) -> BdaError:
    return error_class.__new__(error_class, *args)


class BdaRequestError(BdaError):
    """
    The request would be, or was, refused; no job was started.

    :param problems: all that is wrong with it, each a sentence that names the argument, its value and what is valid.
    """

    def __init__(self, message: str, *, problems: Iterable[str] = (), **facts: Any) -> None:
        self.problems = tuple(map(safe_text, problems))
        super().__init__(message, **facts)

    def reason(self) -> str:
        """Return what happened, with the problem beside it or, where there are several, in a list below it."""
        if len(self.problems) == 1:
            return f"{super().reason()} {self.problems[0]}"
        return "\n".join([super().reason(), *(f"  - {problem}" for problem in self.problems)])


class BdaClientError(BdaError):
    """The job ended in ``ClientError``: the service could not work with the input as it is."""

    remedy = (
        "Another try with the same input would end the same way: correct the input or the request, then clear the task."
    )


class BdaServiceError(BdaError):
    """The job ended in ``ServiceError``: the fault is the service's, and a new job may succeed."""

    remedy = "A retry of the task starts one new job; set retries= on the task if it has none."


class BdaTimeoutError(BdaError):
    """The time to wait is over. The job is still running, and is billed."""

    remedy = (
        "The job keeps running: look again later with BdaStatusSensor(invocation_arn=...) or `airflow-bda status`, "
        "or allow more time."
    )


class BdaPermissionError(BdaError):
    """AWS denied a call; the text says which of the known causes applies."""


class BdaConnectionError(BdaError):
    """A call could not be made: no credentials, no route to the endpoint, or something else answered."""


ERROR_OF_FAILED_STATUS: dict[str, type[BdaError]] = {"ClientError": BdaClientError, "ServiceError": BdaServiceError}


def job_error(state: JobState, *, input_s3_uri: str | None = None) -> BdaError:
    """
    Return the error for a job that ended in failure.

    :raises ValueError: when *state* is not a failure.
    """
    try:
        error_class = ERROR_OF_FAILED_STATUS[state.status.value]
    except KeyError:
        raise ValueError(f"{state.invocation_arn} did not fail: its status is {state.status_text}") from None
    return error_class(
        f"The data automation job ended in {state.status}.",
        invocation_arn=state.invocation_arn,
        status=state.status_text,
        error_type=state.error_type,
        error_message=state.error_message,
        input_s3_uri=input_s3_uri,
    )
