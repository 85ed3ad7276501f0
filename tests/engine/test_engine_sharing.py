"""Who shares a client with whom, and what the comings and goings of one wait do to another: nothing."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from datetime import datetime, timedelta, timezone

import pytest
from pretended_service import ARN, FAST, Service, refusal
from simulated_time import EPOCH, SimulatedLoop, simulated

from airflow_bda.engine import waiting
from airflow_bda.engine.waiting import StatusConnection, Wait, wait_for_job, wait_in_this_thread


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def after(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


@simulated
async def test_one_identity_shares_one_client():
    service = Service()
    outcomes = await asyncio.gather(*(service.wait(number) for number in range(20)))
    assert [outcome.state.status_text for outcome in outcomes] == ["Success"] * 20
    assert len(service.sources) == 1
    assert service.all_closed_once()


@simulated
async def test_two_identities_never_share_a_client():
    service = Service()
    await asyncio.gather(*(service.wait(f"{who}-{n}", identity=who) for who in ("one", "two") for n in range(5)))
    assert sorted(source.identity for source in service.sources) == ["one", "two"]
    assert all(call.source.identity in call.invocation_arn for call in service.calls)


def test_two_loops_never_share_a_client():
    """A client is bound to the loop that it was opened on, so a second loop must open its own."""
    service = Service(length=0.0, latency=0.0, opening_seconds=0.0, closing_seconds=0.0)
    opened_on = []
    both_wait = threading.Barrier(2)

    async def open_source():
        opened_on.append(asyncio.get_running_loop())
        await asyncio.get_running_loop().run_in_executor(None, both_wait.wait, 10)
        return await service.open()

    def run():
        deadline = datetime.now(timezone.utc) + timedelta(seconds=30)
        connection = StatusConnection("one", open_source)
        asyncio.run(wait_for_job(Wait(ARN, deadline, connection, FAST, poll_interval=0.01)))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(map(id, opened_on))) == 2
    assert len(service.sources) == 2
    assert service.all_closed_once()


def test_a_loop_that_died_amid_its_waits_is_forgotten():
    loop = SimulatedLoop()
    wait = loop.create_task(Service(length=1e9).wait())
    loop.run_until_complete(asyncio.sleep(5))
    assert len(waiting._pollers[loop]) == 1
    is_alive = weakref.ref(loop)
    loop.close()
    wait._log_destroy_pending = False
    del loop, wait
    gc.collect()
    assert is_alive() is None


@simulated
async def test_equal_arns_are_asked_once_and_all_answered():
    service = Service()
    outcomes = await asyncio.gather(*(service.wait("same", poll_interval=1.0) for _ in range(10)))
    assert len({id(outcome.state) for outcome in outcomes}) == 1
    assert len(service.calls) < 40, "30 seconds at one a second"


@simulated
async def test_a_late_joiner_of_an_old_wait_is_answered_soon():
    service = Service(length=2000.0)
    first = asyncio.create_task(service.wait(poll_interval=500.0))
    await asyncio.sleep(100)
    service.length = 0.0
    joined_at = loop_time()
    await service.wait()
    await first
    assert loop_time() - joined_at < 3


@simulated
async def test_cancelling_one_wait_disturbs_no_other():
    service = Service()
    waits = [asyncio.create_task(service.wait(number)) for number in range(10)]
    await asyncio.sleep(5)
    for wait in waits[::2]:
        wait.cancel()
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False] * 5
    assert len(service.sources) == 1
    cancelled = {ARN.format(number) for number in range(0, 10, 2)}
    assert not [call for call in service.calls if call.at > 5.1 and call.invocation_arn in cancelled]


@simulated
async def test_cancelling_one_of_two_waits_for_an_arn_leaves_the_other():
    service = Service(latency=1.0)
    waits = [asyncio.create_task(service.wait("same")) for _ in range(2)]
    await service.until(lambda: service.sources and service.sources[0].calls_under_way)
    waits[0].cancel()
    assert (await waits[1]).state.status_text == "Success"


@pytest.mark.parametrize("moment", [0.0, 0.1, 1.0, 3.0], ids=["at once", "during opening", "during a request", "later"])
def test_cancelling_all_waits_closes_the_client(moment):
    service = Service(opening_seconds=0.5, latency=2.0)

    @simulated
    async def run():
        waits = [asyncio.create_task(service.wait(number)) for number in range(5)]
        await asyncio.sleep(moment)
        for wait in waits:
            wait.cancel()
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert not waiting._pollers[asyncio.get_running_loop()]

    run()
    assert service.all_closed_once()


@simulated
async def test_an_opening_that_ends_in_the_instant_of_its_cancelling_is_closed():
    service = Service()

    async def open_regardless():
        source = await service.open()
        wait.cancel()
        return source

    wait = asyncio.create_task(service.wait(open_source=open_regardless))
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert len(service.sources) == 1
    assert service.all_closed_once()


@simulated
async def test_a_client_is_closed_even_if_the_last_wait_is_cancelled_twice():
    service = Service(latency=1.0, closing_seconds=2.0)
    wait = asyncio.create_task(service.wait())
    await service.until(lambda: service.sources and service.sources[0].calls_under_way)
    wait.cancel()
    await asyncio.sleep(0.02)
    assert not service.sources[0].closed, "the request has not broken off yet"
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    await asyncio.sleep(5)
    assert service.all_closed_once()


@simulated
async def test_the_last_waiter_closes_the_client_before_it_returns():
    service = Service()
    await asyncio.gather(service.wait("a"), service.wait("b", deadline=after(1)))
    assert service.all_closed_once()


@simulated
async def test_the_first_wait_leaving_does_not_close_the_client():
    service = Service(lengths={ARN.format("a"): 3.0})
    other = asyncio.create_task(service.wait("b"))
    await service.wait("a")
    assert not service.sources[0].closed
    await other
    assert len(service.sources) == 1


@simulated
async def test_a_wait_that_arrives_while_the_client_closes_gets_a_new_one():
    service = Service(lengths={ARN.format("a"): 3.0}, closing_seconds=10.0)
    first = asyncio.create_task(service.wait("a"))
    await service.until(lambda: service.sources and service.sources[0].closed)
    assert not first.done()
    outcome = await service.wait("b")
    await first
    assert outcome.state.status_text == "Success"
    assert len(service.sources) == 2
    assert service.all_closed_once()


@simulated
async def test_an_error_while_closing_is_logged_and_fails_no_wait(caplog):
    service = Service()

    async def open_source():
        source = await service.open()
        source.close = fail_to_close
        return source

    async def fail_to_close():
        raise OSError("already gone")

    assert (await service.wait(open_source=open_source)).state.status_text == "Success"
    assert "could not be closed" in caplog.text


@simulated
async def test_lines_are_logged_in_the_context_of_their_own_wait():
    """Airflow tells the log lines of triggers apart by context variables."""
    trigger = contextvars.ContextVar("trigger", default="nobody")
    service = Service()
    logged = []

    async def run(name):
        trigger.set(name)
        await service.wait(name, on_change=lambda line: logged.append((trigger.get(), line)))

    await asyncio.gather(run("a"), run("b"))
    assert {name for name, _ in logged} == {"a", "b"}
    assert all(line.startswith(ARN.format(name)) for name, line in logged)


@simulated
async def test_requests_run_in_an_empty_context_and_openings_in_their_waits():
    trigger = contextvars.ContextVar("trigger", default="nobody")
    seen = []
    service = Service(fault=lambda _: seen.append(trigger.get()))

    async def open_source():
        seen.append(f"opened by {trigger.get()}")
        return await service.open()

    trigger.set("a")
    await service.wait(open_source=open_source)
    assert seen[0] == "opened by a"
    assert set(seen[1:]) == {"nobody"}


@simulated
async def test_a_log_callback_that_fails_does_not_affect_waits():
    service = Service()
    other = asyncio.create_task(service.wait("b"))

    def fail(line):
        raise ValueError(line)

    assert (await service.wait("a", on_change=fail)).state.status_text == "Success"
    await other
    errors = asyncio.get_running_loop().errors
    assert errors
    errors.clear()


@simulated
async def test_a_role_that_changes_is_found_out_and_followed():
    """The old credentials go on working; nothing but looking the connection up again can tell."""
    service = Service(length=3000.0)
    connection = {"identity": "old"}

    async def resolve():
        return connection["identity"]

    async def open_source():
        return await service.open(connection["identity"])

    async def resolve_as_ever():
        return "old"

    first = service.wait("first", identity="old", poll_interval=5.0, resolve_identity=resolve_as_ever)
    last = service.wait("last", identity="old", poll_interval=5.0)
    by_other_connections = [asyncio.create_task(first)]
    wait = asyncio.create_task(
        service.wait(identity="old", open_source=open_source, resolve_identity=resolve, poll_interval=5.0)
    )
    by_other_connections.append(asyncio.create_task(last))
    await asyncio.sleep(100)
    connection["identity"] = "new"
    await asyncio.gather(wait, *by_other_connections)
    after = [call for call in service.calls if call.at > 100 + 2 * 400]
    assert {(call.invocation_arn, call.source.identity) for call in after} == {
        (ARN.format("first"), "old"),
        (ARN.format("a"), "new"),
        (ARN.format("last"), "old"),
    }
    assert service.all_closed_once()


@simulated
async def test_a_client_opened_for_another_identity_is_never_asked():
    """The connection changed between looking it up and opening it: the wait moves before its first request."""
    service = Service()

    async def open_another():
        await asyncio.sleep(5)
        return await service.open("two")

    wait = asyncio.create_task(service.wait("a", identity="one", open_source=open_another))
    await asyncio.sleep(2)
    bystander = asyncio.create_task(service.wait("b", identity="one"))
    for outcome in await asyncio.gather(wait, bystander):
        assert outcome.state.status_text == "Success"
    assert {(call.invocation_arn, call.source.identity) for call in service.calls} == {
        (ARN.format("a"), "two"),
        (ARN.format("b"), "one"),
    }
    assert service.all_closed_once()


@simulated
async def test_a_connection_with_another_identity_each_time_does_not_spin():
    service = Service(length=0.0)
    openings = []

    async def open_source():
        openings.append(loop_time())
        return await service.open(f"identity {len(openings)}")

    async def resolve():
        return "one"

    outcome = await service.wait(open_source=open_source, resolve_identity=resolve, deadline=after(600))
    assert outcome.timed_out
    assert not service.calls
    assert len(openings) < 60


@simulated
async def test_new_credentials_are_picked_up_under_their_new_identity():
    service = Service()
    connection = {"key": "old"}
    service.fault = lambda call: None if call.source.identity == connection["key"] else refusal("InvalidClientTokenId")

    async def resolve():
        return connection["key"]

    async def open_source():
        return await service.open(connection["key"])

    waits = [
        asyncio.create_task(service.wait(n, identity="old", open_source=open_source, resolve_identity=resolve))
        for n in range(10)
    ]
    await asyncio.sleep(10)
    connection["key"] = "new"
    outcomes = await asyncio.gather(*waits)
    assert all(outcome.state.status_text == "Success" for outcome in outcomes)
    assert len([source for source in service.sources if source.identity == "new"]) == 2, "one to find out, one to stay"
    assert service.all_closed_once()


def test_a_blocking_wait_ends_with_the_job_whether_or_not_a_loop_runs():
    service = Service(length=0.0, latency=0.0, opening_seconds=0.0, closing_seconds=0.0)

    def wait():
        deadline = datetime.now(timezone.utc) + timedelta(seconds=30)
        return wait_in_this_thread(Wait(ARN, deadline, StatusConnection("one", service.open), FAST, poll_interval=0.01))

    async def within_a_loop():
        return wait()

    assert wait().state.status_text == "Success"
    assert asyncio.run(within_a_loop()).state.status_text == "Success"
    assert len(service.sources) == 2
    assert service.all_closed_once()
