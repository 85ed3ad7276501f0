"""
What waiting costs a triggerer: our trigger beside the amazon provider's pattern and beside a bare client.

Each contestant waits for 10, 100 and 1,000 jobs, in a fresh process, against a server in another process, with the
limits that this package ships. The jobs end one after the other, the first after a minute. Upstream polls every 5
seconds; ours as it does by default: so a part of the ratio is fewer calls, and the table says how many, what one costs,
and how long after a job's end its wait ended.

Processor seconds of a process that mostly sleeps vary fourfold between machines, instructions do not. Where `perf` has
the processor's counter, or `valgrind` is there, a second, shorter run of ours and of upstream counts them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
# Late enough for all waits to have begun: upstream needs most of a minute to start a thousand.
FIRST_END_SECONDS = 60.0
# Upstream logs every poll, ours every change. Log lines are not what is compared.
QUIET = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}


@dataclass(frozen=True)
class Result:
    """What one contestant's run cost."""

    contestant: str
    number: int
    calls: int
    cpu_seconds: float
    wall_seconds: float
    memory_mb: float
    max_block_ms: float
    mean_lag_seconds: float

    @property
    def cpu_ms_per_call(self) -> float:
        """Return the CPU time that one call cost, everything else included."""
        return self.cpu_seconds * 1000 / max(1, self.calls)


@contextmanager
def status_server(number: int, last_end: float, *, first_end: float = FIRST_END_SECONDS) -> Iterator[str]:
    """Run the server, and give its address."""
    command = [sys.executable, HERE / "status_server.py", "--number", str(number)]
    command += ["--first", str(first_end), "--last", str(last_end)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"  # type: ignore[union-attr]
        finally:
            server.communicate()


def run(contestant: str, number: int, last_end: float, *, seconds: float = 0.0) -> Result:
    """Run one contestant against a server of its own; *seconds* is the time that the floor spreads its calls over."""
    with status_server(number, last_end) as endpoint, tempfile.TemporaryDirectory() as home:
        command = [sys.executable, HERE / "contestants.py", contestant, "--number", str(number)]
        command += ["--endpoint", endpoint, "--seconds", str(seconds)]
        environment = {**os.environ, "AIRFLOW_HOME": home, **QUIET, "PYTHONPATH": str(HERE.parent)}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        with urllib.request.urlopen(f"{endpoint}/calls") as answer:  # noqa: S310  our own server
            calls = json.load(answer)["calls"]
    cost: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    ends, _ = cost.pop("ends"), cost.pop("instructions")
    share = (last_end - FIRST_END_SECONDS) / max(1, number - 1)
    lags = [end - (FIRST_END_SECONDS + share * index) for index, end in enumerate(ends)]
    cost["calls"] = cost["calls"] or calls
    return Result(contestant, number, mean_lag_seconds=mean(lags) if lags else 0.0, **cost)


def compare(number: int, last_end: float) -> dict[str, Result]:
    """Run all: the floor makes as many calls as ours, once spread over the same time and once in a row."""
    ours = run("ours", number, last_end)
    upstream = run("upstream", number, last_end)
    floor = run("floor", ours.calls, last_end, seconds=ours.wall_seconds)
    in_a_row = run("floor", ours.calls, last_end)
    return {"ours": ours, "upstream": upstream, "floor": floor, "floor in a row": in_a_row}


# For the run that counts instructions: callgrind slows a processor about fortyfold, and the contestants' clocks with it
# somewhat less, as they sleep for most of the time.
COUNTED_FIRST_END, COUNTED_LAST_END = 20.0, 40.0
SLOWNESS = {"perf": 1.0, "callgrind": 10.0}
_CALLGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null")
_COLLECTED = re.compile(r"Collected : ([0-9]+)")


def find_counter() -> tuple[str | None, str]:
    """Return what can count instructions here, and otherwise why nothing can."""
    reason = "perf is not installed"
    if perf := shutil.which("perf"):
        command = [perf, "stat", "-x", ",", "-e", "instructions:u", "true"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if tried.stderr.split(",")[0].isdecimal():
            return "perf", ""
        reason = "perf has no counter of instructions here"
    if shutil.which("valgrind") and shutil.which("vgdb"):
        return "callgrind", ""
    return None, f"{reason}, valgrind is not installed"


def count_instructions(contestant: str, number: int, counter: str) -> tuple[int, int]:
    """Return how many instructions one contestant's waits took, and how many calls it made."""
    slowness = SLOWNESS[counter]
    server = status_server(number, COUNTED_LAST_END * slowness, first_end=COUNTED_FIRST_END * slowness)
    with server as endpoint, tempfile.TemporaryDirectory() as home:
        command = [sys.executable, HERE / "contestants.py", contestant, "--number", str(number)]
        command += ["--endpoint", endpoint, "--counter", counter, "--slowness", str(slowness)]
        environment = {**os.environ, "AIRFLOW_HOME": home, **QUIET, "PYTHONPATH": str(HERE.parent)}
        prefix = _CALLGRIND if counter == "callgrind" else ()
        done = subprocess.run([*prefix, *command], env=environment, capture_output=True, text=True, check=True)  # noqa: S603
        with urllib.request.urlopen(f"{endpoint}/calls") as answer:  # noqa: S310  our own server
            calls = json.load(answer)["calls"]
    if counter == "perf":
        return json.loads(done.stdout.splitlines()[-1])["instructions"], calls
    collected = _COLLECTED.search(done.stderr)
    if not (collected and int(collected[1])):
        raise SystemExit(f"callgrind counted nothing: {done.stderr[-1000:]}")
    return int(collected[1]), calls


def compare_instructions(number: int) -> None:
    """Print how many instructions ours and upstream take, or why they cannot be counted here."""
    counter, reason = find_counter()
    if counter is None:
        print(f"waiting.{number}.instructions not available: {reason}")
        return
    with ThreadPoolExecutor(max_workers=2) as pool:
        names = ("ours", "upstream")
        counted = dict(zip(names, pool.map(lambda name: count_instructions(name, number, counter), names), strict=True))
    for name, (instructions, calls) in counted.items():
        print(f"waiting.{number}.{name}.instructions {instructions}")
        print(f"waiting.{number}.{name}.instructions_per_call {instructions / calls:.0f}")
        print(f"waiting.{number}.{name}.counted_calls {calls}")
    ours, upstream = counted["ours"][0], counted["upstream"][0]
    print(f"waiting.{number}.instructions_ratio {upstream / ours:.2f} (by {counter})")


def show(number: int, results: dict[str, Result]) -> None:
    """Print the table."""
    table = Table(title=f"{number} waits")
    columns = ["", "calls", "CPU s", "CPU ms/call", "memory MB", "max block ms", "mean lag s", "wall s"]
    for column in columns:
        table.add_column(column, justify="right")
    for result in results.values():
        table.add_row(
            result.contestant,
            str(result.calls),
            f"{result.cpu_seconds:.2f}",
            f"{result.cpu_ms_per_call:.2f}",
            f"{result.memory_mb:.1f}",
            f"{result.max_block_ms:.0f}",
            f"{result.mean_lag_seconds:.1f}" if result.mean_lag_seconds else "-",
            f"{result.wall_seconds:.0f}",
        )
    Console().print(table)


def ratios(results: dict[str, Result]) -> dict[str, float]:
    """Return the numbers that the promises are about."""
    ours, upstream, floor = results["ours"], results["upstream"], results["floor"]
    return {
        "cpu_ratio": upstream.cpu_seconds / ours.cpu_seconds,
        "memory_ratio": upstream.memory_mb / max(ours.memory_mb, 0.1),
        "floor_ratio": ours.cpu_ms_per_call / floor.cpu_ms_per_call,
        "floor_in_a_row_ratio": ours.cpu_ms_per_call / results["floor in a row"].cpu_ms_per_call,
        "max_block_ms": ours.max_block_ms,
        "calls_ratio": upstream.calls / ours.calls,
        "mean_lag_seconds": ours.mean_lag_seconds,
    }


def main() -> None:
    """Run the comparison, print tables and plain lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=120.0, help="when the last job ends")
    parser.add_argument("--counted", type=int, default=100, help="of how many waits instructions are counted")
    parser.add_argument("--only-instructions", action="store_true", help="count instructions, and nothing else")
    arguments = parser.parse_args()
    if arguments.only_instructions:
        compare_instructions(arguments.counted)
        return
    *small, largest = sorted(arguments.numbers)
    # The small ones wait more than they work, and may do so side by side. The largest gets the machine for itself.
    with ThreadPoolExecutor(max_workers=max(1, len(small))) as pool:
        compared = dict(zip(small, pool.map(lambda number: compare(number, arguments.seconds), small), strict=True))
    compared[largest] = compare(largest, arguments.seconds)
    for number, results in compared.items():
        show(number, results)
    for number, results in compared.items():
        for name, value in ratios(results).items():
            print(f"waiting.{number}.{name} {value:.2f}")
    for name, value in ratios(compared[largest]).items():
        print(f"waiting.{name} {value:.2f}")
    compare_instructions(arguments.counted)


if __name__ == "__main__":
    main()
