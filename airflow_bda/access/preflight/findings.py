"""The subject of a preflight, the connection that its checks use, and their findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_bda.service.arns import partition_of
from airflow_bda.service.json_reading import PlainData
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Callable


class Level(str, Enum):
    """How bad it is: jobs run, jobs run but something should be known, jobs would fail."""

    OK = "ok"
    HINT = "hint"
    FAULT = "fault"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Check:
    """
    One finding of a check.

    :param name: the subject, in a word or two.
    :param text: what was found.
    :param remedy: what to do; empty where there is nothing to do.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.level.value:<5}  {self.name}: {self.text}", self.remedy)))


def ok(name: str, text: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, Level.OK, text)


def hint(name: str, text: str, remedy: str = "") -> Check:
    """Return a check that found something to know."""
    return Check(name, Level.HINT, text, remedy)


def fault(name: str, text: str, remedy: str) -> Check:
    """Return a check that found what makes jobs fail."""
    return Check(name, Level.FAULT, text, remedy)


@dataclass(frozen=True)
class Report(PlainData):
    """All findings, in the order of the checks."""

    checks: tuple[Check, ...]

    @property
    def faults(self) -> tuple[Check, ...]:
        """What makes jobs fail."""
        return tuple(check for check in self.checks if check.level is Level.FAULT)

    @property
    def hints(self) -> tuple[Check, ...]:
        """What should be known."""
        return tuple(check for check in self.checks if check.level is Level.HINT)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the checks as plain data."""
        return [{**asdict(check), "level": check.level.value} for check in self.checks]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which XComs and JSON take."""
        return {"checks": self.to_json()}


@dataclass(frozen=True)
class Subject:
    """
    The jobs that a setup is for.

    :param input_uri: a document, or all below a prefix that ends in a slash; None leaves it out, as it does below.
    :param stage: ``LIVE`` or ``DEVELOPMENT``.
    :param write_probe: whether an object may be written below the output's prefix, and deleted again.
    :param is_batch: whether the jobs are those of batches, which also list, and keep files of their own in S3.
    :param jobs_at_once: how many jobs the setup may have open at once (the slots of its pool), where that is known.
    :raises ValueError: names the URI that is not valid.
    """

    input_uri: str | None = None
    output_uri: str | None = None
    project_arn: str | None = None
    stage: str | None = None
    blueprint_arns: tuple[str, ...] = ()
    profile_arn: str | None = None
    kms_key: str | None = None
    input_key: str | None = None
    output_key: str | None = None
    write_probe: bool = False
    is_batch: bool = False
    jobs_at_once: int | None = None

    def __post_init__(self) -> None:
        for uri in filter(None, (self.input_uri, self.output_uri)):
            S3Uri.parse(uri)

    @property
    def input(self) -> S3Uri | None:
        """Where the input is."""
        return S3Uri.parse(self.input_uri) if self.input_uri else None

    @property
    def output(self) -> S3Uri | None:
        """Where results go."""
        return S3Uri.parse(self.output_uri) if self.output_uri else None


@dataclass(frozen=True)
class Connection:
    """
    How AWS is reached.

    :param client: makes a boto3 client of a service (``iam``, ``sts``), with the credentials that jobs will use.
    :param region: returns the region; raises botocore's NoRegionError and the like.
    :param missing: the id of the Airflow connection that was asked for and is not there; None where all is well.
    :param status_requests_per_second: what ``[bda] max_status_requests_per_second`` allows one process.
    :param job_events_queue: the URL of the queue that ``[bda] job_events_queue`` names; None where it names none.
    """

    client: Callable[[str], Any]
    region: Callable[[], str]
    missing: str | None = None
    status_requests_per_second: float | None = None
    job_events_queue: str | None = None


@dataclass(frozen=True)
class Scene:
    """
    The connection that the checks use, once the caller is known.

    :param client: as :class:`Connection` has it.
    :param account: twelve digits.
    :param caller_arn: as STS returns it.
    """

    client: Callable[[str], Any]
    subject: Subject
    region: str
    account: str
    caller_arn: str
    status_requests_per_second: float | None = None
    job_events_queue: str | None = None

    @property
    def partition(self) -> str:
        """The partition of the region."""
        return partition_of(self.region)
