"""
Report what a task read, wrote and did, as OpenLineage's facets and as events of Airflow's assets.

OpenLineage asks a task for its facets when it starts and after it has ended, in the task's process and often in another
object than the one that started the job. So nothing here makes a call: everything comes from the task's arguments
or was recorded when the task ended. What starts and what ends name the same output, the prefix that the user gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda import __version__
from airflow_bda._compat import BaseOperator, asset_events_of, is_asset_alias, make_asset
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.safe_values import safe_logger, safe_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

log = safe_logger(__name__)

SOURCE = "bedrock-data-automation"
# A facet names what made it, by a URI.
PRODUCER = f"urn:airflow-provider-bda:{__version__}"
RUN_FACET = "bda"
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
    class BdaRunFacet(RunFacet):
        """The job's facts, under one name each."""

        facts: dict[str, Any] = attrs.field(factory=dict)

    return BdaRunFacet(facts=dict(facts), producer=PRODUCER)
