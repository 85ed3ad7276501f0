"""
Async clients whose every slow step runs off the event loop.

Three steps of a usual aiobotocore client block the loop that it is made on: loading service models, looking an Airflow
connection up, and renewing a role's credentials (for which the amazon provider hands aiobotocore a synchronous
function). Here all three run in threads.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AsyncExitStack
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from airflow_bda.service.statuses import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from airflow_bda.hooks.bda import BdaHook


async def async_client(hook: BdaHook, service_name: str) -> AbstractAsyncContextManager[Any]:
    """
    Make an aiobotocore client from a hook's connection, to be entered with ``async with``.

    :param service_name: botocore's name of the service; it need not be the hook's own.
    :raises Exception: what making a session raises: no such profile, a role that may not be assumed.
    """
    await hook.resolve_async()
    make_client = await asyncio.to_thread(_prepare, hook, service_name)
    return make_client()


class HookStatusSource:
    """
    One async client that asks for statuses, and the identity that it signs with.

    :param identity: the digest of the connection that the client was made from.
    """

    def __init__(self, client: Any, *, identity: str, resources: AsyncExitStack) -> None:
        self._client = client
        self._resources = resources
        self.identity = identity

    @classmethod
    async def open(cls, hook: BdaHook) -> HookStatusSource:
        """Make the client; raises what :func:`async_client` raises."""
        resources = AsyncExitStack()
        client = await resources.enter_async_context(await async_client(hook, hook.client_type))
        return cls(client, identity=hook.identity, resources=resources)

    async def get_status(self, invocation_arn: str) -> JobState:
        """Ask for one invocation's state; raises what botocore raises."""
        response = await self._client.get_data_automation_status(invocationArn=invocation_arn)
        return JobState.from_response(invocation_arn, response)

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._resources.aclose()


def _prepare(hook: BdaHook, service_name: str) -> Callable[[], AbstractAsyncContextManager[Any]]:
    """Do in a thread all that would block the loop, and give the last step, which needs the loop."""
    session: Any = hook.get_session(region_name=hook.region_name, deferrable=True)
    session.register_component("data_loader", _models(service_name))
    _renew_off_the_loop(session)
    arguments = {
        "service_name": service_name,
        "endpoint_url": hook.conn_config.get_service_endpoint_url(service_name),
        "config": hook.client_config(),
        "verify": hook.verify,
    }
    return lambda: session.create_client(**arguments)


@cache
def _loader() -> Any:
    from botocore.loaders import create_loader

    return create_loader()


@cache
def _models(service_name: str) -> Any:
    """Give one loader for all clients of this process, with the service's model already in it."""
    from botocore.session import Session

    warmer = Session()
    warmer.register_component("data_loader", _loader())
    # A client made and thrown away reads every file that the next one needs.
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
    if credentials is not None and renew is not None and not inspect.iscoroutinefunction(renew):
        credentials._refresh_using = _in_thread(renew)  # noqa: SLF001  aiobotocore awaits what this returns


def _in_thread(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    @wraps(function)
    async def run() -> Any:
        return await asyncio.to_thread(function)

    return run
