"""
Run asyncio tasks in contexts of their own, coroutines from blocking code, and blocking calls from coroutines.

No thread that is started here is ever joined: what hangs in one keeps neither a task nor a process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# How long an interrupted thread waits for its coroutine to clean up (to close a client) before it continues without.
_CLEANING_UP_SECONDS = 1.0


def start_apart(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """
    Start a task in an empty context.

    A task inherits the context that it is started in, and what serves many waits must not log as one of them.
    """
    return start_within(contextvars.Context(), coroutine)


def start_within(context: contextvars.Context, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task in a copy of the given context, which is not the caller's."""
    loop = asyncio.get_running_loop()
    return context.copy().run(loop.create_task, coroutine)


def error_of(task: asyncio.Task[Any]) -> BaseException | None:
    """Return what a finished task failed with. A cancelled one got no answer, like one that took too long."""
    return asyncio.TimeoutError("cancelled") if task.cancelled() else task.exception()


async def call_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """
    Run a blocking call in a daemon thread, in a copy of this context.

    Unlike ``asyncio.to_thread``, nothing joins the thread: neither the end of the loop nor the end of the process waits
    for a call that hangs, and cancelling the caller abandons it.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # a value where there is no error

    def run() -> None:
        value, error = None, None
        try:
            value = context.run(function, *arguments)
        except BaseException as raised:  # noqa: BLE001  it is raised in the caller
            error = raised
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="bda-call", daemon=True).start()
    return await result


def run_to_the_end(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Block until a coroutine has ended, on an event loop in a thread of its own.

    Airflow ends a task by raising in a signal handler, that is, in the main thread, at any line. A loop that ran
    there would take the exception for a callback's or a task's own, and continue. Here the main thread only waits: the
    exception leaves it at once, and the coroutine is cancelled.

    :param make: makes the coroutine; called on the loop that will run it.
    """
    run = _Run(make)
    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="bda-wait", daemon=True).start()
    try:
        return run.result.result()
    except BaseException:
        run.cancel()
        raise


class _Run(Generic[T]):
    """One coroutine on one loop in one thread."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.result: Future[T] = Future()
        self._make = make
        self._is_cancelled = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def __call__(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001  it is raised in the thread that waits
            # With a result, only closing the loop failed, as it does in a process that has just ended: for closing,
            # asyncio starts a thread.
            if not self.result.done():
                self.result.set_exception(error)

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine that runs has a task"  # noqa: S101
        # In this order: either cancel() finds the task, or the task finds that it was cancelled.
        self._running = (asyncio.get_running_loop(), task)
        if self._is_cancelled:
            task.cancel()
        # Set here, not by the thread's end: what the loop still joins then may hang.
        try:
            value = await self._make()
        except BaseException as error:  # noqa: BLE001  it is raised in the thread that waits
            self.result.set_exception(error)
        else:
            self.result.set_result(value)

    def cancel(self) -> None:
        """Cancel the coroutine, and wait a moment for its cleanup; does nothing to one that has ended."""
        self._is_cancelled = True
        if self.result.done() or self._running is None:
            return
        loop, task = self._running
        with suppress(RuntimeError):  # the loop has just been closed
            loop.call_soon_threadsafe(task.cancel)
        wait([self.result], timeout=_CLEANING_UP_SECONDS)
