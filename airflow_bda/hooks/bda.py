"""Call BDA's runtime API through an Airflow connection, in blocking and in async form."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta, timezone
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, NoRegionError

from airflow_bda._compat import allow_in_xcoms
from airflow_bda.engine.tasks import call_in_thread
from airflow_bda.hooks import telemetry
from airflow_bda.hooks.connection import AsyncAwsHook
from airflow_bda.hooks.task_arguments import deadline_after, in_seconds, job_events_queue, seconds_of, wait_limits
from airflow_bda.service.arns import PROFILE_OF_REGION, UnknownRegionError, derive_profile_arn
from airflow_bda.service.aws_errors import CALL_FAILURES, Failure, call_error, classify, reading_answers
from airflow_bda.service.errors import BdaError, BdaRequestError
from airflow_bda.service.model import CONTROL_SERVICE, GET_STATUS, INVOKE, SERVICE
from airflow_bda.service.statuses import JobOutcome, JobState, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from airflow_bda.access.preflight.findings import Report, Subject
    from airflow_bda.engine.event_queue import EventQueue
    from airflow_bda.engine.waiting import StatusConnection, Wait
    from airflow_bda.hooks.sync import SyncAnswer
    from airflow_bda.projects.account import Account
    from airflow_bda.projects.files import Files
    from airflow_bda.projects.plan import Applied, Plan
    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.results.job_result import JobResult

PollInterval: TypeAlias = "float | timedelta | None"
DEFAULT_MAX_WAIT = timedelta(days=1)
_SYNC_MAX_WAIT = timedelta(minutes=10)
_RESULTS_REMEDY = (
    "Check the URI, and that the connection may s3:GetObject there (and kms:Decrypt, where there is a key)."
)
_ACCOUNT_REMEDY = "Pass profile_arn, which makes this call unnecessary, or correct the connection's credentials."


# What a task may return as it is: the next one gets it as a dictionary. By name: nothing here imports their modules.
_PLAIN_DATA = {
    "access.preflight.findings": ("Report",),
    "service.statuses": ("JobOutcome", "JobState"),
    "service.results.custom": ("CustomOutput", "ExtractedField", "MatchedBlueprint"),
    "service.results.document": ("DocumentOutput", "Element", "ImageOutput", "Page", "Representation"),
    "service.results.job_result": ("JobResult", "SegmentResult"),
    "service.results.media": ("AudioOutput", "AudioSegment", "Chapter", "Frame", "Shot", "Topic", "VideoOutput"),
    "service.results.metadata": ("Asset", "JobMetadata", "SegmentPaths"),
    "service.results.parts": ("BoundingBox", "Label", "Location", "SensitiveData", "StandardOutput", "TextSpan"),
}
allow_in_xcoms(*(f"airflow_bda.{module}.{name}" for module, names in _PLAIN_DATA.items() for name in names))


class BdaHook(AsyncAwsHook):
    """
    Interact with Amazon Bedrock Data Automation.

    Provide typed calls around :external+boto3:py:class:`boto3.client("bedrock-data-automation-runtime")
    <BedrockDataAutomationRuntime.Client>`. Every call has an async twin, whose name ends in ``_async``.

    Additional arguments (such as ``aws_conn_id``, ``region_name``, ``verify`` and ``config``) are passed to the
    underlying AwsBaseHook. Throttled calls are repeated by botocore's standard retries, unless ``config`` or the
    connection's ``config_kwargs`` say otherwise.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = SERVICE
        super().__init__(*args, **kwargs)

    @cached_property
    def s3(self) -> Any:
        """A boto3 client of S3 on the same connection."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return self._like(S3Hook).conn

    def client_of(self, service: str) -> Any:
        """Return a boto3 client of any service, on the same connection."""
        return self.s3 if service == "s3" else super().client_of(service)

    def preflight(self, subject: Subject) -> Report:
        """Look at everything that jobs will need; what is missing is in the report, and nothing is raised."""
        from airflow_bda.access.preflight.checks import run_preflight
        from airflow_bda.access.preflight.findings import Connection

        connection = Connection(
            client=self.client_of,
            region=lambda: self.conn_region_name,
            missing=self.aws_conn_id if self.aws_conn_id and not self.conn_config else None,
            status_requests_per_second=wait_limits().max_requests_per_second,
            job_events_queue=job_events_queue(),
        )
        return run_preflight(connection, subject)

    # -- requests

    def build_request(  # noqa: PLR0913  one argument for each member of the API
        self,
        *,
        input_s3_uri: str,
        output_s3_uri: str,
        profile_arn: str | None = None,
        project_arn: str | None = None,
        project_stage: str | None = None,
        blueprints: Sequence[str | Mapping[str, str]] | None = None,
        video_segment: Mapping[str, int] | tuple[timedelta | int, timedelta | int] | None = None,
        event_bridge_enabled: bool | None = None,
        kms_key_id: str | None = None,
        kms_encryption_context: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        client_token: str | None = None,
    ) -> InvocationRequest:
        """
        Check the arguments of an invocation, all of them at once, before anything is sent.

        The arguments are those of :func:`airflow_bda.service.request.request.build_request`; their ARNs must be of the
        connection's region.

        :param profile_arn: the data automation profile; None derives it from the connection's region, partition and
            account, which costs one call of STS ``GetCallerIdentity`` a hook.
            https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html
        :raises BdaRequestError: with every problem found.
        """
        from airflow_bda.service.request.request import build_request

        region = self.known_region()
        is_known = profile_arn is not None or region in PROFILE_OF_REGION
        request = build_request(
            input_s3_uri=input_s3_uri,
            output_s3_uri=output_s3_uri,
            profile_arn=profile_arn,
            project_arn=project_arn,
            project_stage=project_stage,
            blueprints=blueprints,
            video_segment=video_segment,
            event_bridge_enabled=event_bridge_enabled,
            kms_key_id=kms_key_id,
            kms_encryption_context=kms_encryption_context,
            tags=tags,
            client_token=client_token,
            region=region,
            problems=() if is_known else [f"profile_arn: {UnknownRegionError(region)}"],
        )
        # Derived last: a request that is wrong anyway should not cost a call.
        return request if profile_arn is not None else request.with_profile(self.derive_profile_arn())

    def derive_profile_arn(self) -> str:
        """
        Return the profile for calls on this connection.

        :raises UnknownRegionError: a LookupError, for a region whose profile is not known.
        :raises BdaError: when the account cannot be looked up.
        """
        region = self.known_region()
        try:
            account = self.account_id
        except CALL_FAILURES as error:
            raise call_error(error, operation="GetCallerIdentity", remedy=_ACCOUNT_REMEDY) from error
        return derive_profile_arn(region=region, account=account, partition=self.conn_partition)

    def known_region(self) -> str:
        """
        Return the connection's region.

        :raises BdaRequestError: when none is set.
        """
        try:
            return self.conn_region_name
        except NoRegionError:
            raise BdaRequestError(
                "No AWS region is set.",
                problems=["region_name: pass it, or set it in the connection's extra or as AWS_DEFAULT_REGION."],
            ) from None
        except BotoCoreError as error:
            raise call_error(error, operation="Making a client") from error

    # -- projects and blueprints

    def plan_files(self, files: Files, *, stage: str = "LIVE", with_versions: bool = True) -> Plan:
        """
        Return what would make the account follow files of projects and blueprints. Nothing is changed.

        :param files: as :func:`airflow_bda.projects.files.read_files` returns them.
        :param stage: ``LIVE`` or ``DEVELOPMENT``.
        :param with_versions: whether a blueprint whose LIVE schema changes gets a version.
        :raises BdaRequestError: lists all problems.
        """
        from airflow_bda.projects.plan import make_plan

        return make_plan(files, self._account(), stage=stage, with_versions=with_versions)

    def apply_files(self, plan: Plan, *, max_wait: float | timedelta = timedelta(minutes=10)) -> Applied:
        """
        Carry out a plan, and wait until its projects are ``COMPLETED``. Nothing is ever deleted.

        :param plan: as :meth:`plan_files` returns it.
        :param max_wait: how long, at most: seconds or a timedelta.
        :raises BdaError: at the first step that fails. What was done stays; a new plan continues from there.
        """
        from airflow_bda.projects.apply import carry_out

        limit = timedelta(seconds=seconds_of("max_wait", max_wait))
        return carry_out(plan, self._account(), max_wait=limit, tell=lambda line: self.log.info("%s", line))

    def _account(self) -> Account:
        from airflow_bda.projects.account import Account

        self.known_region()
        return Account(self.client_of(CONTROL_SERVICE))

    # -- invoking

    def invoke(self, request: InvocationRequest) -> str:
        """
        Start a job, once: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html.

        :return: the invocation's ARN.
        :raises BdaError: explained; :class:`BdaPermissionError` says which of the known causes it is.
        """
        try:
            return self._send(request)
        except CALL_FAILURES as error:
            raise self.invoke_error(error, request) from error

    async def invoke_async(self, request: InvocationRequest) -> str:
        """Start a job, once; the async twin of :meth:`invoke`."""
        try:
            async with await self.async_client() as client:
                with telemetry.throttles(), reading_answers():
                    return _arn_of(await client.invoke_data_automation_async(**request.to_api()))
        except CALL_FAILURES as error:
            raise await asyncio.to_thread(self.invoke_error, error, request) from error

    def submit(self, request: InvocationRequest, *, deadline: datetime) -> str:
        """
        Start a job; retry on throttling, quotas and lost connections until the deadline.

        Every try sends the same client token, so the service starts one job however many answers are lost.

        :param request: must carry a client token.
        :param deadline: until when to try, with a time zone.
        :return: the invocation's ARN.
        :raises BdaError: as :meth:`invoke`, and when the deadline passes.
        """
        from airflow_bda.engine.submitting import submit_in_this_thread

        hook = self
        # Made in the task's own thread, which is where Airflow is asked for connections.
        hook.conn  # noqa: B018

        async def send() -> str:
            nonlocal hook
            try:
                return await call_in_thread(hook._send, request)
            except CALL_FAILURES as error:
                kind = classify(error)
                if kind is Failure.EXPIRED:
                    hook = self.anew()
                if kind.is_passing:
                    raise
                raise self.invoke_error(error, request) from error

        try:
            return submit_in_this_thread(send, deadline=deadline, on_change=self.log.warning)
        except BdaError as error:
            raise error.about(input_s3_uri=request.input_s3_uri) from error.__cause__

    def invoke_sync(self, *, max_wait: float | timedelta = _SYNC_MAX_WAIT, **arguments: Any) -> SyncAnswer:
        """
        Have a small document processed while this call waits: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomation.html.

        The service takes 10 pages and 50 MB at most, and a project of the type ``SYNC`` or blueprints. It takes no
        client token: the call is sent once, and again only after throttling. **A call whose answer was lost may have
        been billed, and a second one is billed again.**

        :param max_wait: how long throttling is waited out: seconds or a timedelta; ten minutes by default.
        :param arguments: those of :func:`airflow_bda.service.request.sync_request.build_sync_request`.
        :return: its ``result`` is what was found; with *output_s3_uri* its ``output_metadata_uri`` says where that is.
        :raises BdaRequestError: with every problem found, or that the installed botocore does not know the call.
        :raises BdaError: when the call failed.
        """
        from airflow_bda.hooks.sync import build_sync_request, invoke_sync

        deadline = deadline_after("max_wait", max_wait)
        return invoke_sync(self, build_sync_request(self, arguments), deadline=deadline)

    def _send(self, request: InvocationRequest) -> str:
        client = self.conn
        with telemetry.throttles(), reading_answers():
            return _arn_of(client.invoke_data_automation_async(**request.to_api()))

    def invoke_error(self, error: BaseException, request: InvocationRequest) -> BdaError:
        """Return the error of a refused invoke, explained. For a missing permission it makes calls of its own."""
        cause = remedy = None
        if classify(error) is Failure.PERMISSION:
            from airflow_bda.access.denial import explain_denial

            try:
                cause, remedy = explain_denial(request, self.client_of)
            except Exception:  # an explanation that fails must not hide what it was to explain
                self.log.warning("The reason why the call was denied could not be found.", exc_info=True)
        return call_error(error, operation=INVOKE, input_s3_uri=request.input_s3_uri, cause=cause, remedy=remedy)

    # -- statuses

    def get_status(self, invocation_arn: str) -> JobState:
        """
        Ask for a job's state: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_GetDataAutomationStatus.html.

        :raises BdaError: when the call fails; a job that failed is a state, not an error.
        """
        try:
            return self.ask_status(invocation_arn)
        except CALL_FAILURES as error:
            raise call_error(error, operation=GET_STATUS, invocation_arn=invocation_arn) from error

    def ask_status(self, invocation_arn: str) -> JobState:
        """Ask for a job's state; raises what botocore raises. :meth:`get_status` explains it."""
        client = self.conn
        with telemetry.one_poll() as poll, reading_answers():
            response = client.get_data_automation_status(invocationArn=invocation_arn)
            return poll.answered(JobState.from_response(invocation_arn, response))

    def last_state(self, invocation_arn: str) -> JobState | None:
        """
        Ask for a job's state once; retry on transient errors as :meth:`wait` does.

        :return: None when the service could not be asked for minutes.
        :raises BdaError: when the call was refused in a way that waiting does not change.
        """
        from airflow_bda.engine.waiting import wait_in_this_thread

        # An earlier try submitted the job by this connection.
        now = datetime.now(timezone.utc)
        outcome = wait_in_this_thread(self._wait(invocation_arn, self.identity, now, None, has_worked=True))
        if outcome.state is None and outcome.error is not None and not outcome.timed_out:
            raise outcome.error
        return outcome.state

    async def get_status_async(self, invocation_arn: str) -> JobState:
        """Ask for a job's state; the async twin of :meth:`get_status`. To wait, :meth:`wait_async` costs less."""
        try:
            source = await HookStatusSource.open(self, repeats_calls=True)
            try:
                return await source.get_status(invocation_arn)
            finally:
                await source.close()
        except CALL_FAILURES as error:
            raise call_error(error, operation=GET_STATUS, invocation_arn=invocation_arn) from error

    # -- waiting

    def wait(
        self,
        invocation_arn: str,
        *,
        max_wait: float | timedelta = DEFAULT_MAX_WAIT,
        poll_interval: PollInterval = None,
    ) -> str | None:
        """
        Wait for a job to end.

        :param max_wait: how long, at most: seconds or a timedelta. With 0 there is one look.
        :param poll_interval: seconds (or a timedelta) between polls; None lets the pauses grow with the job's age.
        :return: the URI of ``job_metadata.json``.
        :raises BdaError: for a job that failed, and :class:`BdaTimeoutError` for one that is still running.
        """
        deadline = deadline_after("max_wait", max_wait, may_be_zero=True)
        return self.outcome(invocation_arn, deadline=deadline, poll_interval=poll_interval).metadata_uri()

    async def wait_async(
        self,
        invocation_arn: str,
        *,
        max_wait: float | timedelta = DEFAULT_MAX_WAIT,
        poll_interval: PollInterval = None,
    ) -> str | None:
        """Wait for a job to end; the async twin of :meth:`wait`. Waits on one loop share a client."""
        deadline = deadline_after("max_wait", max_wait, may_be_zero=True)
        outcome = await self.outcome_async(invocation_arn, deadline=deadline, poll_interval=poll_interval)
        return outcome.metadata_uri()

    def outcome(
        self,
        invocation_arn: str,
        *,
        deadline: datetime,
        poll_interval: PollInterval = None,
        has_worked: bool = False,
    ) -> JobOutcome:
        """
        Wait for a job to end, until *deadline* at most, and return the end as a value instead of raising it.

        :param has_worked: whether this connection is known to have worked, as it has for who has just submitted the
            job. Then an endpoint that cannot be reached is waited for, and does not end the wait after a minute.
        """
        from airflow_bda.engine.waiting import wait_in_this_thread

        try:
            wait = self._wait(invocation_arn, self.identity, deadline, poll_interval, has_worked=has_worked)
        except BdaError as error:
            return JobOutcome(invocation_arn, error=error)
        with telemetry.one_in_flight():
            return wait_in_this_thread(wait)

    async def outcome_async(
        self,
        invocation_arn: str,
        *,
        deadline: datetime,
        poll_interval: PollInterval = None,
        has_worked: bool = False,
    ) -> JobOutcome:
        """Wait for a job to end and return the end as a value; the async twin of :meth:`outcome`."""
        from airflow_bda.engine.waiting import wait_for_job

        try:
            identity = await self.identity_patiently()
            wait = self._wait(invocation_arn, identity, deadline, poll_interval, has_worked=has_worked)
        except BdaError as error:
            return JobOutcome(invocation_arn, error=error)
        with telemetry.one_in_flight():
            return await wait_for_job(wait)

    def _wait(
        self,
        invocation_arn: str,
        identity: str,
        deadline: datetime,
        poll_interval: PollInterval,
        *,
        has_worked: bool,
    ) -> Wait:
        from airflow_bda.engine.waiting import Wait

        return Wait(
            invocation_arn=invocation_arn,
            deadline=deadline,
            connection=self.status_connection(identity),
            limits=wait_limits(),
            poll_interval=in_seconds(poll_interval),
            on_change=self.log.info,
            has_worked=has_worked,
        )

    def status_connection(self, identity: str) -> StatusConnection:
        """
        Return how waits ask for statuses by this connection, and the queue of job events where one is configured.

        :param identity: the identity of this connection, as :attr:`identity` and :meth:`identity_patiently` return it.
        """
        from airflow_bda.engine.waiting import StatusConnection

        # A source that is opened again, after credentials expired, must see the connection as it is by then.
        hooks = chain([self], iter(self.anew, None))
        return StatusConnection(
            identity, lambda: HookStatusSource.open(next(hooks)), self.identity_now, self._open_hints()
        )

    def _open_hints(self) -> Callable[[], EventQueue] | None:
        """Return what opens the queue of job events, by the same connection; None where none is configured."""
        url = job_events_queue()
        if url is None:
            return None
        from airflow_bda.engine.event_queue import EventQueue
        from airflow_bda.service.arns import Queue

        region = Queue.parse(url).region or self._region_name

        def client() -> Awaitable[AbstractAsyncContextManager[Any]]:
            # A new hook for each client: the connection may have been corrected since the last one.
            return AsyncAwsHook(
                client_type="sqs",
                aws_conn_id=self.aws_conn_id,
                region_name=region,
                verify=self._verify,
                config=self._config,
            ).async_client()

        return lambda: EventQueue(url, client, self.log)

    # -- results

    def get_results(self, metadata_uri: str) -> JobResult:
        """
        Read all that a job found: every segment of every asset.

        :param metadata_uri: the URI of ``job_metadata.json``, as :meth:`wait` and the sensor return it.
        :raises BdaError: when a file cannot be read, or is malformed; it names the URI.
        """
        from airflow_bda.hooks.results import read_result

        try:
            return read_result(self.s3, metadata_uri)
        except CALL_FAILURES as error:
            raise _results_error(error, metadata_uri) from error

    async def get_results_async(self, metadata_uri: str) -> JobResult:
        """
        Read all that a job found; the async twin of :meth:`get_results`.

        The files are checked in a thread. What is asked of the result afterwards is decoded where it is asked: for a
        large document, read its text and fields by ``asyncio.to_thread`` too.
        """
        from airflow_bda.hooks.results import read_result_async

        try:
            async with await self.async_client("s3") as s3:
                return await read_result_async(s3, metadata_uri)
        except CALL_FAILURES as error:
            raise _results_error(error, metadata_uri) from error


class HookStatusSource:
    """
    One async client that asks for statuses, and the identity that it signs with.

    :param identity: the digest of the connection that the client was made from.
    """

    def __init__(self, client: Any, *, identity: str, resources: AsyncExitStack) -> None:
        self._client = client
        self._resources = resources
        self.identity = identity

    @classmethod
    async def open(cls, hook: BdaHook, *, repeats_calls: bool = False) -> HookStatusSource:
        """
        Make the client; raises what :meth:`BdaHook.async_client` raises.

        :param repeats_calls: whether the client repeats a throttled call. A poller does that itself, at its own pace.
        """
        resources = AsyncExitStack()
        client = await resources.enter_async_context(await hook.async_client(repeats_calls=repeats_calls))
        return cls(client, identity=hook.identity, resources=resources)

    async def get_status(self, invocation_arn: str) -> JobState:
        """Ask for one invocation's state; raises what botocore raises."""
        with telemetry.one_poll() as poll, reading_answers():
            response = await self._client.get_data_automation_status(invocationArn=invocation_arn)
            return poll.answered(JobState.from_response(invocation_arn, response))

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._resources.aclose()


def _results_error(error: BaseException, metadata_uri: str) -> BdaError:
    concerns_the_file = classify(error) in {Failure.PERMISSION, Failure.NOT_FOUND, Failure.INVALID, Failure.OTHER}
    return call_error(
        error,
        operation=f"Reading the results of {metadata_uri}",
        remedy=_RESULTS_REMEDY if concerns_the_file else None,
    )


def _arn_of(response: Mapping[str, Any]) -> str:
    try:
        return str(response["invocationArn"])
    except KeyError:
        raise UnexpectedAnswerError(f"{INVOKE} was answered without an invocationArn") from None
