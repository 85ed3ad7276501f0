"""
The emulator as a server: BDA beside moto's S3, STS, IAM, SQS, EventBridge and the rest, at one endpoint.

Also what makes Airflow and AWS clients use it: the JSON of a connection, and environment variables.
"""

from __future__ import annotations

import json
import mimetypes
import socket
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from moto.core.base_backend import BackendDict
from moto.core.common_models import BaseModel
from moto.core.model_instances import reset_model_data
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server import werkzeug_app
from moto.s3.models import FakeKey, FakeMultipart
from moto.utilities.utils import get_partition
from werkzeug.serving import WSGIRequestHandler, make_server

from airflow_bda.emulator.aws.lambda_functions import FunctionRunner, Refusal, install, uninstall
from airflow_bda.emulator.core.emulator import EMULATOR
from airflow_bda.emulator.core.objects import Storage
from airflow_bda.emulator.server.dispatch import Dispatcher, Gate
from airflow_bda.emulator.server.own_endpoints import PATH, ControlApp
from airflow_bda.emulator.server.service_quotas import install_quotas
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self
    from werkzeug.serving import BaseWSGIServer

# moto takes any key for its default account, 123456789012.
ACCESS_KEY = "testing"
SECRET_KEY = "testing"  # noqa: S105  no secret: the emulator checks no signature
DEFAULT_HOST = "127.0.0.1"
DEFAULT_REGION = "us-east-1"
_BACKLOG = 512
# The documents that the demo reads.
SAMPLES = Path(__file__).parents[1] / "samples"
_NO_FUNCTIONS = (
    "Functions are not run: everyone who can reach this emulator could run programs here. Start it with "
    "--run-functions to allow that."
)

_TRACKED_BY_MOTO: Any = BaseModel.__new__
# The servers that have moto's dashboard open.
_DASHBOARDS: set[EmulatorServer] = set()
# moto 5.2 has a handler of its own, which keeps underscores in S3's metadata headers; 5.1 had none.
_MotoHandler: type[Any] = getattr(werkzeug_app, "MotoRequestHandler", WSGIRequestHandler)


def airflow_connection(endpoint_url: str, region: str) -> str:
    """Return the JSON of an Airflow connection, for ``AIRFLOW_CONN_AWS_DEFAULT``."""
    return json.dumps(
        {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": {"endpoint_url": endpoint_url, "region_name": region},
        }
    )


def client_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """Return the environment variables that lead the AWS SDKs and the AWS command line to the emulator."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class EmulatorStartError(Exception):
    """The server cannot listen where it should; its text says what to do."""


@dataclass(frozen=True)
class SeedBucket:
    """
    A bucket that is there from the start.

    :param folder: a folder whose files are uploaded to it; None for an empty bucket.
    """

    name: str
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> SeedBucket:
        """
        Read ``NAME`` or ``NAME=FOLDER``; the folder ``samples`` is the package's own, ``./samples`` one of the user's.

        :raises ValueError: when the folder does not exist.
        """
        name, _, folder = text.partition("=")
        if folder == SAMPLES.name:
            return cls(name, SAMPLES)
        if folder and not Path(folder).is_dir():
            raise ValueError(f"{folder!r} is not a folder; write --seed-bucket NAME, NAME=FOLDER or NAME=samples")
        return cls(name, Path(folder) if folder else None)


class EmulatorServer:
    """
    A server in a thread; ``with EmulatorServer() as server:`` starts and stops it.

    Its jobs, buckets and faults are this process's: see :mod:`airflow_bda.emulator.core.emulator`.

    :param host: where to listen; by default for this machine only.
    :param port: 0 for any that is free.
    :param seed_buckets: what is in S3 from the start, and again after a reset.
    :param region: the region of those buckets.
    :param allowed_hosts: names by which it is called, beside loopback's and *host*; those of a container, for one.
    :param moto_api: whether moto's own endpoints, ``/moto-api/``, are open: they show and change all that it holds.
    :param run_functions: whether Lambda functions that are uploaded are run, as this process's user; None where only
        this machine can reach the server.
    """

    def __init__(  # noqa: PLR0913  one parameter for each option of the command
        self,
        host: str = DEFAULT_HOST,
        port: int = 0,
        *,
        seed_buckets: tuple[SeedBucket, ...] = (),
        region: str = DEFAULT_REGION,
        run_functions: bool | None = None,
        allowed_hosts: tuple[str, ...] = (),
        moto_api: bool = False,
    ) -> None:
        self.host = host
        self._gate = Gate(host, allowed_hosts, own_path=PATH, has_moto_api=moto_api)
        self._port = port
        self._seed_buckets = seed_buckets
        self._region = region
        self.run_functions = self.only_local if run_functions is None else run_functions
        self._functions: FunctionRunner | Refusal | None = None
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None

    @property
    def endpoint_url(self) -> str:
        """What clients take as their ``endpoint_url``."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def only_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self._gate.only_local

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port if self._server is not None else self._port

    def start(self) -> Self:
        """
        Listen, in a thread.

        :raises EmulatorStartError: when the address is taken or not this machine's.
        :raises StorageError: when a bucket cannot be made.
        """
        if self._gate.has_moto_api:
            _DASHBOARDS.add(self)
        _let_go_of_deleted()
        self._seed()
        with _bind(self.host, self._port) as listener:
            # werkzeug ends the whole process when it cannot bind; what is bound already it takes over.
            self._server = make_server(
                self.host,
                listener.getsockname()[1],
                Dispatcher(ControlApp(self.reset), self._gate),
                threaded=True,
                request_handler=_QuietHandler,
                fd=listener.fileno(),
            )
        self._thread = Thread(target=self._server.serve_forever, name="bda-emulator", daemon=True)
        self._thread.start()
        self._functions = (
            FunctionRunner(lambda region: client_environment(self.endpoint_url, region))
            if self.run_functions
            else Refusal(_NO_FUNCTIONS)
        )
        install(self._functions)
        install_quotas(lambda: EMULATOR.settings)
        return self

    def stop(self) -> None:
        """Stop listening; the state stays until :meth:`reset`."""
        _DASHBOARDS.discard(self)
        _let_go_of_deleted()
        if self._functions is not None:
            uninstall(self._functions)
            self._functions.close()
            self._functions = None
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def reset(self) -> None:
        """Forget all jobs, objects, faults and whatever else moto holds, and fill the buckets anew."""
        EMULATOR.faults.clear()
        if self._functions is not None:
            self._functions.end_all()
        BackendDict.reset()
        reset_model_data()
        self._seed()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _seed(self) -> None:
        storage = Storage(DEFAULT_ACCOUNT_ID, get_partition(self._region))
        for bucket in self._seed_buckets:
            storage.create_bucket(bucket.name, self._region)
            for file in sorted(bucket.folder.rglob("*")) if bucket.folder else ():
                if file.is_file():
                    key = file.relative_to(bucket.folder or file).as_posix()
                    content_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
                    storage.write(S3Uri(bucket.name, key), file.read_bytes(), content_type)


class _QuietHandler(_MotoHandler):
    """A request handler that does not print a line for each poll."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: ``/_bda/`` counts the calls."""


def _let_go_of_deleted() -> None:
    """
    Let moto free what is deleted: S3 objects, messages that were received.

    moto keeps every model that it ever made, for its dashboard under ``/moto-api/``. Where no server of this process
    has that open, only the reset of S3 reads them, which closes the files of its objects.
    """
    model: Any = BaseModel
    model.__new__ = _TRACKED_BY_MOTO if _DASHBOARDS else _tracked_weakly


def _tracked_weakly(cls: Any, *_: Any, **__: Any) -> Any:
    instance = object.__new__(cls)
    if issubclass(cls, FakeKey | FakeMultipart):
        if not isinstance(cls.instances_tracked, _WeakList):
            cls.instances_tracked = _WeakList()
        cls.instances_tracked.append(instance)
    return instance


class _WeakList:
    """Iterates over those of its items that still exist."""

    def __init__(self) -> None:
        self._items: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def append(self, item: Any) -> None:
        self._items[id(item)] = item

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._items.values()))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise EmulatorStartError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Stop what listens there, or choose another port with --port (0 finds a free one)."
        ) from error
    return listener
