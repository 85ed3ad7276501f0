"""
One contestant in a process of its own: waits for N jobs, and prints what that cost as one line of JSON.

``ours`` is BdaStatusTrigger. ``upstream`` is what one writes on the amazon provider's pattern: a waiter in JSON, a hook
that finds it, an AwsBaseWaiterTrigger. ``floor`` is one bare aiobotocore client that makes as many calls as it is told.
Triggers are started as Airflow's triggerer starts them: one task each, with a turn of the loop in between. All three
begin measuring after one wait (or call) has run to its end, as in a triggerer that has been up for a while: the imports
and botocore's models, which are loaded once a process, are not counted here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import selectors
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from status_server import ARN, WARM_UP_ARN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REGION = "us-east-1"
SERVICE = "bedrock-data-automation-runtime"
# What users of BDA would set: a document takes about 16 seconds, and the amazon provider's shortest delay for Bedrock,
# of BedrockKnowledgeBaseActiveTrigger, is 5. Its others, 60 and 120, are for jobs of hours.
UPSTREAM_DELAY_SECONDS = 5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEMORY_SECONDS = 0.25


@dataclass
class Cost:
    """
    What waiting took.

    :param memory_mb: the most resident memory at any time, over that before the first wait.
    :param max_block_ms: the longest time in which the loop was blocked.
    :param ends: when each wait ended, in seconds after the first began.
    :param calls: how many requests were made, where the contestant counts them itself.
    :param instructions: how many the processor executed, where perf counts them; callgrind tells its own at the end.
    """

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory_mb: float = 0.0
    max_block_ms: float = 0.0
    calls: int = 0
    instructions: int = 0
    ends: list[float] = field(default_factory=list)


def resident_mb() -> float:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 2**20


class TimedSelector(selectors.DefaultSelector):
    """Records the longest time between two turns of the loop: so long was it blocked."""

    def __init__(self) -> None:
        super().__init__()
        self.slowness = 1.0
        self.begin()

    def begin(self) -> None:
        """Forget what was before."""
        self.longest_seconds = 0.0
        self._last_look = time.perf_counter()

    def select(self, timeout: float | None = None) -> list[Any]:
        """Look for events."""
        self.longest_seconds = max(self.longest_seconds, time.perf_counter() - self._last_look)
        events = super().select(None if timeout is None else timeout * self.slowness)
        self._last_look = time.perf_counter()
        return events


SELECTOR = TimedSelector()


class SlowLoop(asyncio.SelectorEventLoop):
    """A loop whose clock goes slower than time, as much as callgrind slows the processor."""

    def time(self) -> float:
        """Return the loop's time."""
        return super().time() / SELECTOR.slowness


@contextmanager
def instructions_counted(cost: Cost, counter: str | None) -> Iterator[None]:
    """
    Have the instructions of a block counted.

    :param counter: ``perf``, or ``callgrind`` where this process runs under valgrind, which then counts in the block.
    """
    process = str(os.getpid())
    if counter == "callgrind":
        _tell_callgrind(process, "on")
        yield
        _tell_callgrind(process, "off")
    elif counter == "perf":
        command = ["perf", "stat", "-x", ",", "-e", "instructions:u", "-p", process]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as perf:  # noqa: S603
            time.sleep(1.0)
            yield
            perf.send_signal(signal.SIGINT)
            cost.instructions = int(perf.communicate()[1].split(",")[0])
    else:
        yield


def _tell_callgrind(process: str, state: str) -> None:
    # This process must go on meanwhile: valgrind looks for commands between its instructions.
    command = ["vgdb", f"--pid={process}", "instrumentation", state]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as telling:  # noqa: S603
        while telling.poll() is None:
            time.sleep(0.01)


async def watch_memory(cost: Cost) -> None:
    """Note the most memory at any time, until cancelled."""
    baseline = resident_mb()
    while True:
        await asyncio.sleep(_MEMORY_SECONDS)
        cost.memory_mb = max(cost.memory_mb, resident_mb() - baseline)


def our_triggers(arns: Sequence[str]) -> Sequence[Any]:
    """Make the triggers that this package gives its users."""
    from airflow_bda.triggers.bda import BdaStatusTrigger

    deadline = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    return [BdaStatusTrigger(invocation_arn=arn, deadline=deadline, region_name=REGION) for arn in arns]


def upstream_triggers(arns: Sequence[str]) -> Sequence[Any]:
    """Make the triggers that one would write after the amazon provider's own."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger

    class Hook(AwsBaseHook):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(client_type=SERVICE, **arguments)

        @cached_property
        def waiter_path(self) -> Path:
            return Path(__file__).parent / "upstream_waiters" / f"{SERVICE}.json"

    class Trigger(AwsBaseWaiterTrigger):
        aws_hook_class = Hook

        def __init__(self, *, invocation_arn: str) -> None:
            super().__init__(
                serialized_fields={"invocation_arn": invocation_arn},
                waiter_name="job_complete",
                waiter_args={"invocationArn": invocation_arn},
                failure_message="The job failed",
                status_message="The job goes on",
                status_queries=["status", "errorMessage"],
                return_key="invocation_arn",
                return_value=invocation_arn,
                waiter_delay=UPSTREAM_DELAY_SECONDS,
                waiter_max_attempts=1000,
                aws_conn_id="aws_default",
                region_name=REGION,
            )

        def hook(self) -> Hook:
            return Hook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)

    return [Trigger(invocation_arn=arn) for arn in arns]


async def wait_by(
    make_triggers: Callable[[Sequence[str]], Sequence[Any]], number: int, counter: str | None = None
) -> Cost:
    """Run triggers to their events, and measure."""
    for trigger in make_triggers([WARM_UP_ARN]):
        await anext(trigger.run())
    triggers = make_triggers([ARN.format(index) for index in range(number)])
    finished_at = [0.0] * number

    async def run(index: int, trigger: Any) -> None:
        async for event in trigger.run():
            if event.payload["status"].lower() != "success":
                raise SystemExit(f"A wait went wrong: {event.payload}")
            finished_at[index] = time.monotonic()
            return

    with measured(counter) as cost:
        began_at = time.monotonic()
        tasks = []
        for index, trigger in enumerate(triggers):
            tasks.append(asyncio.create_task(run(index, trigger)))
            # As the triggerer does between two triggers.
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    cost.ends = [at - began_at for at in finished_at]
    return cost


async def call_barely(calls: int, seconds: float, endpoint: str) -> Cost:
    """
    Make calls with a bare client, and nothing else.

    A call that finds the processor's caches cold costs nearly twice as much as one of many in a row.

    :param seconds: the time that the calls are spread over, evenly; 0 makes them in a row.
    """
    from aiobotocore.session import get_session

    session = get_session()
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION, "endpoint_url": endpoint}
    async with session.create_client(SERVICE, **keys) as client:
        await client.get_data_automation_status(invocationArn=WARM_UP_ARN)

    with measured() as cost:
        async with session.create_client(SERVICE, **keys) as client:
            tasks = []
            for _ in range(calls):
                asking = client.get_data_automation_status(invocationArn=WARM_UP_ARN)
                tasks.append(asyncio.create_task(asking))
                await asyncio.sleep(seconds / calls)
            await asyncio.gather(*tasks)
    cost.calls = calls
    return cost


@contextmanager
def measured(counter: str | None = None) -> Iterator[Cost]:
    """Measure what the block costs, beginning where everything is imported, loaded and swept up."""
    gc.collect()
    cost = Cost()
    watching = asyncio.create_task(watch_memory(cost))
    SELECTOR.begin()
    began_cpu, began = time.process_time(), time.monotonic()
    with instructions_counted(cost, counter):
        yield cost
    cost.cpu_seconds = time.process_time() - began_cpu
    cost.wall_seconds = time.monotonic() - began
    cost.max_block_ms = SELECTOR.longest_seconds * 1000
    watching.cancel()


def main() -> None:
    """Run one contestant, and print its cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contestant", choices=["ours", "upstream", "floor"])
    parser.add_argument("--number", type=int, help="how many waits, or for the floor how many calls")
    parser.add_argument("--seconds", type=float, default=0.0, help="the time that the floor's calls are spread over")
    parser.add_argument("--endpoint")
    parser.add_argument("--counter", choices=["perf", "callgrind"], help="what counts the instructions")
    parser.add_argument("--slowness", type=float, default=1.0, help="how much slower than time the loop's clock goes")
    arguments = parser.parse_args()
    connection = {
        "conn_type": "aws",
        "login": "a",
        "password": "b",
        "extra": {"region_name": REGION, "endpoint_url": arguments.endpoint},
    }
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(connection)
    waiting = {
        "ours": lambda: wait_by(our_triggers, arguments.number, arguments.counter),
        "upstream": lambda: wait_by(upstream_triggers, arguments.number, arguments.counter),
        "floor": lambda: call_barely(arguments.number, arguments.seconds, arguments.endpoint),
    }
    SELECTOR.slowness = arguments.slowness
    loop = SlowLoop(SELECTOR)
    asyncio.set_event_loop(loop)
    print(json.dumps(asdict(loop.run_until_complete(waiting[arguments.contestant]()))))


if __name__ == "__main__":
    main()
