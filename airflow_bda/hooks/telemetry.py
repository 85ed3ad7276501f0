"""
Report what a task read, wrote and did: metrics, OpenLineage's facets and events of Airflow's assets.

Metrics go with Airflow's own, to where ``[metrics]`` of Airflow's configuration says. OpenLineage asks a task for its
facets when it starts and after it has ended, in the task's process and often in another object than the one that
started the job. So nothing here makes a call: everything comes from the task's arguments or was recorded when the task
ended. What starts and what ends name the same output, the prefix that the user chose.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from airflow_bda import __version__
from airflow_bda._compat import BaseOperator, asset_events_of, is_asset_alias, make_asset, stats
from airflow_bda.service.aws_errors import Failure, classify
from airflow_bda.service.errors import (
    BdaClientError,
    BdaConnectionError,
    BdaError,
    BdaPermissionError,
    BdaRequestError,
    BdaServiceError,
    BdaTimeoutError,
)
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.safe_values import safe_logger, safe_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

log = safe_logger(__name__)

STARTED = "bda.started"
ATTACHED = "bda.attached"
SUCCEEDED = "bda.succeeded"
FAILED = "bda.failed"
SECONDS = "bda.seconds"
POLLS = "bda.polls"
THROTTLES = "bda.throttles"
IN_FLIGHT = "bda.in_flight"
BATCH = "bda.batch"

_KINDS: Mapping[type[BdaError], str] = {
    BdaClientError: "client",
    BdaServiceError: "service",
    BdaTimeoutError: "timeout",
    BdaPermissionError: "permission",
    BdaRequestError: "request",
    BdaConnectionError: "connection",
}
_in_flight = 0
_lock = Lock()


class Starts:
    """
    Counts a job that a task starts, or an earlier try's that it continues with.

    Without Airflow 3.3's task state, a retry finds its job by sending the same request again, which counts as a start:
    the service does not tell the two apart.

    :param submit: sends a request, and returns the invocation's ARN.
    """

    def __init__(self, submit: Callable[[InvocationRequest], str]) -> None:
        self._submit = submit
        self._submits = 0

    def submit(self, request: InvocationRequest) -> str:
        """Send a request; count it when it was taken."""
        arn = self._submit(request)
        self._submits += 1
        _send("incr", STARTED)
        return arn

    def found_a_job(self) -> None:
        """Count a job that was found without a submit."""
        if not self._submits:
            _send("incr", ATTACHED)


@contextmanager
def failures() -> Iterator[None]:
    """Count what a task fails with, by its kind: a job that failed, and a request that never became one."""
    try:
        yield
    except BdaError as error:
        failed(error)
        raise


def failed(error: BdaError) -> None:
    """Count an error that a task gives up with, by its kind."""
    _send("incr", f"{FAILED}.{_kind_of(error)}")


def started() -> None:
    """Count a call that was answered at once."""
    _send("incr", STARTED)


def succeeded() -> None:
    """Count a job that succeeded."""
    _send("incr", SUCCEEDED)


def batch_ended(counts: Mapping[str, int]) -> None:
    """
    Report the documents of a batch by status, as gauges, since every try reports all documents.

    :param counts: of its manifest.
    """
    for status, number in counts.items():
        _send("gauge", f"{BATCH}.{status}", number)


class Poll:
    """One status call for a job."""

    def answered(self, state: JobState) -> JobState:
        """Record the answer, and return it; for a job that has ended, report how many seconds it took."""
        if state.status.is_terminal and state.duration_seconds is not None:
            # Airflow's timings are milliseconds.
            _send("timing", SECONDS, float(state.duration_seconds) * 1000)
        return state


@contextmanager
def one_poll() -> Iterator[Poll]:
    """Count a question for a job's state, and whether it was throttled."""
    _send("incr", POLLS)
    with throttles():
        yield Poll()


@contextmanager
def throttles() -> Iterator[None]:
    """Count a call that failed by throttling, by a quota or on the side of the service."""
    try:
        yield
    except Exception as error:
        if classify(error) is Failure.BUSY:
            _send("incr", THROTTLES)
        raise


@contextmanager
def one_in_flight() -> Iterator[None]:
    """Report how many waits are open in this process."""
    _change_in_flight(1)
    try:
        yield
    finally:
        _change_in_flight(-1)


def _change_in_flight(by: int) -> None:
    global _in_flight  # noqa: PLW0603  of the process, as the waits are
    with _lock:
        _in_flight += by
        now = _in_flight
    _send("gauge", IN_FLIGHT, now, tags={"host": socket.gethostname()})


def _kind_of(error: BdaError) -> str:
    return next((kind for error_class, kind in _KINDS.items() if isinstance(error, error_class)), "other")


def _send(what: str, metric: str, *values: Any, **options: Any) -> None:
    try:
        getattr(stats(), what)(metric, *values, **options)
    except Exception:  # whatever a metrics client raises
        log.warning("The metric %s could not be sent.", metric, exc_info=True)


SOURCE = "bedrock-data-automation"
# A facet names what made it, by a URI.
PRODUCER = f"urn:airflow-provider-bda:{__version__}"
# OpenLineage names facets that are not its own by the project and a name.
RUN_FACET = "bda_task"
# A task over thousands of documents names its prefixes; a list this long would be most of an event.
MOST_INPUTS = 100


class LineageMixin(BaseOperator):
    """
    Base class of the tasks that report to OpenLineage and to assets.

    A task returns what it reads and writes by :meth:`lineage_inputs` and :meth:`lineage_outputs`, and calls
    :meth:`note_end` when it ends.
    """

    _lineage_facts: Mapping[str, Any] | None = None

    def lineage_inputs(self) -> Iterable[Any]:
        """Return the S3 URIs that the task reads."""
        uri = getattr(self, "input_s3_uri", None)
        return [uri] if uri else []

    def lineage_outputs(self) -> Iterable[Any]:
        """Return the S3 URIs that the task writes, or has the service write: as the user gave them."""
        uri = getattr(self, "output_s3_uri", None)
        return [uri] if uri else []

    def note_end(self, context: Mapping[str, Any], *, partition_key: str | None = None, **facts: Any) -> None:
        """
        Record how the task ended, for OpenLineage and in the events of the task's assets.

        :param partition_key: the key of the partition that was written, for Airflow 3.3 and later.
        :param facts: plain data: the invocation's ARN, URIs, counts. Never what a document says.
        """
        self._lineage_facts = safe_value({name: fact for name, fact in facts.items() if fact is not None})
        try:
            for asset, event in asset_events_of(self, context):
                self._fill(asset, event, partition_key)
        except Exception:  # the work is done: a failure to report it must not fail the task
            log.warning("The events of the task's assets could not be filled.", exc_info=True)

    def _fill(self, asset: Any, event: Any, partition_key: str | None) -> None:
        """Fill one event; an alias gets an asset for each prefix that the task wrote to."""
        facts = dict(self._lineage_facts or {})
        if is_asset_alias(asset):
            for uri in self.lineage_outputs():
                event.add(make_asset(str(uri)), extra=facts)
            return
        event.extra.update(facts)
        # Airflow 3.3 and later.
        if partition_key and hasattr(event, "add_partitions"):
            event.add_partitions(partition_key)

    def get_openlineage_facets_on_start(self) -> Any:
        """Return what the task is going to read and write."""
        return self._lineage()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002  OpenLineage's
        """Return what the task read and wrote, its job, and the counts."""
        return self._lineage()

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:  # noqa: ARG002  OpenLineage's
        """Return what the task was to read and write, and the job that it failed with."""
        return self._lineage()

    def _lineage(self) -> Any:
        from airflow.providers.common.compat.openlineage.facet import Dataset
        from airflow.providers.openlineage.extractors.base import OperatorLineage

        def datasets(uris: Iterable[Any]) -> list[Any]:
            return [Dataset(namespace=namespace, name=name) for namespace, name in _places(uris)]

        return OperatorLineage(
            inputs=datasets(self.lineage_inputs())[:MOST_INPUTS],
            outputs=datasets(self.lineage_outputs()),
            run_facets=self._run_facets(),
        )

    def _run_facets(self) -> dict[str, Any]:
        from airflow.providers.common.compat.openlineage.facet import ExternalQueryRunFacet

        facts = dict(self._lineage_facts or {})
        # A sensor has it as an argument, an operator as soon as its job is known.
        arn = getattr(self, "_invocation_arn", None) or getattr(self, "invocation_arn", None)
        facets: dict[str, Any] = {}
        if isinstance(arn, str) and arn.startswith("arn:"):
            facets["externalQuery"] = ExternalQueryRunFacet(externalQueryId=arn, source=SOURCE, producer=PRODUCER)
        if facts:
            facets[RUN_FACET] = _own_facet(facts)
        return facets


def _places(uris: Iterable[Any]) -> list[tuple[str, str]]:
    """Return namespaces and names as OpenLineage names objects on S3; each once, and what is no S3 URI is left out."""
    found: dict[tuple[str, str], None] = {}
    for uri in uris:
        try:
            place = S3Uri.parse(str(uri))
        except ValueError:
            continue
        found[f"s3://{place.bucket}", place.key.rstrip("/") or "/"] = None
    return list(found)


def _own_facet(facts: Mapping[str, Any]) -> Any:
    import attrs
    from airflow.providers.common.compat.openlineage.facet import RunFacet

    @attrs.define
    class BdaTaskRunFacet(RunFacet):
        """The job's facts, under one name each."""

        facts: dict[str, Any] = attrs.field(factory=dict)

    return BdaTaskRunFacet(facts=dict(facts), producer=PRODUCER)
