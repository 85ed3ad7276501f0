"""When a batch may start jobs: the pace, the turns of several batches, the breakers, and giving up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from simulated_time import simulated, wall_clock

from airflow_bda.engine.batch.documents import Document
from airflow_bda.engine.batch.starting import Ready, Starter
from airflow_bda.engine.batch.throttle import Breaker, Gate, Permit, Turns, shared_turns
from airflow_bda.exceptions import BdaConnectionError
from airflow_bda.service.arns import derive_profile_arn
from airflow_bda.service.aws_errors import call_error
from airflow_bda.service.request.request import build_request


def now() -> float:
    return asyncio.get_running_loop().time()


def most_in_a_second(times: list[float]) -> int:
    return max(sum(start <= time < start + 1.0 for time in times) for start in times)


async def take_all(turns: Turns, number: int, batch: object = "batch") -> list[float]:
    """Take turns, all of which succeed; return when."""
    times: list[float] = []

    async def take() -> None:
        await turns.take(batch)
        times.append(now())
        turns.succeeded()

    await asyncio.gather(*(take() for _ in range(number)))
    return times


# -- the pace


@simulated
async def test_the_pace_starts_moderate_and_rises_to_the_setting_while_starts_succeed():
    times = await take_all(Turns(50.0), 1000)

    assert most_in_a_second([time for time in times if time < 1.0]) == 10
    assert most_in_a_second(times) == 50
    assert times[-1] < 30.0, "50 a second take 20 seconds, and the rise some more"


@simulated
async def test_the_pace_doubles_each_second_while_starts_succeed():
    times = await take_all(Turns(1000.0), 600)

    assert times[-1] < 7.0


@simulated
async def test_the_pace_never_exceeds_a_setting_below_the_first_pace():
    times = await take_all(Turns(2.0), 20)

    assert most_in_a_second(times) == 2


@simulated
async def test_the_pace_does_not_rise_while_nothing_waits():
    turns = Turns(50.0)
    for _ in range(100):
        await take_all(turns, 1)
        await asyncio.sleep(0.2)

    began = now()
    times = await take_all(turns, 30)

    assert sum(time < began + 0.9 for time in times) <= 20, "it doubles while these wait, from ten"


@dataclass
class Account:
    """An account that takes some starts a second, and refuses the others."""

    most_per_second: float
    tokens: float = field(init=False)
    filled_at: float = 0.0
    started: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = self.most_per_second

    async def invoke(self) -> bool:
        await asyncio.sleep(0.1)
        self.tokens = min(self.most_per_second, self.tokens + (now() - self.filled_at) * self.most_per_second)
        self.filled_at = now()
        if self.tokens < 1.0:
            self.refused.append(now())
            return False
        self.tokens -= 1.0
        self.started.append(now())
        return True


@pytest.mark.parametrize("most_per_second", [1.0, 5.0, 15.0, 40.0])
@simulated
async def test_a_batch_uses_what_the_account_allows_with_few_refusals(most_per_second):
    account, gate = Account(most_per_second), Gate(Turns(100.0), "batch", 1000, lambda _: None)

    async def start() -> None:
        while True:
            permit = await gate.enter()
            if await account.invoke():
                return gate.started()
            gate.refused(permit, "Throttled.", is_quota=False)

    began = now()
    await asyncio.gather(*(start() for _ in range(1000)))

    assert now() - began < 1000 / most_per_second * 1.5
    assert len(account.refused) < 0.4 * len(account.started)


# -- turns


@simulated
async def test_batches_of_one_identity_take_turns_however_many_documents_each_has():
    order: list[str] = []
    turns = shared_turns("me", 10.0)
    assert shared_turns("me", 10.0) is turns
    assert shared_turns("somebody else", 10.0) is not turns

    async def take(batch: str) -> None:
        await turns.take(batch)
        order.append(batch)

    large = [asyncio.ensure_future(take("large")) for _ in range(100)]
    await asyncio.sleep(0.5)
    begun = len(order)
    await asyncio.gather(*(take("small") for _ in range(20)))

    assert [batch for batch, _ in groupby(order[begun:])] == ["large", "small"] * 20
    await asyncio.gather(*large)


@simulated
async def test_a_turn_whose_taker_was_cancelled_costs_nothing():
    turns = Turns(1.0)
    await turns.take("batch")
    gone = asyncio.ensure_future(turns.take("batch"))
    await asyncio.sleep(0)
    gone.cancel()

    await turns.take("batch")

    assert now() == pytest.approx(1.0, abs=0.2)


# -- the breakers


@simulated
async def test_while_it_is_open_one_goes_through_at_a_time_after_pauses_that_grow():
    breaker, entered = Breaker(3, first=1.0, longest=60.0), []
    for _ in range(3):
        breaker.failed(is_probe=False)

    async def go() -> None:
        is_probe = await breaker.enter()
        entered.append((now(), is_probe))
        if len(entered) == 6:
            breaker.succeeded()
        elif len(entered) < 6:
            await asyncio.sleep(0.1)
            breaker.failed(is_probe=is_probe)

    await asyncio.gather(*(go() for _ in range(20)))

    probes = [time for time, is_probe in entered if is_probe]
    assert len(probes) == 6
    for number, (earlier, later) in enumerate(pairwise(probes)):
        assert 2.0**number - 0.01 <= later - earlier - 0.1 <= 2.0 ** (number + 1) + 0.01, "half of the limit at least"
    assert all(time == probes[-1] for time, is_probe in entered if not is_probe), "the first success lets all in"


@simulated
async def test_calls_that_fail_together_cost_one_pause():
    gate = Gate(Turns(100.0), "batch", 100, lambda _: None)
    permits = [await gate.enter() for _ in range(10)]

    counted = [gate.refused(permit, "Throttled.", is_quota=True) for permit in permits]

    assert counted == [True] + [False] * 9
    assert await gate.enter() == Permit(probes_calls=True)
    assert 0.5 <= now() <= 2.0


@simulated
async def test_jobs_that_were_running_when_jobs_began_to_fail_make_no_pause_longer():
    told: list[str] = []
    gate = Gate(Turns(100.0), "batch", 100, told.append)
    for _ in range(100):
        gate.ended(Permit(), in_service_error=True)
    assert told == ["10 jobs in a row ended in ServiceError; starting one at a time."]

    probe = await gate.enter()
    assert probe == Permit(probes_jobs=True)
    assert 30.0 <= now() <= 61.0
    second = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(3600.0)
    assert not second.done(), "the probe's job has not ended"

    gate.started()
    gate.ended(probe, in_service_error=False)

    assert await second == Permit()
    assert told[1:] == ["Jobs succeed again; starting all."]


@pytest.mark.parametrize("end", ["abandoned", "denied", "refused"])
@simulated
async def test_a_probe_that_starts_no_job_lets_the_next_one_in(end):
    gate = Gate(Turns(100.0), "batch", 100, lambda _: None)
    for _ in range(10):
        gate.ended(Permit(), in_service_error=True)
    probe = await gate.enter()

    if end == "refused":
        gate.refused(probe, "Throttled.", is_quota=False)
    else:
        getattr(gate, end)(probe)

    assert (await gate.enter()).probes_jobs


class JobQuota:
    """An account that allows so many open jobs."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.is_down = False
        self.open = self.most_open = self.refused = 0

    def begin(self, gate: Gate, documents: int, *, job_seconds: float) -> asyncio.Future[None]:
        """Begin to process documents, and return what is done when all are."""
        return asyncio.ensure_future(self.process(gate, documents, job_seconds=job_seconds))

    async def process(self, gate: Gate, documents: int, *, job_seconds: float) -> None:
        """Run a job for each document, as a batch does."""
        running = []
        for _ in range(documents):
            await gate.take_up()
            running.append(asyncio.ensure_future(self._process_one(gate, job_seconds)))
        await asyncio.gather(*running)

    async def _process_one(self, gate: Gate, job_seconds: float) -> None:
        permit = await gate.enter()
        while self.is_down or self.open >= self.quota:
            self.refused += 1
            gate.refused(permit, "Too many jobs.", is_quota=not self.is_down)
            permit = await gate.enter()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        gate.started()
        await asyncio.sleep(job_seconds)
        self.open -= 1
        gate.ended(permit, in_service_error=False)
        gate.leave()


@pytest.mark.parametrize("quota", [1, 2, 25])
@simulated
async def test_a_quota_of_open_jobs_is_used_up_with_few_calls_in_vain(quota):
    account, documents = JobQuota(quota), 20 * quota

    await account.process(Gate(Turns(100.0), "batch", 100, lambda _: None), documents, job_seconds=30.0)

    assert now() <= 20 * 30.0 * 1.1
    assert account.refused <= documents


@simulated
async def test_what_waits_for_a_place_finds_a_breaker_that_opened_meanwhile():
    account, gate = JobQuota(25), Gate(Turns(100.0), "batch", 500, lambda _: None)
    batch = account.begin(gate, 1500, job_seconds=60.0)
    await asyncio.sleep(600.0)
    account.is_down, before = True, account.refused
    await asyncio.sleep(60.0)

    assert account.refused - before <= 12, "one call at a time, after pauses that grow"
    account.is_down = False
    await batch


@simulated
async def test_places_that_others_took_for_a_while_come_back_fast():
    account, gate = JobQuota(100), Gate(Turns(100.0), "batch", 100, lambda _: None)
    batch = account.begin(gate, 2000, job_seconds=60.0)
    await asyncio.sleep(90.0)
    account.quota = 1
    await asyncio.sleep(120.0)
    account.quota, account.most_open = 100, 0
    await asyncio.sleep(300.0)

    assert account.most_open >= 90
    await batch


@simulated
async def test_many_that_wait_for_a_small_quota_cost_no_more_than_few():
    """Each end lets one in; were all of them woken each time, a thousand would hold the loop for seconds."""
    entered = []

    class Counting(Gate):
        def _lets_in(self, permit: Permit) -> bool:
            entered.append(permit)
            return super()._lets_in(permit)

    await JobQuota(25).process(Counting(Turns(100.0), "batch", 1000, lambda _: None), 2000, job_seconds=60.0)

    assert len(entered) < 2 * 2000


@simulated
async def test_jobs_of_an_earlier_round_take_places():
    gate = Gate(Turns(100.0), "batch", 10, lambda _: None)
    adopted = [gate.adopt() for _ in range(3)]
    gate.refused(await gate.enter(), "Too many jobs.", is_quota=True)
    fourth = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(600.0)
    assert not fourth.done(), "three are open, and the account allows no more"

    gate.ended(adopted[0], in_service_error=False)

    assert await asyncio.wait_for(fourth, 10.0) == Permit(probes_calls=True)


@simulated
async def test_places_that_a_breaker_took_back_are_free_again():
    gate = Gate(Turns(100.0), "batch", 11, lambda _: None)
    permits = [await gate.enter() for _ in range(11)]
    for _ in permits:
        gate.started()
    waiting = [asyncio.ensure_future(gate.enter()) for _ in range(30)]
    await asyncio.sleep(1.0)
    for permit in permits:  # at once: those that wait get their places before the breaker opens
        gate.ended(permit, in_service_error=True)
    await asyncio.sleep(120.0)
    (probe,) = [task.result() for task in waiting if task.done()]

    gate.started()
    gate.ended(probe, in_service_error=False)
    await asyncio.sleep(10.0)

    assert sum(task.done() for task in waiting) == 1 + 11
    for task in waiting:
        task.cancel()


@simulated
async def test_one_that_gives_up_while_it_waits_for_its_turn_leaves_its_place_to_the_next():
    gate = Gate(Turns(1.0), "batch", 1, lambda _: None)
    gate.denied(await gate.enter())
    second = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(0.2)
    assert not second.done()
    second.cancel()

    assert await asyncio.wait_for(gate.enter(), 10.0) == Permit()


@simulated
async def test_one_that_gives_up_leaves_its_place_to_the_next():
    gate = Gate(Turns(100.0), "batch", 1, lambda _: None)
    first = await gate.enter()
    gate.started()
    second, third = asyncio.ensure_future(gate.enter()), asyncio.ensure_future(gate.enter())
    await asyncio.sleep(1.0)
    gate.ended(first, in_service_error=False)
    second.cancel()

    assert await asyncio.wait_for(third, 10.0) == Permit()


@simulated
async def test_after_the_quota_has_grown_all_of_it_is_used():
    account, gate = JobQuota(2), Gate(Turns(100.0), "batch", 100, lambda _: None)
    batch = account.begin(gate, 1000, job_seconds=30.0)
    await asyncio.sleep(300.0)
    account.quota = 1000
    await asyncio.sleep(600.0)

    assert account.most_open == 100, "what the batch was told"
    await batch


# -- an endpoint that does not exist


class Nowhere:
    """BDA at an address where nothing answers."""

    limits = None

    def __init__(self) -> None:
        self.calls: list[float] = []

    def request(self, job, input_s3_uri):
        return build_request(input_s3_uri=input_s3_uri, **job)

    async def invoke(self, request):
        self.calls.append(now())
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    async def explain(self, error, request):
        return call_error(error, operation="InvokeDataAutomationAsync")


@simulated
async def test_an_endpoint_that_was_never_reached_is_given_up_within_a_minute_but_not_at_once():
    job = {
        "output_s3_uri": "s3://outputs/x",
        "profile_arn": derive_profile_arn(region="us-east-1", account="111122223333"),
        "project_arn": "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default",
    }
    ledger = SimpleNamespace(state=SimpleNamespace(job=job, life="life"))
    jobs = Nowhere()
    starter = Starter(ledger, jobs, Gate(Turns(100.0), "batch", 100, lambda _: None), wall_clock)
    starts = [
        asyncio.ensure_future(starter.start(Ready(number, Document(f"s3://inputs/{number}.pdf", "e"), 0)))
        for number in range(50)
    ]

    done, pending = await asyncio.wait(starts, return_when=asyncio.FIRST_EXCEPTION)

    assert 10.0 < now() < 60.0
    with pytest.raises(BdaConnectionError):
        done.pop().result()
    for start in pending:
        start.cancel()
    await asyncio.wait(pending)
