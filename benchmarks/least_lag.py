"""
The least mean lag that any order of asking can reach, by a linear program.

Nobody who does not know the single job can do better, whatever he has learned. Each job's looks are planned with the
exact distribution of the lengths, and all jobs together make no more calls in a second than ours made, on average
instead of always. That average is easier to keep than the real limit, so the result is a bound from below, up to the
steps of time that it is computed in. A plan is a path through a job's ages: from a look that found no end to the next.

It needs scipy, which nothing else here does: `pip install scipy`. It takes some minutes.
"""

from __future__ import annotations

import argparse
import math
import random
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from detection import LENGTHS, SHORT_RATE, make_jobs
from simulated_load import LATENCY_SECONDS, oracle, run, statistician

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulated_load import Job

# Jobs that start within so many steps count as started together.
_STEPS_TOGETHER = 2


class Plan:
    """The linear program: flows from look to look, their costs, and the calls that they make at each step of time."""

    def __init__(self, lengths: Any, calls: Sequence[float], step: float) -> None:
        self.step = step
        self.horizon = math.ceil(calls[-1] / step) + 1
        self.allowed = np.bincount((np.array(calls) / step).astype(int), minlength=self.horizon + 2)
        self.ages = np.arange(self.horizon + 3) * step
        self.ended = np.searchsorted(np.sort(lengths), self.ages) / len(lengths)
        # The integral of the share that has ended: what the lags of ends between two ages are computed from.
        self.area = np.concatenate([[0.0], np.cumsum((self.ended[1:] + self.ended[:-1]) / 2 * step)])
        self.costs: list[Any] = []
        self.flows: list[Any] = []
        self.spent: list[Any] = []
        self.supply: list[float] = []
        self.size = 0

    def add(self, number: int, start: int) -> None:
        """Add jobs that start together, at a step of time."""
        # A look after the last call is free, and finds everything.
        free = self.horizon - start + 1
        looks = [age for age in range(1, free) if self.ended[age] > 0.0001]
        nodes = [0, *(age for age in looks if self.ended[age] < 0.9999)]
        row = {age: len(self.supply) + index for index, age in enumerate(nodes)}
        self.supply += [number, *([0] * (len(nodes) - 1))]
        for since in nodes:
            until = np.array([*(age for age in looks if age > since), free])
            lags = self.area[until] - self.area[since] - self.ended[since] * (self.ages[until] - self.ages[since])
            self.costs.append(lags)
            for column, age in enumerate(until, start=self.size):
                self.flows.append((row[since], column, 1.0))
                if age in row:
                    self.flows.append((row[age], column, -1.0))
                if age < free:
                    self.spent.append((start + age, column, 1.0 - self.ended[since]))
            self.size += len(until)

    def least(self) -> float:
        """Return the least sum of lags."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_matrix

        def matrix(entries: list[Any], rows: int) -> Any:
            row, column, value = np.array(entries).T
            return csr_matrix((value, (row.astype(int), column.astype(int))), shape=(rows, self.size))

        solved = linprog(
            np.concatenate(self.costs),
            A_ub=matrix(self.spent, len(self.allowed)),
            b_ub=self.allowed,
            A_eq=matrix(self.flows, len(self.supply)),
            b_eq=self.supply,
            method="highs-ipm",
        )
        return float(solved.fun)


def least_lag(jobs: Sequence[Job], calls: Sequence[float], length: Callable[[], float], step: float) -> float:
    """Return the least mean lag."""
    plan = Plan([length() for _ in range(200_000)], calls, step)
    together: dict[int, int] = {}
    for job in jobs:
        start = int(job.starts / step / _STEPS_TOGETHER) * _STEPS_TOGETHER + _STEPS_TOGETHER // 2
        together[start] = together.get(start, 0) + 1
    for start, number in together.items():
        plan.add(number, start)
    return plan.least() / len(jobs) + LATENCY_SECONDS


def main() -> None:
    """Print a line for each load: ours, the oracle, the statistician, and the least that is possible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--step", type=float, default=1.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    for (name, length), arrival in product(LENGTHS.items(), ("at_once", "spread")):
        jobs = make_jobs(arguments.number, length, arrival)
        ours = run(jobs, most=SHORT_RATE)
        calls = ours.account.calls
        for what, lag in (
            ("ours", ours.mean_lag),
            ("oracle", oracle(jobs, calls)),
            ("statistician", statistician(jobs, calls, length)),
            ("least", least_lag(jobs, calls, length, arguments.step)),
        ):
            print(f"detection.least.{arguments.number}.{name}.{arrival}.{what}.mean_lag_seconds {lag:.1f}", flush=True)


if __name__ == "__main__":
    main()
