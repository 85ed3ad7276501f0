"""Run a batch of documents in the triggerer."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import safe_event
from airflow_bda.service.errors import BdaError
from airflow_bda.service.statuses import JobOutcome
from airflow_bda.triggers.bda import ConnectedTrigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent

JOBS_STILL_RUNNING = (
    "BDA cannot cancel jobs: those that were started keep running and are billed. A retry or a clear of the task "
    "resumes the batch at %s."
)


class BdaBatchTrigger(ConnectedTrigger):
    """
    Run one round of a batch, and fire once with where its manifest is.

    The arguments are a stored format, of the same size for every batch: what the batch is, is in its folder on S3.
    They hold no secrets.

    :param folder_uri: the batch's folder, ``<output>/_batch/<batch_id>``.
    :param round_key: the try of the task that the round belongs to.
    :param max_in_flight: how many jobs may be open at once.
    :param aws_conn_id: the Airflow connection; as for every operator of the amazon provider.
    :param region_name: the region; None takes the connection's.
    :param verify: whether, or with which bundle, TLS certificates are verified.
    :param botocore_config: botocore's configuration, as a dictionary. Not the place for a proxy's password.
    """

    def __init__(  # noqa: PLR0913  the connection's four belong to every AWS trigger
        self,
        *,
        folder_uri: str,
        round_key: str,
        max_in_flight: int,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id, region_name=region_name, verify=verify, botocore_config=botocore_config
        )
        self.folder_uri = folder_uri
        self.round_key = round_key
        self.max_in_flight = max_in_flight

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make it from again; what was not set is left out."""
        return self.stored_with(folder_uri=self.folder_uri, round_key=self.round_key, max_in_flight=self.max_in_flight)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Run the round, or wait for another process that runs it, and yield the one event."""
        try:
            manifest = await self._run()
        except BdaError as error:
            yield safe_event(JobOutcome("", error=error).to_event())
        else:
            yield safe_event({"status": "success", "manifest_uri": manifest["manifest_uri"]})

    async def _run(self) -> dict[str, Any]:
        from airflow_bda.engine.batch.session import World, run_or_follow
        from airflow_bda.engine.batch.store import Folder
        from airflow_bda.hooks.batch import batch_clients

        hook = self.hook_in(self.region_name)
        async with batch_clients(hook, await hook.identity_patiently()) as (store, jobs):
            world = World(store, lambda: datetime.now(timezone.utc), self.log.info, self.log.warning)
            folder = Folder(store, self.folder_uri)
            return await run_or_follow(folder, self.round_key, jobs, world, max_in_flight=self.max_in_flight)

    async def on_kill(self) -> None:
        """Log that the jobs keep running: Airflow 3.3 calls this when a user ends the deferred task."""
        self.log.warning(JOBS_STILL_RUNNING, self.folder_uri)
