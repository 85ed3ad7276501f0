"""The world that a batch runs in: S3, BDA, a clock that jumps, and processes that die between any two steps."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from math import inf
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from airflow_bda.engine.batch.documents import Document
from airflow_bda.engine.batch.store import ConflictError
from airflow_bda.engine.waiting import StatusConnection, WaitLimits
from airflow_bda.service.aws_errors import call_error
from airflow_bda.service.statuses import JobState

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from airflow_bda.service.request import InvocationRequest

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
ARN = "arn:aws:bedrock:us-east-1:111122223333:data-automation-invocation/{}"
LIMITS = WaitLimits(max_requests_per_second=10.0, min_poll_interval=0.75, max_poll_interval=120.0)
PAGE = 3


class Killed(BaseException):
    """The process is dead; nothing that it does has an effect any more."""


def refusal(code: str, http_status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": f"{code}!"}, "ResponseMetadata": {"HTTPStatusCode": http_status}}, "Any"
    )


@dataclass
class Job:
    """
    A job of BDA.

    :param epoch: that of the process that started it, and so is the attempt.
    :param is_late: whether the call that started it was under way while its process stood still.
    """

    number: int
    uri: str
    etag: str
    epoch: int
    attempt: int
    is_late: bool
    created_at: float
    begins_at: float
    ends_at: float
    end: str
    params: str

    @property
    def arn(self) -> str:
        return ARN.format(f"{self.number:08d}-0000-0000-0000-000000000000")

    def status(self, now: float) -> str:
        if now < self.begins_at:
            return "Created"
        return self.end if now >= self.ends_at else "InProgress"


@dataclass
class Weather:
    """
    How bad the times are; shares of the calls, from 0 to 1.

    :param storm: from when to when (loop time) nine of ten calls to BDA are throttled.
    """

    throttled: float = 0.0
    unreachable: float = 0.0
    lost_answers: float = 0.0
    storm: tuple[float, float] = (0.0, 0.0)
    latency: float = 0.1


_FAIR = Weather()


@dataclass(eq=False)
class Process:
    """
    A worker or a triggerer's trigger.

    :param dies_at: the step (of S3 or BDA) at which it is killed; None for none.
    :param dies_after_effect: whether that step still takes effect.
    :param epoch: what its jobs belong to: another one where a document may have a new job.
    :param attempt: which try of the task it belongs to.
    :param stalls_for: how long it stands still, in seconds; 0 for not at all.
    :param stalls_at: at which step it does; None for just before ``results.jsonl`` is there.
    """

    model: Model
    name: str
    dies_at: int | None = None
    dies_after_effect: bool = False
    steps: int = 0
    is_dead: bool = False
    root: asyncio.Task[Any] | None = None
    epoch: int = 0
    attempt: int = 0
    stalls_for: float = 0.0
    stalls_at: int | None = None
    stalled_until: float = 0.0
    serves: Any = None
    is_taken_for_dead: asyncio.Event = field(default_factory=asyncio.Event)

    def stall(self) -> None:
        """Stand still from now on, so long that Airflow takes the process for dead and starts another one."""
        self.stalled_until = self.model.loop.time() + self.stalls_for
        self.stalls_for = 0.0
        self.is_taken_for_dead.set()

    async def _stand_still(self) -> None:
        # The clock moves, and nothing happens: there is no event to wait for.
        while self.stalled_until > self.model.loop.time() and not self.is_dead:  # noqa: ASYNC110
            await asyncio.sleep(self.stalled_until - self.model.loop.time())

    def kill(self) -> None:
        self.is_dead = True
        if self.root is not None:
            self.root.cancel()

    async def step(self, effect: Callable[[], Any], *, of_bda: bool = False, of_aws: bool = True) -> Any:
        """
        Do one thing in the world, as badly as the weather wants it.

        :param of_aws: False for a call of Airflow's own, which is repeated below what is simulated here.
        """
        if self.is_dead:
            raise Killed
        self.steps += 1
        is_last = self.steps == self.dies_at
        if self.stalls_for and self.steps == self.stalls_at:
            self.stall()
        model, weather = self.model, self.model.weather if of_aws else _FAIR
        await self._pass_time()
        if is_last and not self.dies_after_effect:
            self.kill()
            raise Killed
        begin, end = weather.storm
        throttled = 0.9 if of_bda and begin <= model.loop.time() < end else weather.throttled
        if model.rng.random() < throttled:
            raise refusal("ThrottlingException" if of_bda else "SlowDown", 503)
        if model.rng.random() < weather.unreachable:
            raise EndpointConnectionError(endpoint_url="http://simulated")
        result = effect()
        if is_last:
            self.kill()
            raise Killed
        if model.rng.random() < weather.lost_answers:
            raise ReadTimeoutError(endpoint_url="http://simulated")
        await self._pass_time()
        return result

    async def _pass_time(self) -> None:
        """Let a call's request or answer travel; much else happens meanwhile."""
        await asyncio.sleep(self.model.rng.random() * self.model.weather.latency)
        await self._stand_still()
        if self.is_dead:
            raise Killed


@dataclass
class Model:
    """
    S3 and BDA, with everything that a schedule may change about them.

    :param tells_times: whether a status has the job's times, which botocore passes on since 1.42.
    :param jumps: when the clock jumped, and how far off it was then.
    :param other_request: what a token that was used for another request does, which AWS does not document: ``answer``
        or ``refuse``; None where none may be sent.
    """

    rng: random.Random
    loop: asyncio.AbstractEventLoop
    weather: Weather = field(default_factory=Weather)
    concurrency: int = 3
    quota: int = 6
    job_seconds: tuple[float, float] = (5.0, 60.0)
    service_error: float = 0.1
    client_error: float = 0.05
    has_versions: bool = False
    epoch: int = 0
    clock_offset: float = 0.0
    jumps: list[tuple[float, float]] = field(default_factory=list)
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    tokens: dict[str, Job] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tells_times: bool = True
    other_request: str | None = None
    latest: datetime = EPOCH
    tell: Callable[[str], None] = print

    def now(self) -> datetime:
        now = EPOCH + timedelta(seconds=self.loop.time() + self.clock_offset)
        self.latest = max(self.latest, now)
        return now

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.clock_offset += seconds
        self.jumps.append((self.loop.time(), self.clock_offset))

    def seconds_set_back(self) -> float:
        """Return by how many seconds the clock was set back in all: so much longer a process believes it is in time."""
        offsets = [0.0, *(offset for _, offset in self.jumps)]
        return sum(max(0.0, before - after) for before, after in pairwise(offsets))

    def seconds_since(self, moment: datetime, *, until: float | None = None) -> float:
        """
        Return how many seconds have passed since the clock first showed a moment; below 0 where it has not yet.

        :param until: the loop's time to count to; None for now.
        """
        shown = (moment - EPOCH).total_seconds()
        settings = [(0.0, 0.0), *self.jumps]
        ends = [*(at for at, _ in self.jumps), inf]
        firsts = ((max(at, shown - offset), end) for (at, offset), end in zip(settings, ends, strict=True))
        first = next(first for first, end in firsts if first < end)
        return (self.loop.time() if until is None else until) - first

    # -- S3

    def write(self, uri: str, body: bytes) -> str:
        etag = hashlib.md5(body).hexdigest()  # noqa: S324  as S3 does
        self.objects[uri] = (body, etag)
        return etag

    def document(self, uri: str) -> Document | None:
        if uri not in self.objects:
            return None
        body, etag = self.objects[uri]
        version = f"v{int.from_bytes(etag.encode()[:4], 'big')}" if self.has_versions else None
        return Document(uri, etag, version, len(body))

    def page(self, prefix: str, after: str) -> tuple[list[str], str | None]:
        names = sorted(uri[len(prefix) :] for uri in self.objects if uri.startswith(prefix))
        later = [name for name in names if name > after]
        return later[:PAGE], later[PAGE - 1] if len(later) > PAGE else None

    def put(self, uri: str, body: bytes, *, if_absent: bool, if_etag: str | None) -> str:
        if if_absent and uri in self.objects:
            raise ConflictError(uri)
        if if_etag is not None and self.objects.get(uri, (b"", ""))[1] != if_etag:
            raise ConflictError(uri)
        return self.write(uri, body)

    # -- BDA

    def invoke(self, request: InvocationRequest, process: Process) -> str:
        self.calls["invoke"] += 1
        params = request.to_api()
        token = params.pop("clientToken")
        uri = request.input_s3_uri
        if token in self.tokens:
            job = self.tokens[token]
            if job.params != repr(params) and self.other_request == "refuse":
                raise refusal("ValidationException")
            if job.params != repr(params) and self.other_request is None:
                self.violations.append(f"one token for two requests: {job.uri} and {uri}")
            return job.arn
        if uri not in self.objects:
            raise refusal("AccessDeniedException", 403)
        now = self.loop.time()
        running = sorted(job.ends_at for job in self.jobs if job.ends_at > now)
        if len(running) >= self.quota:
            raise refusal("ServiceQuotaExceededException")
        begins = now if len(running) < self.concurrency else running[-self.concurrency]
        chance = self.rng.random()
        end = "ServiceError" if chance < self.service_error else "Success"
        if _is_bad(self.objects[uri][0]):
            end = "ClientError"
        length = self.rng.uniform(*self.job_seconds)
        job = Job(
            number=len(self.jobs),
            uri=uri,
            etag=self.objects[uri][1],
            epoch=process.epoch,
            attempt=process.attempt,
            is_late=process.stalled_until > 0.0,
            created_at=now,
            begins_at=begins,
            ends_at=begins + length,
            end=end,
            params=repr(params),
        )
        self.jobs.append(job)
        self.tokens[token] = job
        return job.arn

    def status(self, arn: str) -> dict[str, Any]:
        self.calls["status"] += 1
        number = int(arn.rpartition("/")[2][:8])
        job = self.jobs[number]
        status = job.status(self.loop.time())
        answer: dict[str, Any] = {"status": status}
        if self.tells_times:
            answer["jobSubmissionTime"] = EPOCH + timedelta(seconds=job.created_at)
            if job.ends_at <= self.loop.time():
                answer["jobCompletionTime"] = EPOCH + timedelta(seconds=job.ends_at)
        if status == "Success":
            answer["outputConfiguration"] = {"s3Uri": f"s3://outputs/results/{number}/job_metadata.json"}
        elif status.endswith("Error"):
            answer |= {"errorType": status, "errorMessage": "asked for"}
        return answer


def _is_bad(body: bytes) -> bool:
    return body.startswith(b"bad")


@dataclass
class ModelStore:
    """S3, as one process sees it."""

    process: Process

    async def get(self, uri: str, *, most_bytes: int | None = None) -> tuple[bytes, str] | None:
        model = self.process.model
        found = await self.process.step(lambda: model.objects.get(uri))
        return found and (found[0][:most_bytes], found[1])

    async def put(
        self, uri: str, body: bytes | IO[bytes], *, if_absent: bool = False, if_etag: str | None = None
    ) -> str:
        model = self.process.model
        if not isinstance(body, bytes):
            body.seek(0)
            body = body.read()
            if self.process.stalls_for and self.process.stalls_at is None:
                # The rows: exactly where an earlier check of who owns the batch is oldest.
                self.process.stall()
        return await self.process.step(lambda: model.put(uri, body, if_absent=if_absent, if_etag=if_etag))

    async def head(self, uri: str) -> Document | None:
        return await self.process.step(lambda: self.process.model.document(uri))

    async def names(self, uri: str, *, after: str) -> tuple[list[str], str | None]:
        return await self.process.step(lambda: self.process.model.page(uri, after))

    async def documents(self, uri: str, *, after: str) -> tuple[list[Document], str | None]:
        model = self.process.model

        def page() -> tuple[list[Document], str | None]:
            names, following = model.page(uri, after)
            return [document for name in names if (document := model.document(f"{uri}{name}"))], following

        return await self.process.step(page)

    async def check_region(self, uri: str, region: str | None) -> None:
        """Every bucket is in the region of the jobs."""

    async def delete(self, uris: list[str]) -> None:
        def delete() -> None:
            for uri in uris:
                self.process.model.objects.pop(uri, None)

        await self.process.step(delete)


@dataclass
class ModelSource:
    process: Process
    identity: str

    async def get_status(self, invocation_arn: str) -> JobState:
        answer = await self.process.step(lambda: self.process.model.status(invocation_arn), of_bda=True)
        return JobState.from_response(invocation_arn, answer)

    async def close(self) -> None:
        """Nothing is open."""


_requests: dict[tuple[str, str], InvocationRequest] = {}


@dataclass
class ModelJobs:
    """BDA, as one process sees it."""

    process: Process
    limits: WaitLimits = LIMITS

    @property
    def connection(self) -> StatusConnection:
        async def open_source() -> ModelSource:
            return ModelSource(self.process, self.process.name)

        return StatusConnection(self.process.name, open_source)

    def request(self, job: dict[str, Any], input_s3_uri: str) -> InvocationRequest:
        from airflow_bda.service.request.request import build_request

        # Checking a request is not what is tested here, and would take half of the time.
        key = (repr(sorted(job.items())), input_s3_uri)
        if key not in _requests:
            _requests[key] = build_request(input_s3_uri=input_s3_uri, **job)
        return _requests[key]

    async def invoke(self, request: InvocationRequest) -> str:
        return await self.process.step(lambda: self.process.model.invoke(request, self.process), of_bda=True)

    async def explain(self, error: Exception, request: InvocationRequest) -> Any:
        return call_error(error, operation="InvokeDataAutomationAsync", input_s3_uri=request.input_s3_uri)
