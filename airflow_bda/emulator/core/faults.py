"""
What goes wrong on request: throttling, lost answers, failing jobs and the like.

A plan is a list of faults. Each fires for the calls or jobs that it matches, as often as it says. With the same seed
and the same calls in the same order, the same ones fail.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from enum import Enum
from fnmatch import fnmatchcase
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.core import assumptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_FIRST_STATUS = "Created"
FAILED_STATUSES = ("ClientError", "ServiceError")


class FaultKind(str, Enum):
    """What goes wrong. Calls fail before their work, answers change after it, jobs and events take another course."""

    THROTTLING = "throttling"
    SERVER_ERROR = "server_error"
    SERVICE_UNAVAILABLE = "service_unavailable"
    EXPIRED_CREDENTIALS = "expired_credentials"
    DROPPED_REQUEST = "dropped_request"

    LOST_ANSWER = "lost_answer"
    NOT_JSON = "not_json"
    UNKNOWN_MEMBERS = "unknown_members"
    UNKNOWN_STATUS = "unknown_status"

    SLOW_JOB = "slow_job"
    FAILED_JOB = "failed_job"
    STUCK_JOB = "stuck_job"
    LATE_VISIBILITY = "late_visibility"

    LOST_EVENT = "lost_event"
    DUPLICATE_EVENT = "duplicate_event"
    LATE_EVENT = "late_event"
    REORDERED_EVENT = "reordered_event"

    def __str__(self) -> str:
        return self.value


BEFORE_WORK = frozenset(
    {
        FaultKind.THROTTLING,
        FaultKind.SERVER_ERROR,
        FaultKind.SERVICE_UNAVAILABLE,
        FaultKind.EXPIRED_CREDENTIALS,
        FaultKind.DROPPED_REQUEST,
    }
)
AFTER_WORK = frozenset({FaultKind.LOST_ANSWER, FaultKind.NOT_JSON, FaultKind.UNKNOWN_MEMBERS, FaultKind.UNKNOWN_STATUS})
OF_JOBS = frozenset({FaultKind.SLOW_JOB, FaultKind.FAILED_JOB, FaultKind.STUCK_JOB, FaultKind.LATE_VISIBILITY})
OF_EVENTS = frozenset(
    {FaultKind.LOST_EVENT, FaultKind.DUPLICATE_EVENT, FaultKind.LATE_EVENT, FaultKind.REORDERED_EVENT}
)


@dataclass(frozen=True)
class Fault:
    """
    One fault: what goes wrong, where and how often.

    :param kind: what. ``dropped_request`` closes the connection before any work is done, ``lost_answer`` after it;
        ``stuck_job`` leaves a job in ``Created``; ``late_visibility`` hides a new job from its first polls;
        ``reordered_event`` sends the event of a job's creation after that of its end.
    :param operation: for calls, which operation; None for every one.
    :param key: for jobs and their events, which input keys; a glob.
    :param times: how often it fires; None for without end.
    :param share: of the matching calls, jobs or events, which share it hits, from 0 to 1.
    :param seconds: for ``slow_job``, how much longer it takes, in seconds; for ``late_event``, how late it is sent.
    :param status: for ``failed_job``, ``ClientError`` or ``ServiceError``; for ``unknown_status``, the status to
        return; for events, which ones: ``Created``, ``Success``, ``ClientError`` or ``ServiceError``, and None for all.
    :param polls: for ``late_visibility``, how many polls find nothing.
    :param error_type: for ``failed_job``, the job's ``errorType``.
    :param error_message: for ``failed_job``, the job's ``errorMessage``; for errors of calls, their text.
    """

    kind: FaultKind
    operation: str | None = None
    key: str = "*"
    times: int | None = None
    share: float = 1.0
    seconds: float = 0.0
    status: str | None = None
    polls: int = 1
    error_type: str | None = None
    error_message: str | None = None

    def __post_init__(self) -> None:
        self._check_types()
        try:
            object.__setattr__(self, "kind", FaultKind(self.kind))
        except ValueError:
            known = ", ".join(FaultKind)
            raise ValueError(f"kind {self.kind!r} is not a fault; use one of {known}") from None
        if not 0 <= self.share <= 1:
            raise ValueError(f"share {self.share!r} is not valid; use a number from 0 to 1")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times {self.times!r} is not valid; use a number from 1, or None for no limit")
        if self.kind is FaultKind.FAILED_JOB and self.status not in {None, *FAILED_STATUSES}:
            raise ValueError(f"status {self.status!r} is not a failure; use one of {', '.join(FAILED_STATUSES)}")

    def _check_types(self) -> None:
        for name in ("operation", "key", "status", "error_type", "error_message"):
            value = getattr(self, name)
            # A test may want an error text that UTF-8 cannot hold, as services send them; over HTTP none comes in.
            is_text = isinstance(value, str) if name.startswith("error_") else _is_text(value)
            if not (value is None and name != "key") and not is_text:
                raise ValueError(f"{name} {value!r} is not a text")
        for name in ("times", "polls"):
            value = getattr(self, name)
            if not (value is None and name == "times") and (isinstance(value, bool) or not isinstance(value, int)):
                raise ValueError(f"{name} {value!r} is not a whole number")
        for name in ("share", "seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"{name} {value!r} is not a number from 0")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """
        Read one fault.

        :raises ValueError: for a member or a value that does not exist.
        """
        known = [member.name for member in fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise ValueError(f"a fault has no {', '.join(unknown)}; it has {', '.join(known)}")
        if "kind" not in data:
            raise ValueError(f"a fault needs a kind: {', '.join(FaultKind)}")
        if odd := [name for name, value in data.items() if isinstance(value, str) and not _is_text(value)]:
            raise ValueError(f"{', '.join(odd)}: UTF-8 cannot hold it")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """Return the members that differ from their defaults."""
        return {
            member.name: value
            for member, value in zip(fields(self), asdict(self).values(), strict=True)
            if value != member.default
        } | {"kind": self.kind.value}


@dataclass(frozen=True)
class JobCourse:
    """
    How one job is to go.

    :param end: ``ClientError`` or ``ServiceError`` for a job that must fail, with its error; None for one that may
        succeed.
    """

    stuck: bool = False
    extra_seconds: float = 0.0
    hidden_polls: int = 0
    end: str | None = None
    error_type: str = assumptions.FAULT_ERROR_TYPE
    error_message: str = "This failure was injected by a fault."


@dataclass(frozen=True)
class EventCourse:
    """
    How one event is to go.

    :param deliveries: how often it is sent.
    :param delay_seconds: how long after the change that it reports, in seconds.
    :param is_held: whether it is kept until the job has ended.
    """

    deliveries: int = 1
    delay_seconds: float = 0.0
    is_held: bool = False


class FaultPlan:
    """The faults in force. Any thread may read and change them."""

    def __init__(self) -> None:
        self._lock = RLock()
        self.clear()

    def set(self, faults: Iterable[Fault | Mapping[str, Any]], *, seed: int = 0) -> None:
        """
        Put these faults in the place of all others, and start their chances anew.

        :raises ValueError: for a fault that does not exist.
        """
        parsed = [fault if isinstance(fault, Fault) else Fault.from_json(fault) for fault in faults]
        with self._lock:
            self._seed = seed
            self._random = Random(seed)  # noqa: S311  repeatable on purpose
            self._faults = parsed
            self._left = [fault.times for fault in parsed]

    def add(self, kind: FaultKind | str, **members: Any) -> None:
        """
        Add one fault to those in force.

        :param kind: one of :class:`FaultKind`.
        :param members: the other members of :class:`Fault`.
        """
        fault = Fault(FaultKind(kind), **members)
        with self._lock:
            self._faults.append(fault)
            self._left.append(fault.times)

    def clear(self) -> None:
        """Remove all faults."""
        self.set(())

    def to_json(self) -> dict[str, Any]:
        """Return the plan as ``PUT /_bda/faults`` takes it, each fault with how often it may still fire."""
        with self._lock:
            return {
                "seed": self._seed,
                "faults": [
                    fault.to_json() | ({} if left is None else {"times": left})
                    for fault, left in zip(self._faults, self._left, strict=True)
                    if left != 0
                ],
            }

    def before_call(self, operation: str) -> Fault | None:
        """Return the first fault that keeps this call from doing its work."""
        return next(
            iter(self._fire(lambda fault: fault.kind in BEFORE_WORK and fault.operation in {None, operation}, limit=1)),
            None,
        )

    def after_call(self, operation: str) -> list[Fault]:
        """Return the faults that change the answer of this call, whose work is done."""
        return self._fire(lambda fault: fault.kind in AFTER_WORK and fault.operation in {None, operation})

    def course_of_job(self, key: str) -> JobCourse:
        """Settle how a new job goes, by its input's key."""
        course: dict[str, Any] = {}
        for fault in self._fire(lambda fault: fault.kind in OF_JOBS and fnmatchcase(key, fault.key)):
            course |= _COURSES[fault.kind](fault)
        return JobCourse(**course)

    def course_of_event(self, key: str, status: str) -> EventCourse:
        """Settle how an event goes, by the key of its job's input and the status that it reports."""
        course: dict[str, Any] = {}
        kinds = OF_EVENTS if status == _FIRST_STATUS else OF_EVENTS - {FaultKind.REORDERED_EVENT}
        for fault in self._fire(
            lambda fault: fault.kind in kinds and fault.status in {None, status} and fnmatchcase(key, fault.key)
        ):
            course |= _EVENT_COURSES[fault.kind](fault)
        return EventCourse(**course)

    def _fire(self, matches: Callable[[Fault], bool], limit: int | None = None) -> list[Fault]:
        fired: list[Fault] = []
        with self._lock:
            for index, (fault, left) in enumerate(zip(self._faults, self._left, strict=True)):
                if len(fired) == limit:
                    break
                if left == 0 or not matches(fault):
                    continue
                # No draw for what always fires: adding such a fault must not change which others fire.
                if fault.share < 1 and self._random.random() >= fault.share:
                    continue
                if left is not None:
                    self._left[index] = left - 1
                fired.append(fault)
        return fired


def _is_text(value: Any) -> bool:
    """Whether it is text that UTF-8 can hold: it is stored, sent and shown."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return isinstance(value, str)


def _failure(fault: Fault) -> dict[str, Any]:
    course = {"end": fault.status or "ServiceError"}
    if fault.error_type is not None:
        course["error_type"] = fault.error_type
    if fault.error_message is not None:
        course["error_message"] = fault.error_message
    return course


_COURSES: dict[FaultKind, Callable[[Fault], dict[str, Any]]] = {
    FaultKind.SLOW_JOB: lambda fault: {"extra_seconds": fault.seconds},
    FaultKind.FAILED_JOB: _failure,
    FaultKind.STUCK_JOB: lambda _: {"stuck": True},
    FaultKind.LATE_VISIBILITY: lambda fault: {"hidden_polls": fault.polls},
}
_EVENT_COURSES: dict[FaultKind, Callable[[Fault], dict[str, Any]]] = {
    FaultKind.LOST_EVENT: lambda _: {"deliveries": 0},
    FaultKind.DUPLICATE_EVENT: lambda _: {"deliveries": 2},
    FaultKind.LATE_EVENT: lambda fault: {"delay_seconds": fault.seconds},
    FaultKind.REORDERED_EVENT: lambda _: {"is_held": True},
}
