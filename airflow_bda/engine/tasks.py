"""Tasks that belong to nobody's wait: started in a context of their own, looked at when done."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def start_apart(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """
    Start a task in an empty context.

    A task inherits the context that it is started in, and what serves many waits must not log as one of them.
    """
    return start_within(contextvars.Context(), coroutine)


def start_within(context: contextvars.Context, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task in a context that is not the caller's."""
    loop = asyncio.get_running_loop()
    return context.copy().run(loop.create_task, coroutine)


def error_of(task: asyncio.Task[Any]) -> BaseException | None:
    """Tell what a task that is done failed with. One that was cancelled got no answer, like one that took too long."""
    return asyncio.TimeoutError("cancelled") if task.cancelled() else task.exception()
