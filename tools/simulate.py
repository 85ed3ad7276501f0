"""Run batches through many schedules of faults, in simulated time; print the seed of each that breaks a promise."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path

SIMULATION = Path(__file__).parents[1] / "tests" / "simulation"
sys.path.insert(0, str(SIMULATION))

SCHEDULES = 20_000
MOST_SHOWN = 5
PROGRESS = 1_000


def main() -> int:
    """Return 1 where a schedule broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this schedule alone, and print its story")
    parser.add_argument("--schedules", type=int, default=SCHEDULES, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    args = parser.parse_args()
    return replay(args.seed) if args.seed is not None else run(args.first, args.schedules)


def replay(seed: int) -> int:
    """Run one schedule, and tell all that happened."""
    from schedules import run_seed

    result = run_seed(seed)
    print("\n".join(result.story))
    print("\n".join(f"BROKEN: {violation}" for violation in result.violations) or "nothing was broken")
    return bool(result.violations)


def run(first: int, count: int) -> int:
    """Run many, on all cores."""
    from schedules import run_seed

    began = time.monotonic()
    jobs = documents = 0
    simulated = 0.0
    broken: list[int] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), initializer=_find_the_simulation) as pool:
        results = pool.imap_unordered(run_seed, range(first, first + count), chunksize=50)
        for done, result in enumerate(results, start=1):
            jobs += result.jobs
            documents += result.documents
            simulated += result.simulated_seconds
            if result.violations:
                broken.append(result.seed)
            if result.violations and len(broken) <= MOST_SHOWN:
                print(f"seed {result.seed}: {result.violations[0]}", flush=True)
            if done % PROGRESS == 0:
                print(f"{done} of {count} schedules, {len(broken)} broken", file=sys.stderr, flush=True)
        pool.close()
        pool.join()
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"simulate.schedules {count}")
    print(f"simulate.jobs {jobs}")
    print(f"simulate.hours {simulated / 3600:.0f}")
    print(f"simulate.seconds {seconds:.0f}")
    print(f"simulate.processor_seconds {used.ru_utime + used.ru_stime:.0f}")
    print(f"simulate.broken {len(broken)}")
    if broken:
        print(f"Replay one with: make simulate SEED={min(broken)}")
    return bool(broken)


def _find_the_simulation() -> None:
    sys.path.insert(0, str(SIMULATION))


if __name__ == "__main__":
    sys.exit(main())
