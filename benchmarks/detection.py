"""
How late the end of a job is noticed, and with how many calls, in simulated time.

First each wait alone: ours beside fixed delays.
Lengths are drawn between 5 seconds and 30 minutes, evenly on a logarithmic scale. Every wait is the engine's own, with
the limits that this package ships; fixed delays go through the same engine, so that only the pauses differ. Lag is
counted in shares of the job's length.

Then more waits than the service answers at once (see `simulated_load.py`): how much later than an oracle ours notices
ends with equal calls, and how soon it finds what an account allows.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from airflow_bda.engine.waiting import StatusConnection, Wait, WaitLimits, wait_for_job
from airflow_bda.hooks import task_arguments as shipped
from airflow_bda.service.statuses import JobState

# The tests' simulated clock.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engine"))
from simulated_load import at_once, in_a_queue, in_order, oracle, run, spread, statistician
from simulated_time import EPOCH, run_simulated, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulated_load import Job

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 1800.0
BANDS = ((5, 15), (15, 60), (60, 300), (300, 900), (900, 1800))
LATENCY_SECONDS = 0.05
# The delays that the amazon provider's triggers for Bedrock come with: 120 seconds for model customization, provisioned
# throughput and batch inference; 60 for ingestion and agents; 5 for a knowledge base.
# https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/_api/airflow/providers/amazon/aws/triggers/bedrock/
UPSTREAM_DELAY_SECONDS = 120.0
SCHEDULES: dict[str, float | None] = {
    "ours": None,
    "fixed_5s": 5.0,
    "fixed_30s": 30.0,
    "upstream": UPSTREAM_DELAY_SECONDS,
}
LIMITS = WaitLimits(
    max_requests_per_second=shipped.MAX_STATUS_REQUESTS_PER_SECOND,
    min_poll_interval=shipped.MIN_POLL_INTERVAL,
    max_poll_interval=shipped.MAX_POLL_INTERVAL,
)


@dataclass(frozen=True)
class Noticed:
    """How one job's end was noticed."""

    length: float
    lag_seconds: float
    calls: int

    @property
    def lag(self) -> float:
        """Return the lag in shares of the job's length."""
        return self.lag_seconds / self.length


class Source:
    """Answers after a while that the job has ended, or that it has not."""

    identity = "one"

    def __init__(self, length: float) -> None:
        self.length = length
        self.calls = 0

    async def get_status(self, invocation_arn: str) -> JobState:
        """Answer by the simulated clock."""
        self.calls += 1
        has_ended = asyncio.get_running_loop().time() >= self.length
        await asyncio.sleep(LATENCY_SECONDS)
        return JobState.from_response(invocation_arn, {"status": "Success" if has_ended else "InProgress"})

    async def close(self) -> None:
        """Nothing is open."""

    async def open(self) -> Source:
        """Open itself."""
        return self


async def wait(length: float, poll_interval: float | None) -> Noticed:
    """Wait for one job, alone."""
    source = Source(length)
    await wait_for_job(
        Wait(
            "job",
            deadline=EPOCH + timedelta(days=1),
            connection=StatusConnection(source.identity, source.open),
            limits=LIMITS,
            poll_interval=poll_interval,
            submitted_at=EPOCH,
            wall_clock=wall_clock,
        )
    )
    return Noticed(length, asyncio.get_running_loop().time() - length, source.calls)


def show(results: dict[str, list[Noticed]]) -> None:
    """Print mean (and greatest) lag and mean calls, by schedule and length."""
    table = Table(title="lag in shares of the job's length: mean (greatest); calls")
    table.add_column("length")
    for schedule in results:
        table.add_column(schedule, justify="right")
    for low, high in (*BANDS, (SHORTEST_SECONDS, LONGEST_SECONDS)):
        row = [f"{low:.0f}-{high:.0f} s"]
        for noticed in results.values():
            band = [each for each in noticed if low <= each.length <= high]
            lags = [each.lag for each in band]
            row.append(f"{mean(lags):.3f} ({max(lags):.2f}); {mean(each.calls for each in band):.0f}")
        table.add_row(*row)
    Console().print(table)


# What documents take, in seconds: all of one kind; of all sizes; and one recording among two documents.
LENGTHS: dict[str, Callable[[], float]] = {
    "alike": lambda: random.lognormvariate(math.log(16), 0.1),
    "mixed": lambda: random.lognormvariate(math.log(30), 0.6),
    "two_kinds": lambda: random.lognormvariate(math.log(random.choice((16, 16, 90))), 0.2),
}
# Jobs are submitted at once, or at twice this rate; or BDA works on some at a time, and they end at 1.5 times it.
SHORT_RATE = 10.0
ARRIVALS = ("at_once", "spread", "queue")


def make_jobs(number: int, length: Callable[[], float], arrival: str) -> list[Job]:
    """Return jobs that arrive in one of the ways."""
    jobs = spread(number, length, number / SHORT_RATE / 2) if arrival == "spread" else at_once(number, length)
    if arrival == "queue":
        mean_length = mean(job.ends - job.starts for job in jobs)
        return in_a_queue(jobs, round(1.5 * SHORT_RATE * mean_length))
    return jobs


def measure_load(numbers: Sequence[int]) -> None:
    """Print how late ends are noticed when requests are short, over what an oracle needs with equal calls."""
    table = Table(title=f"mean lag in seconds at {SHORT_RATE:g} requests a second, all at equal calls")
    for column in ("waits", "lengths", "arrive", "calls a job", "ours", "oracle", "statistician", "in order"):
        table.add_column(column, justify="right")
    over_oracle, over_statistician = {}, {}
    for number, (name, length), arrival in product(numbers, LENGTHS.items(), ARRIVALS):
        jobs = make_jobs(number, length, arrival)
        ours = run(jobs, most=SHORT_RATE)
        calls = ours.account.calls
        scene = f"{number}.{name}.{arrival}"
        best = oracle(jobs, calls)
        over_oracle[scene] = ours.mean_lag / best
        known = "-"
        if arrival != "queue":
            lag = statistician(jobs, calls, length)
            known = f"{lag:.1f}"
            over_statistician[scene] = ours.mean_lag / lag
        lags = [f"{ours.mean_lag:.1f}", f"{best:.1f}", known, f"{in_order(jobs, calls):.1f}"]
        table.add_row(str(number), name, arrival, f"{len(calls) / number:.2f}", *lags)
    Console().print(table)
    for scene, ratio in over_oracle.items():
        print(f"detection.load.{scene}.lag_over_oracle {ratio:.2f}")
    for number in numbers:
        ratios = [ratio for scene, ratio in over_oracle.items() if scene.startswith(f"{number}.")]
        print(f"detection.load.{number}.mean_lag_over_oracle {mean(ratios):.2f}")
    print(f"detection.load.lag_over_oracle {max(over_oracle.values()):.2f}")
    print(f"detection.load.lag_over_statistician {max(over_statistician.values()):.2f}")


def measure_found_rate(numbers: Sequence[int]) -> None:
    """
    Print how late ends are noticed at the rate that the poller finds by itself, as it comes.

    Beside it two oracles: one that makes ten requests a second, whose lag of a thousand waits is about 20 seconds,
    and one that makes its calls at the very instants of ours.
    """
    over_steady, over_equal = [], []
    for number, (name, length), arrival in product(numbers, LENGTHS.items(), ARRIVALS):
        jobs = make_jobs(number, length, arrival)
        ours = run(jobs)
        calls = ours.account.calls
        last = max(job.ends for job in jobs) + number / SHORT_RATE
        steady = oracle(jobs, [at / SHORT_RATE for at in range(int(last * SHORT_RATE) + 1)])
        equal = oracle(jobs, calls)
        over_steady.append(ours.mean_lag / steady)
        over_equal.append(ours.mean_lag / equal)
        scene = f"detection.found_rate.{number}.{name}.{arrival}"
        print(f"{scene}.mean_lag_seconds {ours.mean_lag:.1f}")
        print(f"{scene}.calls_a_job {len(calls) / number:.2f}")
        print(f"{scene}.oracle_at_{SHORT_RATE:g}_a_second.mean_lag_seconds {steady:.1f}")
        print(f"{scene}.oracle_at_equal_calls.mean_lag_seconds {equal:.1f}")
    print(f"detection.found_rate.lag_over_oracle_at_{SHORT_RATE:g}_a_second {max(over_steady):.2f}")
    print(f"detection.found_rate.lag_over_oracle {max(over_equal):.2f}")


def measure_quota(quota: float, triggerers: int) -> None:
    """Print how soon triggerers find what an account allows, and how many of their calls it throttles from then on."""
    jobs = at_once(int(300 * quota), lambda: random.uniform(5.0, 20.0))
    account = run(jobs, most=10 * quota, quota=quota, triggerers=triggerers).account
    last = max(account.calls)
    found = next(
        (
            second
            for second in range(int(last))
            if sum(second <= at < second + 2 for at in account.calls) >= 1.8 * quota
        ),
        math.inf,
    )
    served = sum(at >= found for at in account.calls)
    throttled = sum(at >= found for at in account.throttled)
    name = f"detection.quota{quota:g}" + (f".{triggerers}_triggerers" if triggerers > 1 else "")
    print(f"{name}.seconds_to_find {found}")
    print(f"{name}.throttled_share {throttled / (served + throttled):.4f}")
    print(f"{name}.share_of_quota_used {served / (last - found) / quota:.3f}")


def measure_events(number: int) -> None:
    """Print what events of jobs are worth as hints, and that losing all of them costs nothing."""
    jobs = spread(number, LENGTHS["mixed"], number)
    # EventBridge takes some tenths of a second, mostly.
    told = run(jobs, event_delay=lambda: random.uniform(0.1, 0.5))
    shares = sorted(lag / (job.ends - job.starts) for lag, job in zip(told.lags, jobs, strict=True))
    without = run(jobs)
    lost = run(jobs, event_delay=lambda: None)
    some_lost = run(jobs, event_delay=lambda: None if random.random() < 0.02 else random.uniform(0.1, 0.5))
    print(f"detection.events.p95_lag_share {shares[int(0.95 * number)]:.3f}")
    print(f"detection.events.requests_per_job {len(told.account.calls) / number:.2f}")
    print(f"detection.events.without.mean_lag_seconds {without.mean_lag:.2f}")
    print(f"detection.events.without.requests_per_job {len(without.account.calls) / number:.2f}")
    print(f"detection.events.all_lost.mean_lag_over_without {lost.mean_lag / without.mean_lag:.3f}")
    print(f"detection.events.all_lost.requests_over_without {len(lost.account.calls) / len(without.account.calls):.3f}")
    print(f"detection.events.2_percent_lost.mean_lag_seconds {some_lost.mean_lag:.2f}")
    print(f"detection.events.2_percent_lost.greatest_lag_seconds {max(some_lost.lags):.0f}")
    print(f"detection.events.2_percent_lost.requests_per_job {len(some_lost.account.calls) / number:.2f}")


def measure_four_hundred() -> None:
    """Print when the last of 400 waits for jobs of 5 seconds ends, at a service that allows 50 requests a second."""
    jobs = at_once(400, lambda: 5.0)
    ended = [lag + job.ends for lag, job in zip(run(jobs, quota=50.0).lags, jobs, strict=True)]
    print(f"detection.400_of_5s.seconds {max(ended):.1f}")


def main() -> None:
    """Measure, print the table and plain lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--numbers", type=int, nargs="+", default=[1000, 10_000], help="how many waits at once")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    spread = math.log(LONGEST_SECONDS / SHORTEST_SECONDS)
    lengths = [SHORTEST_SECONDS * math.exp(random.uniform(0, spread)) for _ in range(arguments.jobs)]
    results = {
        schedule: [run_simulated(lambda length=length, delay=delay: wait(length, delay)) for length in lengths]
        for schedule, delay in SCHEDULES.items()
    }
    show(results)
    for schedule, noticed in results.items():
        print(f"detection.{schedule}.mean_lag {mean(each.lag for each in noticed):.3f}")
        print(f"detection.{schedule}.max_lag {max(each.lag for each in noticed):.3f}")
        print(f"detection.{schedule}.calls {sum(each.calls for each in noticed)}")
    ours = results["ours"]
    worst_band = max(mean(each.lag for each in ours if low <= each.length <= high) for low, high in BANDS)
    print(f"detection.worst_mean_lag {worst_band:.3f}")
    fixed_calls = sum(each.calls for each in results["fixed_5s"])
    print(f"detection.calls_share_of_fixed_5s {sum(each.calls for each in ours) / fixed_calls:.3f}")
    measure_load(arguments.numbers)
    measure_found_rate(arguments.numbers)
    measure_quota(50.0, triggerers=1)
    measure_quota(50.0, triggerers=3)
    measure_four_hundred()
    measure_events(10_000)


if __name__ == "__main__":
    main()
