"""
Reach AWS through an Airflow connection, in blocking and in async form, without ever blocking an event loop.

Three steps of a usual aiobotocore client block the loop that it is made on: loading service models, looking an Airflow
connection up, and renewing a role's credentials (for which the amazon provider hands aiobotocore a synchronous
function). Here all three run in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import os
from functools import cache, cached_property, partial, wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from asgiref.sync import sync_to_async
from botocore.config import Config

from airflow_bda import __version__
from airflow_bda.engine.pacing import full_jitter
from airflow_bda.engine.tasks import call_in_thread
from airflow_bda.service.errors import BdaConnectionError
from airflow_bda.service.safe_values import SafeLogging, make_encodable, make_responses_encodable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from contextlib import AbstractAsyncContextManager

    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    from typing_extensions import Self

# botocore's "legacy" retries, its default, do not slow down when throttled.
_RETRIES = {"mode": "standard", "total_max_attempts": 4}
_ONE_ATTEMPT = Config(retries={"mode": "standard", "total_max_attempts": 1})
# With the pauses between them, some three minutes on average.
_LOOK_UPS = 10
# What the default credential chain of this process starts from.
_AMBIENT_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK_DATA_AUTOMATION_RUNTIME",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
# Long enough for a triggerer to start a thousand triggers. A connection that is edited within it is noticed when the
# client is opened: the client's identity is made from the connection as it is then.
_SHARED_SECONDS = 5.0
# Where AwsBaseHook keeps the connection that it has looked up.
_RESOLVED = "conn_config"

# As botocore reads them.
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_BEDROCK_DATA_AUTOMATION_RUNTIME", "AWS_ENDPOINT_URL")
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})

_Answers = dict["Hashable", tuple[float, "asyncio.Task[str]"]]
_answers_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Answers] = WeakKeyDictionary()


class AsyncAwsHook(SafeLogging, AwsBaseHook):
    """
    An AWS hook that also makes async clients, returns the identity of its connection, and can be made again.

    Arguments are those of AwsBaseHook. Throttled calls are repeated by botocore's standard retries, unless ``config``
    or the connection's ``config_kwargs`` say otherwise.
    """

    client_type: str

    @property
    def config(self) -> Config:
        """The configuration of every client: our defaults, overridden by the connection's or the caller's."""
        given = super().config
        agent = " ".join(filter(None, (f"airflow-bda/{__version__}", given.user_agent_extra)))
        return Config(retries=_RETRIES).merge(given).merge(Config(user_agent_extra=agent))

    @cached_property
    def log(self) -> Any:
        """Airflow's log of this hook, made safe once: a wait uses the same one to its end."""
        return super().log

    @cached_property
    def identity(self) -> str:
        """The digest of the resolved connection: clients may be shared between hooks that agree in it."""
        return identity_digest(self.conn_config, service_name=self.client_type, config=self.config)

    def anew(self) -> Self:
        """Return a hook with the same arguments, which looks the connection up again."""
        hook: Self = self._like(type(self))
        hook.__dict__.pop(_RESOLVED, None)
        return hook

    @property
    def emulator_url(self) -> str | None:
        """
        Where a browser finds the pages of the emulator that the connection leads to; None on AWS.

        An endpoint on this machine is an emulator's. Where a browser needs another address than the workers, as with
        containers, the connection's extra has it as ``bda_emulator_url``.
        """
        try:
            connection = self.conn_config
            endpoint = connection.get_service_endpoint_url(self.client_type) or next(
                filter(None, map(os.environ.get, _ENDPOINT_VARIABLES)), None
            )
            named = connection.extra_config.get("bda_emulator_url") if endpoint else None
            url = urlsplit(named or endpoint or "")
            is_emulator = bool(named) or url.hostname in _THIS_MACHINE
        except Exception:  # noqa: BLE001  whatever a connection may hold: a link is no reason to fail a task
            return None
        return url.geturl().rstrip("/") if is_emulator and url.scheme in {"http", "https"} else None

    @cached_property
    def conn(self) -> Any:
        """A boto3 client of the hook's own service; all texts of its answers can be encoded as UTF-8."""
        return make_responses_encodable(super().conn)

    def client_of(self, service: str) -> Any:
        """
        Return a boto3 client of any service, on the same connection.

        :param service: as boto3 names it: ``iam``, ``sts``, ``bedrock-data-automation``.
        """
        return make_responses_encodable(self._like(AwsBaseHook, client_type=service).conn)

    def _like(self, hook_class: Any, **arguments: Any) -> Any:
        """Return a hook on the same connection, which is looked up, and told of in the task's log, once for both."""
        hook = hook_class(
            aws_conn_id=self.aws_conn_id,
            region_name=self._region_name,
            verify=self._verify,
            config=self._config,
            **arguments,
        )
        if _RESOLVED in self.__dict__:
            hook.__dict__[_RESOLVED] = self.__dict__[_RESOLVED]
        return hook

    # -- off the event loop

    async def resolve_async(self) -> None:
        """Look the connection up, off the event loop; what follows finds it cached."""
        # asgiref's threads, because Airflow 3 asks its supervisor through the loop that they know.
        await sync_to_async(lambda: self.identity)()

    async def async_client(
        self, service: str | None = None, *, repeats_calls: bool = True
    ) -> AbstractAsyncContextManager[Any]:
        """
        Return an aiobotocore client on this connection, to be entered with ``async with``.

        :param service: as botocore names it; None for the hook's own.
        :param repeats_calls: False for a caller that repeats calls itself, and must see each refusal at once. What the
            connection says of retries comes before it.
        :raises Exception: what making a session raises: no such profile, a role that may not be assumed.
        """
        await self.resolve_async()
        make_client = await call_in_thread(
            partial(self._prepare_client, service or self.client_type, repeats_calls=repeats_calls)
        )
        return make_client()

    def _prepare_client(self, service: str, *, repeats_calls: bool) -> Callable[[], AbstractAsyncContextManager[Any]]:
        """Do in a thread all that would block the loop, and return the last step, which needs the loop."""
        session: Any = self.get_session(region_name=self.region_name, deferrable=True)
        session.register_component("data_loader", _models(service))
        _renew_off_the_loop(session)
        # The clients of a session inherit its handlers.
        session.register("after-call", make_encodable, unique_id="airflow-bda-encodable")
        # With the provider's user agent.
        config = self._get_config()
        if not repeats_calls and super().config.retries is None:
            config = config.merge(_ONE_ATTEMPT)
        arguments = {
            "service_name": service,
            "endpoint_url": self.conn_config.get_service_endpoint_url(service),
            "config": config,
            "verify": self.verify,
        }
        return lambda: session.create_client(**arguments)

    async def identity_now(self) -> str:
        """Look the connection up again, and return its identity."""
        hook = self.anew()
        await hook.resolve_async()
        return hook.identity

    async def identity_patiently(self) -> str:
        """
        Look the connection up while Airflow's own services may be starting again, which fails no healthy job.

        Waits that start together share one look-up.

        :raises BdaConnectionError: when ten tries, in some minutes, came to nothing.
        """
        options = repr(getattr(self._config, "_user_provided_options", None))
        settings = (type(self), self.client_type, self.aws_conn_id, self._region_name, self._verify, options)
        for tries in range(_LOOK_UPS):
            try:
                return await shared_look_up(settings, self.identity_now)
            except Exception as error:  # whatever a secrets backend or Airflow's API raises
                failure = error
                self.log.warning("Connection %s could not be looked up; trying again.", self.aws_conn_id, exc_info=True)
            await asyncio.sleep(full_jitter(tries, first=1.0, longest=60.0))
        raise BdaConnectionError(
            f"The Airflow connection {self.aws_conn_id!r} could not be looked up, in {_LOOK_UPS} tries.",
            remedy="The triggerer's log says why; the job itself keeps running.",
            error_type=type(failure).__name__,
        ) from failure


def identity_digest(connection: AwsConnectionWrapper, *, service_name: str, config: Config) -> str:
    """
    Digest all of a resolved connection that decides how a call is signed and where it goes.

    Two waits may share a client only when these agree. The connection's id decides nothing: it may be edited, and two
    ids may hold the same keys. The digest is kept in memory only; it is made of secrets.

    :param connection: the connection's wrapper, as the hook resolved it.
    :param config: botocore's configuration that its clients get.
    """
    parts: dict[str, Any] = {
        "session": connection.session_kwargs,
        "role": [connection.role_arn, connection.assume_role_method, connection.assume_role_kwargs],
        # Federation and STS settings are read from here when the session is made.
        "extra": connection.extra_config,
        "region": connection.region_name,
        "endpoint": connection.get_service_endpoint_url(service_name),
        "verify": connection.verify,
        "config": getattr(config, "_user_provided_options", {}),
        "ambient": {name: os.environ[name] for name in _AMBIENT_VARIABLES if name in os.environ},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()


async def shared_look_up(settings: Hashable, look_up: Callable[[], Awaitable[str]]) -> str:
    """
    Return what *look_up* returns, or returned to another caller with equal settings on this loop a moment ago.

    A lookup that failed is not kept; cancelling one caller does not affect others.

    :param settings: all that decides what *look_up* will return, but for the connection itself.
    """
    loop = asyncio.get_running_loop()
    answers = _answers_of_loops.setdefault(loop, {})
    for key in [key for key, (until, _) in answers.items() if until <= loop.time()]:
        del answers[key]
    earlier = answers[settings][1] if settings in answers else None
    if earlier is None or (earlier.done() and (earlier.cancelled() or earlier.exception() is not None)):
        answers[settings] = (loop.time() + _SHARED_SECONDS, asyncio.ensure_future(_call(look_up)))
    return await asyncio.shield(answers[settings][1])


async def _call(look_up: Callable[[], Awaitable[str]]) -> str:
    return await look_up()


@cache
def _loader() -> Any:
    from botocore.loaders import create_loader

    return create_loader()


@cache
def _models(service_name: str) -> Any:
    """Return one loader for all clients of this process, with the service's model already in it."""
    from botocore.session import Session

    warmer = Session()
    warmer.register_component("data_loader", _loader())
    # Making a client once reads every file that the next one needs.
    warmer.create_client(
        service_name,
        region_name="us-east-1",
        aws_access_key_id="unused",
        aws_secret_access_key="unused",  # noqa: S106  never signs anything
    )
    return _loader()


def _renew_off_the_loop(session: Any) -> None:
    credentials = getattr(session, "_credentials", None)
    renew = getattr(credentials, "_refresh_using", None)
    if credentials is None or renew is None or inspect.iscoroutinefunction(renew):
        return

    @wraps(renew)
    async def renew_in_thread() -> Any:
        return await call_in_thread(renew)

    credentials._refresh_using = renew_in_thread  # noqa: SLF001  aiobotocore awaits what this returns
