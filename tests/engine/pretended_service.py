"""A service in memory, with a clock, an identity for each client, and failures to order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from simulated_time import EPOCH, wall_clock

from airflow_bda.engine.waiting import StatusConnection, Wait, WaitLimits, wait_for_job
from airflow_bda.service.statuses import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.service.statuses import JobOutcome

ARN = "arn:aws:bedrock:us-east-1:111122223333:data-automation-invocation/{}"
FAST = WaitLimits(max_requests_per_second=50.0, min_poll_interval=0.75, max_poll_interval=300.0)


def refusal(code: str, http_status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": f"{code}!"}, "ResponseMetadata": {"HTTPStatusCode": http_status}},
        "GetDataAutomationStatus",
    )


@dataclass(frozen=True)
class Call:
    at: float
    invocation_arn: str
    source: Source


@dataclass(eq=False)
class Source:
    service: Service
    identity: str
    closed: int = 0
    calls_under_way: int = 0
    closed_too_early: bool = False

    async def get_status(self, invocation_arn: str) -> JobState:
        if self.closed:
            raise AssertionError("asked after it was closed")
        self.calls_under_way += 1
        try:
            return await self.service.answer(Call(asyncio.get_running_loop().time(), invocation_arn, self))
        except asyncio.CancelledError:
            # A request takes a moment to break off.
            await asyncio.sleep(0.05)
            raise
        finally:
            self.calls_under_way -= 1

    async def close(self) -> None:
        self.closed_too_early = self.closed_too_early or bool(self.calls_under_way)
        self.closed += 1
        await asyncio.sleep(self.service.closing_seconds)


@dataclass
class Service:
    """
    What a test's clients talk to.

    :param lengths: seconds after EPOCH at which a job ends, by ARN; others end at *length*.
    :param fault: gives the error that a call ends in, or None.
    """

    length: float = 30.0
    lengths: dict[str, float] = field(default_factory=dict)
    fault: Callable[[Call], Exception | None] = lambda _: None
    latency: float = 0.05
    opening_seconds: float = 0.2
    closing_seconds: float = 0.1
    status: str = "InProgress"
    calls: list[Call] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    async def answer(self, call: Call) -> JobState:
        self.calls.append(call)
        await asyncio.sleep(self.latency)
        error = self.fault(call)
        if error is not None:
            raise error
        ended = call.at >= self.lengths.get(call.invocation_arn, self.length)
        return JobState.from_response(call.invocation_arn, {"status": "Success" if ended else self.status})

    async def open(self, identity: str = "one") -> Source:
        await asyncio.sleep(self.opening_seconds)
        source = Source(self, identity)
        self.sources.append(source)
        return source

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, checking it every tenth of a second."""
        while not holds():  # noqa: ASYNC110  what a test looks for has no event
            await asyncio.sleep(0.1)

    def all_closed_once(self) -> bool:
        return all(source.closed == 1 and not source.closed_too_early for source in self.sources)

    async def wait(
        self, name: Any = "a", *, identity: str = "one", open_source=None, resolve_identity=None, **changes: Any
    ) -> JobOutcome:
        arguments: dict[str, Any] = {"deadline": EPOCH + timedelta(days=1), "limits": FAST, "wall_clock": wall_clock}
        connection = StatusConnection(identity, open_source or (lambda: self.open(identity)), resolve_identity)
        return await wait_for_job(Wait(ARN.format(name), **{"connection": connection, **arguments, **changes}))
