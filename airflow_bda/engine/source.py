"""What the engine asks for statuses: one authenticated client, of whatever make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_bda.service.statuses import JobState


class StatusSource(Protocol):
    """One authenticated way to ask for statuses."""

    @property
    def identity(self) -> str:
        """
        Whom this source asks as: the digest of the connection as it was when the source was opened.

        It must be made from the very settings that the client was made from. A source whose identity is not the one
        that its poller serves is closed unused, and the waits move on (see :mod:`airflow_bda.engine.waiting`).
        """

    async def get_status(self, invocation_arn: str) -> JobState:
        """
        Ask once.

        :raises Exception: as botocore does; :func:`airflow_bda.service.aws_errors.classify` tells what it means.
        """

    async def close(self) -> None:
        """Let go of the client. Called once, after the last call has ended."""


OpenSource = Callable[[], Awaitable[StatusSource]]
ResolveIdentity = Callable[[], Awaitable[str]]
