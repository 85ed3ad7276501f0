"""What the fixture ``bda_emulator`` returns: the emulator as a test uses it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3 import Session

from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.server.server import (
    ACCESS_KEY,
    DEFAULT_REGION,
    SECRET_KEY,
    airflow_connection,
    client_environment,
)
from airflow_bda.emulator.server.views import JobView, call_counts, job_views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.core.emulator import EmulatorSettings
    from airflow_bda.emulator.core.faults import FaultPlan
    from airflow_bda.emulator.server.server import EmulatorServer

DEFAULT_BUCKET = "bda-test"
# A profile or endpoints of single services would lead past the emulator, to a real account.
_MISLEADING_PREFIXES = ("AWS_ENDPOINT_URL_", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_CONTAINER_")
_MISLEADING_NAMES = frozenset({"AWS_DEFAULT_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"})


def misleading_environment() -> list[str]:
    """Return the environment variables that are set and would lead clients past the emulator."""
    return [name for name in os.environ if name.startswith(_MISLEADING_PREFIXES) or name in _MISLEADING_NAMES]


class EmulatorForTests:
    """
    The emulator as a test sees it: empty at its start.

    :param server: where it runs.
    """

    def __init__(self, server: EmulatorServer) -> None:
        self._server = server
        self.region = DEFAULT_REGION
        self.session = _EndpointSession(server.endpoint_url, self.region)

    @property
    def endpoint_url(self) -> str:
        """What clients take as their ``endpoint_url``."""
        return self._server.endpoint_url

    @property
    def jobs(self) -> list[JobView]:
        """The jobs as they stand now, oldest first."""
        return job_views()

    @property
    def calls(self) -> dict[str, int]:
        """How often each operation of BDA was called, refused calls included."""
        return call_counts()

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong: ``emulator.faults.add("throttling", times=3)``."""
        return EMULATOR.faults

    @property
    def settings(self) -> EmulatorSettings:
        """How jobs go; :meth:`configure` changes it."""
        return EMULATOR.settings

    @property
    def airflow_connection(self) -> str:
        """The JSON of an Airflow connection to the emulator, for any ``AIRFLOW_CONN_<ID>``."""
        return airflow_connection(self.endpoint_url, self.region)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that the fixture sets, for processes that a test starts."""
        # A proxy could not reach this machine's own server.
        kept = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        hosts = ",".join(filter(None, (kept, "127.0.0.1,localhost")))
        return {
            **client_environment(self.endpoint_url, self.region),
            "no_proxy": hosts,
            "NO_PROXY": hosts,
            "AIRFLOW_CONN_AWS_DEFAULT": self.airflow_connection,
        }

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client of any service, at the emulator."""
        return self.session.client(service, **options)

    def upload(self, content: Path | str | bytes, key: str | None = None, *, bucket: str = DEFAULT_BUCKET) -> str:
        """
        Put an input into S3, in a bucket that is made when it is missing.

        :param content: a file, or the bytes themselves.
        :param key: None for the file's name.
        :return: its S3 URI.
        """
        if isinstance(content, bytes):
            if key is None:
                raise ValueError("bytes have no name: give a key, with an extension that says what they are")
        else:
            key = key or Path(content).name
            content = Path(content).read_bytes()
        self.make_bucket(bucket)
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    @cached_property
    def _s3(self) -> Any:
        return self.client("s3")

    def make_bucket(self, bucket: str = DEFAULT_BUCKET) -> str:
        """Make a bucket unless it is there, and return its S3 URI."""
        s3 = self._s3
        if bucket not in {known["Name"] for known in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=bucket)
        return f"s3://{bucket}"

    def configure(self, **settings: Any) -> None:
        """Change settings (see :class:`EmulatorSettings`) until the test ends."""
        EMULATOR.configure(replace(EMULATOR.settings, **settings))

    def reset(self) -> None:
        """Empty the emulator, with default settings and no faults."""
        self._server.reset()
        EMULATOR.configure()


class _EndpointSession(Session):
    """A boto3 session whose clients and resources all go to one endpoint."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        super().__init__(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=region)
        self._endpoint_url = endpoint_url

    def client(self, *args: Any, **options: Any) -> Any:
        return super().client(*args, **{"endpoint_url": self._endpoint_url, **options})

    def resource(self, *args: Any, **options: Any) -> Any:
        return super().resource(*args, **{"endpoint_url": self._endpoint_url, **options})
