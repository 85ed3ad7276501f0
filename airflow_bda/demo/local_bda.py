"""The emulator in the demo's own process: its S3 is filled and read without a client, so nothing of AWS is set up."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.utilities.utils import get_partition

from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.core.objects import Storage
from airflow_bda.emulator.documents.fields.catalogue import managed_blueprint
from airflow_bda.emulator.server.server import (
    DEFAULT_REGION,
    EmulatorServer,
    SeedBucket,
    airflow_connection,
    client_environment,
)
from airflow_bda.emulator.server.views import JobView, call_counts, job_views
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from airflow_bda.demo.command import DemoFile

_INPUT, _OUTPUT = "bda-input", "bda-output"


class LocalBda:
    """An emulator with two buckets, on a free port of this machine; ``with`` starts and stops it."""

    def __init__(self) -> None:
        self._server = EmulatorServer(seed_buckets=(SeedBucket(_INPUT), SeedBucket(_OUTPUT)), region=DEFAULT_REGION)
        self.storage = Storage(DEFAULT_ACCOUNT_ID, get_partition(DEFAULT_REGION))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def endpoint_url(self) -> str:
        """What clients take as their ``endpoint_url``."""
        return self._server.endpoint_url

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that make Airflow and its tasks use this emulator."""
        connection = airflow_connection(self.endpoint_url, DEFAULT_REGION)
        return {**client_environment(self.endpoint_url, DEFAULT_REGION), "AIRFLOW_CONN_AWS_DEFAULT": connection}

    @property
    def jobs(self) -> list[JobView]:
        """The jobs as they stand now, oldest first."""
        return job_views()

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each operation of BDA was called."""
        return call_counts()

    def upload(self, file: DemoFile) -> dict[str, Any]:
        """Put a file into S3, and return the DAG's params for it."""
        content_type = mimetypes.guess_type(file.key)[0] or "application/octet-stream"
        uri = S3Uri(_INPUT, file.key)
        self.storage.write(uri, file.path.read_bytes(), content_type)
        # Of most blueprints that AWS manages, the emulator has only the name: documents cannot match them.
        managed = {arn: managed_blueprint(arn) for arn, _ in EMULATOR.processor.blueprints(region=DEFAULT_REGION)}
        return {
            "input_s3_uri": str(uri),
            "output_s3_uri": str(S3Uri(_OUTPUT, "results")),
            "blueprints": [arn for arn, found in managed.items() if found is None or found.schema is not None],
        }
