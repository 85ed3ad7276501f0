"""Run a coroutine to its end from code that blocks, whether or not its thread runs an event loop already."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def run_to_the_end(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Block until the coroutine has ended.

    An interruption of this thread (a signal handler that raises, as Airflow's does to kill a task) cancels it.

    :param make: makes the coroutine; called on the loop that will run it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_call(make))
    return _run_in_a_fresh_thread(make)


async def _call(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await make()


def _run_in_a_fresh_thread(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = Future()

    async def run() -> T:
        task = asyncio.ensure_future(make())
        started.set_result((asyncio.get_running_loop(), task))
        return await task

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="bda-wait") as pool:
        result = pool.submit(contextvars.copy_context().run, asyncio.run, run())
        try:
            return result.result()
        except BaseException:
            if not result.done():
                loop, task = started.result()
                loop.call_soon_threadsafe(task.cancel)
            raise
