"""
What a batch costs: time beside the quota's lower bound, calls, memory, and the time to go on after a kill.

Each batch runs in a process of its own, against the emulator (2,000 documents, 25 at once) or, where the emulator
itself would be what is measured, against a cheap server in another process. Times of jobs are scaled down: one second
here stands for a job of ten or more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"
AT_ONCE = 25
# Where it is not time that is measured: what the first looks at a job leave unused is used by other jobs.
MANY_IN_FLIGHT = 400
ENVIRONMENT = {
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    # The limits are scaled like the times.
    "AIRFLOW__BDA__MAX_STATUS_REQUESTS_PER_SECOND": "100",
    "AIRFLOW__BDA__MIN_POLL_INTERVAL": "0.1",
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def run_batch(key: str, *, in_flight: int) -> None:
    """Run the batch in this process, and print what it took as one line of JSON."""
    from airflow_bda.engine.batch.planning import Source
    from airflow_bda.engine.batch.session import Attempt, Order, World, begin, run_round
    from airflow_bda.hooks import BdaHook
    from airflow_bda.hooks.batch import batch_clients

    hook = BdaHook(aws_conn_id=None, region_name="us-east-1")

    async def run() -> dict[str, Any]:
        async with batch_clients(hook, hook.identity) as (store, jobs):
            # Clients are open, as in a triggerer that has other things to wait for.
            await store.head("s3://inputs/000000.pdf")
            gc.collect()
            idle = _memory_mb()
            began = time.monotonic()
            world = World(store, lambda: datetime.now(timezone.utc), _tell, _tell)
            deadline = world.now() + timedelta(hours=2)
            job = {"output_s3_uri": "s3://outputs/results", "profile_arn": PROFILE}
            ledger = await begin(
                Order("b", job, Source(prefix="s3://inputs/"), deadline), Attempt("o", "l", key), world
            )
            print(json.dumps({"ready": time.monotonic() - began}), flush=True)
            try:
                manifest = await run_round(ledger, jobs, world, max_in_flight=in_flight)
            finally:
                await ledger.close()
            return {
                "seconds": time.monotonic() - began,
                "above_idle": _peak_mb() - idle,
                "counts": manifest["counts"],
            }

    print(json.dumps(asyncio.run(run())), flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _memory_mb() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def cheap_server(documents: int, seconds: float, at_once: int) -> Iterator[str]:
    """Run the cheap server, and give its address."""
    command = [sys.executable, str(HERE / "batch_server.py"), f"--documents={documents}", f"--seconds={seconds}"]
    with subprocess.Popen(  # noqa: S603  our own program
        [*command, f"--at-once={at_once}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101
        assert server.stdin is not None  # noqa: S101
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.stdin.close()


@contextmanager
def batch_process(endpoint: str, key: str, in_flight: int) -> Iterator[subprocess.Popen[str]]:
    """Run a batch in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as home:
        environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint, "AIRFLOW_HOME": home}
        command = [sys.executable, __file__, "--run", key, "--in-flight", str(in_flight)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            yield process


def measured(endpoint: str, key: str = "1", in_flight: int = 4 * AT_ONCE) -> dict[str, Any]:
    """Run a batch to its end, and give what it took."""
    with batch_process(endpoint, key, in_flight) as process:
        output, _ = process.communicate()
    ready, result = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return ready | result


def bench_speed(documents: int, seconds: float) -> None:
    """Compare the time with the least that the quota allows, on the emulator."""
    from airflow_bda.emulator import EMULATOR, EmulatorSettings
    from airflow_bda.emulator.server.server import EmulatorServer, SeedBucket
    from airflow_bda.emulator.testing import EmulatorForTests
    from airflow_bda.service.s3 import Modality

    sys.path.insert(0, str(HERE.parent / "tests"))
    from airflow_processes.documents import PlainProcessor

    with EmulatorServer(port=0, seed_buckets=(SeedBucket("inputs"), SeedBucket("outputs"))) as server:
        emulator = EmulatorForTests(server)
        settings = EmulatorSettings(
            created_seconds=0, in_progress_seconds=seconds, concurrency={Modality.DOCUMENT: AT_ONCE}
        )
        EMULATOR.configure(settings, processor=PlainProcessor())
        s3 = emulator.client("s3")
        for number in range(documents):
            s3.put_object(Bucket="inputs", Key=f"{number:06d}.pdf", Body=b"document %d" % number)
        os.environ["AWS_ACCESS_KEY_ID"] = ENVIRONMENT["AWS_ACCESS_KEY_ID"]
        took = measured(server.endpoint_url)
        calls = sum(emulator.calls.values())
        assert len(emulator.jobs) == documents == took["counts"]["succeeded"], took  # noqa: S101
    bound = documents / AT_ONCE * seconds
    print(f"batch.seconds {took['seconds']:.1f}")
    print(f"batch.bound_ratio {took['seconds'] / bound:.3f}")
    print(f"batch.calls_per_document {calls / documents:.2f}")


def bench_memory(few: int, many: int) -> None:
    """Compare the memory of two batches, one ten times as large."""
    peaks = {}
    for documents in (few, many):
        with cheap_server(documents, seconds=0.2, at_once=AT_ONCE) as endpoint:
            peaks[documents] = measured(endpoint, in_flight=MANY_IN_FLIGHT)["above_idle"]
    print(f"batch.memory_mb {peaks[many]:.1f}")
    print(f"batch.memory_growth {peaks[many] / peaks[few]:.2f}")


def bench_resume(documents: int) -> None:
    """Kill a batch half way, and time how long the next runner needs to be ready."""
    with cheap_server(documents, seconds=0.2, at_once=AT_ONCE) as endpoint:
        with batch_process(endpoint, "1", MANY_IN_FLIGHT) as process:
            _wait_for_invokes(endpoint, documents // 2)
            process.send_signal(signal.SIGKILL)
        took = measured(endpoint, "2", MANY_IN_FLIGHT)
        jobs = _calls(endpoint)["InvokeDataAutomationAsync"]
    assert took["counts"]["succeeded"] == documents, took  # noqa: S101
    print(f"batch.resume_seconds {took['ready']:.1f}")
    print(f"batch.invokes_after_a_kill {jobs}")


def _wait_for_invokes(endpoint: str, count: int) -> None:
    while _calls(endpoint).get("InvokeDataAutomationAsync", 0) < count:
        time.sleep(0.2)


def _calls(endpoint: str) -> dict[str, int]:
    from urllib.request import urlopen

    with urlopen(f"{endpoint}/_calls", timeout=30) as answer:  # noqa: S310  our own server
        calls: dict[str, int] = json.load(answer)
    return calls


def main() -> None:
    """Run the benchmarks, or one batch for one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="KEY", help="run a batch in this process, at AWS_ENDPOINT_URL")
    parser.add_argument("--in-flight", type=int, default=4 * AT_ONCE)
    parser.add_argument("--only", choices=("speed", "memory", "resume"), action="append")
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the documents to take")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a job takes, where time is measured")
    args = parser.parse_args()
    if args.run:
        run_batch(args.run, in_flight=args.in_flight)
        return
    only = args.only or ("speed", "memory", "resume")
    if "speed" in only:
        bench_speed(int(2_000 * args.scale), args.seconds)
    if "memory" in only:
        bench_memory(int(2_000 * args.scale), int(20_000 * args.scale))
    if "resume" in only:
        bench_resume(int(20_000 * args.scale))


if __name__ == "__main__":
    main()
