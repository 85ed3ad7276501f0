"""Blocking code that runs a coroutine, also where a loop runs already, also when it is interrupted."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import time

import pytest

from airflow_bda.engine.tasks import call_in_thread, run_to_the_end


async def answer() -> tuple[int, str]:
    await asyncio.sleep(0)
    return 42, threading.current_thread().name


def test_it_runs_in_a_thread_of_its_own():
    """An exception that a signal handler raises in the main thread must not end up in a callback of the loop."""
    value, thread = run_to_the_end(answer)
    assert value == 42
    assert thread != threading.current_thread().name


async def test_within_a_loop_it_runs_in_another_thread_and_context_follows():
    variable = contextvars.ContextVar("variable")
    variable.set("mine")

    async def look():
        return variable.get(), threading.current_thread().name

    value, thread = run_to_the_end(look)
    assert value == "mine"
    assert thread != threading.current_thread().name


async def test_errors_come_back_from_the_other_thread():
    async def fail():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_to_the_end(fail)


def test_a_loop_that_cannot_be_closed_is_nobodys_error(monkeypatch):
    """In a process that ends, asyncio cannot start the thread by which it closes a loop."""
    died, seen = threading.Event(), []

    async def shut_down(loop, timeout=None):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    class Thread(threading.Thread):
        def run(self):
            super().run()
            died.set()

    monkeypatch.setattr(asyncio.BaseEventLoop, "shutdown_default_executor", shut_down)
    monkeypatch.setattr(threading, "excepthook", lambda failed: (seen.append(failed.exc_value), died.set()))
    monkeypatch.setattr("airflow_bda.engine.tasks.threading.Thread", Thread)

    assert run_to_the_end(answer)[0] == 42

    assert died.wait(10)
    assert seen == []


def test_a_loop_that_cannot_be_made_is_the_callers_error(monkeypatch):
    """The caller waits for the result, and there is nobody else to set it."""

    def run(coroutine):
        coroutine.close()
        raise OSError("too many open files")

    monkeypatch.setattr(asyncio, "run", run)

    with pytest.raises(OSError, match="too many open files"):
        run_to_the_end(answer)


class KilledError(Exception):
    pass


@pytest.fixture
def killed_soon():
    """Raise in the main thread, from a signal handler, as Airflow does to kill a task."""

    def kill(signal_number, frame):
        raise KilledError

    former = signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


@pytest.mark.parametrize("within_a_loop", [False, True])
def test_a_killed_wait_is_cancelled_and_cleans_up(killed_soon, within_a_loop):
    cleaned_up = []

    async def wait_for_ever():
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append(True)

    async def run():
        run_to_the_end(wait_for_ever)

    with pytest.raises(KilledError):
        asyncio.run(run()) if within_a_loop else run_to_the_end(wait_for_ever)
    assert cleaned_up


def test_a_killed_wait_leaves_a_call_that_hangs(killed_soon):
    """A socket without an answer blocks its thread for minutes; neither the task nor the process waits for it."""
    released = threading.Event()
    began = time.monotonic()
    with pytest.raises(KilledError):
        run_to_the_end(lambda: call_in_thread(released.wait, 60))
    assert time.monotonic() - began < 10
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "bda-call")
    released.set()


@pytest.mark.parametrize("where", ["callback", "task"])
def test_a_kill_while_the_loop_is_busy_is_not_taken_for_the_loops_own(where):
    """Asyncio logs what a callback raises and goes on; a task keeps what it raised for its awaiter."""

    def kill(signal_number, frame):
        raise KilledError

    def be_killed():
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass

    async def wait():
        if where == "callback":
            asyncio.get_running_loop().call_soon(be_killed)
        else:
            be_killed()
        await asyncio.sleep(60)

    former = signal.signal(signal.SIGALRM, kill)
    try:
        with pytest.raises(KilledError):
            run_to_the_end(wait)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


async def test_a_call_in_a_thread_returns_or_raises_what_it_does():
    assert await call_in_thread(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await call_in_thread(divmod, 7, 0)
