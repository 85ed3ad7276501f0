"""BDA's runtime API through an Airflow connection, in blocking and in async form."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from asgiref.sync import sync_to_async
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from airflow_bda import __version__
from airflow_bda.access.denial import explain_denial
from airflow_bda.engine.jitter import full_jitter
from airflow_bda.engine.submitting import submit_in_this_thread
from airflow_bda.engine.waiting import wait_for_job, wait_in_this_thread
from airflow_bda.hooks.connection import HookStatusSource, async_client
from airflow_bda.hooks.identity import identity_digest
from airflow_bda.hooks.lookups import shared_look_up
from airflow_bda.hooks.results import read_result, read_result_async
from airflow_bda.hooks.settings import in_seconds, wait_limits
from airflow_bda.service.aws_errors import Failure, call_error, classify
from airflow_bda.service.errors import BdaConnectionError, BdaError, BdaRequestError
from airflow_bda.service.model import SERVICE
from airflow_bda.service.outcomes import JobOutcome
from airflow_bda.service.profiles import PROFILE_OF_REGION, UnknownRegionError, derive_profile_arn
from airflow_bda.service.statuses import JobState, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from airflow_bda.engine.waiting import WaitOutcome
    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.results.job_result import JobResult

INVOKE = "InvokeDataAutomationAsync"
GET_STATUS = "GetDataAutomationStatus"
PollInterval: TypeAlias = "float | timedelta | None"
DEFAULT_MAX_WAIT = timedelta(days=1)
# botocore's "legacy" retries, its default, do not slow down when throttled.
_RETRIES = {"mode": "standard", "total_max_attempts": 4}
# A valid ARN, for checking the rest of a request before the real one is known.
_STAND_IN_PROFILE = derive_profile_arn(region="us-east-1", account="000000000000")
_RESULTS_REMEDY = (
    "Check the URI, and that the connection may s3:GetObject there (and kms:Decrypt, where there is a key)."
)
_ACCOUNT_REMEDY = "Pass profile_arn, which makes this call unnecessary, or mend the connection's credentials."
# With the pauses between them, some three minutes on average.
_LOOK_UPS = 10
# What a call can raise, whichever client makes it; the decoder's own errors come from bodies that are not JSON.
_CALL_FAILURES = (ClientError, BotoCoreError, OSError, ValueError, UnexpectedAnswerError)


class BdaHook(AwsBaseHook):
    """
    Interact with Amazon Bedrock Data Automation.

    Provide typed calls around :external+boto3:py:class:`boto3.client("bedrock-data-automation-runtime")
    <BedrockDataAutomationRuntime.Client>`. Every call has an async twin, whose name ends in ``_async``.

    Additional arguments (such as ``aws_conn_id``, ``region_name``, ``verify`` and ``config``) are passed to the
    underlying AwsBaseHook. Throttled calls are repeated by botocore's standard retries, unless ``config`` or the
    connection's ``config_kwargs`` say otherwise.
    """

    client_type: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = SERVICE
        super().__init__(*args, **kwargs)

    @property
    def config(self) -> Config:
        """The configuration of every client: our defaults, overridden by the connection's or the caller's."""
        given = super().config
        agent = " ".join(filter(None, (f"airflow-bda/{__version__}", given.user_agent_extra)))
        return Config(retries=_RETRIES).merge(given).merge(Config(user_agent_extra=agent))

    def client_config(self) -> Config:
        """Give the configuration that a client is made with, the provider's user agent included."""
        return self._get_config()

    @cached_property
    def identity(self) -> str:
        """The digest of the resolved connection: clients may be shared between hooks that agree in it."""
        return identity_digest(self.conn_config, service_name=SERVICE, config=self.config)

    async def resolve_async(self) -> None:
        """Look the connection up, off the event loop; what follows finds it cached."""
        # asgiref's threads, because Airflow 3 asks its supervisor through the loop that they know.
        await sync_to_async(lambda: self.identity)()

    @cached_property
    def s3(self) -> Any:
        """A boto3 client of S3 on the same connection."""
        return S3Hook(
            aws_conn_id=self.aws_conn_id, region_name=self._region_name, verify=self._verify, config=self._config
        ).conn

    def client_of(self, service: str) -> Any:
        """
        Give a boto3 client of any service, on the same connection.

        :param service: as boto3 names it: ``iam``, ``sts``, ``bedrock-data-automation``.
        """
        if service == "s3":
            return self.s3
        return AwsBaseHook(
            client_type=service,
            aws_conn_id=self.aws_conn_id,
            region_name=self._region_name,
            verify=self._verify,
            config=self._config,
        ).conn

    # -- requests

    def build_request(self, *, profile_arn: str | None = None, **members: Any) -> InvocationRequest:
        """
        Check the arguments of an invocation, all of them at once, before anything is sent.

        :param profile_arn: the data automation profile; None derives it from the connection's region, partition and
            account, which costs one call of STS ``GetCallerIdentity`` a hook.
            https://docs.aws.amazon.com/bedrock/latest/userguide/bda-cris.html
        :param members: as :func:`airflow_bda.service.request.request.build_request` takes them, and as
            :class:`~airflow_bda.operators.BdaInvokeOperator` names them.
        :raises BdaRequestError: with every problem found.
        """
        from airflow_bda.service.request.request import build_request

        region = self._region()
        if profile_arn is not None:
            return build_request(profile_arn=profile_arn, region=region, **members)
        # Everything else is checked first: a request that is wrong anyway should not cost a call.
        problems = [] if region in PROFILE_OF_REGION else [f"profile_arn: {UnknownRegionError(region)}"]
        try:
            build_request(profile_arn=_STAND_IN_PROFILE, region=None, **members)
        except BdaRequestError as error:
            raise BdaRequestError(error.message, problems=[*error.problems, *problems]) from None
        if problems:
            raise BdaRequestError("No data automation profile can be derived; nothing was sent.", problems=problems)
        return build_request(profile_arn=self.derive_profile_arn(), region=region, **members)

    def derive_profile_arn(self) -> str:
        """
        Give the profile for calls on this connection.

        :raises UnknownRegionError: a LookupError, for a region whose profile is not known.
        :raises BdaError: when the account cannot be looked up.
        """
        region = self._region()
        try:
            account = self.account_id
        except _CALL_FAILURES as error:
            raise call_error(error, operation="GetCallerIdentity", remedy=_ACCOUNT_REMEDY) from error
        return derive_profile_arn(region=region, account=account, partition=self.conn_partition)

    def _region(self) -> str:
        try:
            return self.conn_region_name
        except NoRegionError:
            raise BdaRequestError(
                "No AWS region is set.",
                problems=["region_name: pass it, or set region_name in the connection's extra."],
            ) from None
        except BotoCoreError as error:
            raise call_error(error, operation="Making a client") from error

    # -- invoking

    def invoke(self, request: InvocationRequest) -> str:
        """
        Start a job, once: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html.

        :return: the invocation's ARN.
        :raises BdaError: explained; :class:`BdaPermissionError` says which of the known causes it is.
        """
        try:
            return self._send(request)
        except _CALL_FAILURES as error:
            raise self._invoke_error(error, request) from error

    async def invoke_async(self, request: InvocationRequest) -> str:
        """Start a job, once; the async twin of :meth:`invoke`."""
        try:
            async with await async_client(self, SERVICE) as client:
                return _arn_of(await client.invoke_data_automation_async(**request.to_api()))
        except _CALL_FAILURES as error:
            raise await asyncio.to_thread(self._invoke_error, error, request) from error

    def submit(self, request: InvocationRequest, *, deadline: datetime) -> str:
        """
        Start a job with the patience of waiting: throttling, quotas and lost connections are waited out.

        Every try sends the same client token, so the service starts one job however many answers are lost.

        :param request: must carry a client token.
        :param deadline: until when to try, with a time zone.
        :return: the invocation's ARN.
        :raises BdaError: as :meth:`invoke`, and when the deadline passes.
        """
        hook = self
        # Made in the task's own thread, which is where Airflow is asked for connections.
        hook.conn  # noqa: B018

        async def send() -> str:
            nonlocal hook
            try:
                return await asyncio.to_thread(hook._send, request)
            except _CALL_FAILURES as error:
                kind = classify(error)
                if kind is Failure.EXPIRED:
                    hook = self._anew()
                if kind.is_passing:
                    raise
                raise self._invoke_error(error, request) from error

        try:
            return submit_in_this_thread(send, deadline=deadline, on_change=self.log.warning)
        except BdaError as error:
            raise error.about(input_s3_uri=request.input_s3_uri) from error.__cause__

    def _send(self, request: InvocationRequest) -> str:
        return _arn_of(self.conn.invoke_data_automation_async(**request.to_api()))

    def _invoke_error(self, error: BaseException, request: InvocationRequest) -> BdaError:
        remedy = self._denial(request) if classify(error) is Failure.PERMISSION else None
        return call_error(error, operation=INVOKE, input_s3_uri=request.input_s3_uri, remedy=remedy)

    def _denial(self, request: InvocationRequest) -> str | None:
        try:
            return explain_denial(request, self.client_of)
        except Exception:  # an explanation that fails must not hide what it was to explain
            self.log.warning("The cause of the refusal could not be looked for.", exc_info=True)
            return None

    # -- statuses

    def get_status(self, invocation_arn: str) -> JobState:
        """
        Ask for a job's state: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_GetDataAutomationStatus.html.

        :raises BdaError: when the call fails; a job that failed is a state, not an error.
        """
        try:
            response = self.conn.get_data_automation_status(invocationArn=invocation_arn)
            return JobState.from_response(invocation_arn, response)
        except _CALL_FAILURES as error:
            raise call_error(error, operation=GET_STATUS, invocation_arn=invocation_arn) from error

    def last_state(self, invocation_arn: str) -> JobState | None:
        """
        Ask for a job's state once, as patiently as :meth:`wait` does.

        :return: None when the service could not be asked for minutes.
        :raises BdaError: when the call was refused in a way that waiting does not mend.
        """
        now = datetime.now(timezone.utc)
        return wait_in_this_thread(invocation_arn, **self._wait_arguments(self.identity, now, None)).state

    async def get_status_async(self, invocation_arn: str) -> JobState:
        """Ask for a job's state; the async twin of :meth:`get_status`. To wait, :meth:`wait_async` costs less."""
        try:
            source = await HookStatusSource.open(self)
            try:
                return await source.get_status(invocation_arn)
            finally:
                await source.close()
        except _CALL_FAILURES as error:
            raise call_error(error, operation=GET_STATUS, invocation_arn=invocation_arn) from error

    # -- waiting

    def wait(
        self,
        invocation_arn: str,
        *,
        max_wait: timedelta = DEFAULT_MAX_WAIT,
        poll_interval: PollInterval = None,
    ) -> str | None:
        """
        Wait for a job to end.

        :param max_wait: how long, at most.
        :param poll_interval: seconds (or a timedelta) between polls; None lets the pauses grow with the job's age.
        :return: the URI of ``job_metadata.json``.
        :raises BdaError: for a job that failed, and :class:`BdaTimeoutError` for one that goes on.
        """
        deadline = datetime.now(timezone.utc) + max_wait
        return self.outcome(invocation_arn, deadline=deadline, poll_interval=poll_interval).metadata_uri()

    async def wait_async(
        self,
        invocation_arn: str,
        *,
        max_wait: timedelta = DEFAULT_MAX_WAIT,
        poll_interval: PollInterval = None,
    ) -> str | None:
        """Wait for a job to end; the async twin of :meth:`wait`. Waits on one loop share a client."""
        deadline = datetime.now(timezone.utc) + max_wait
        outcome = await self.outcome_async(invocation_arn, deadline=deadline, poll_interval=poll_interval)
        return outcome.metadata_uri()

    def outcome(self, invocation_arn: str, *, deadline: datetime, poll_interval: PollInterval = None) -> JobOutcome:
        """Wait for a job to end, until *deadline* at most, and give the end as a value instead of raising it."""
        try:
            arguments = self._wait_arguments(self.identity, deadline, poll_interval)
            waited = wait_in_this_thread(invocation_arn, **arguments)
        except BdaError as error:
            return JobOutcome(invocation_arn, error=error)
        return _concluded(invocation_arn, waited, deadline)

    async def outcome_async(
        self, invocation_arn: str, *, deadline: datetime, poll_interval: PollInterval = None
    ) -> JobOutcome:
        """Wait for a job to end and give the end as a value; the async twin of :meth:`outcome`."""
        try:
            identity = await self._identity_patiently()
            waited = await wait_for_job(invocation_arn, **self._wait_arguments(identity, deadline, poll_interval))
        except BdaError as error:
            return JobOutcome(invocation_arn, error=error)
        return _concluded(invocation_arn, waited, deadline)

    # -- results

    def get_results(self, metadata_uri: str) -> JobResult:
        """
        Read all that a job found: every segment of every asset.

        :param metadata_uri: the URI of ``job_metadata.json``, as :meth:`wait` and the sensor give it.
        :raises BdaError: when a file cannot be read, or is malformed; it names the URI.
        """
        try:
            return read_result(self.s3, metadata_uri)
        except _CALL_FAILURES as error:
            raise _results_error(error, metadata_uri) from error

    async def get_results_async(self, metadata_uri: str) -> JobResult:
        """Read all that a job found; the async twin of :meth:`get_results`."""
        try:
            async with await async_client(self, "s3") as s3:
                return await read_result_async(s3, metadata_uri)
        except _CALL_FAILURES as error:
            raise _results_error(error, metadata_uri) from error

    # -- what the above share

    def _wait_arguments(self, identity: str, deadline: datetime, poll_interval: PollInterval) -> dict[str, Any]:
        return {
            "identity": identity,
            "open_source": self._source_opener(),
            "deadline": deadline,
            "poll_interval": in_seconds(poll_interval),
            "limits": wait_limits(),
            "on_change": self.log.info,
            "resolve_identity": self._identity_now,
        }

    def _source_opener(self) -> Callable[[], Awaitable[HookStatusSource]]:
        # A source that is opened again, after credentials expired, must see the connection as it is by then.
        hooks = chain([self], iter(self._anew, None))
        return lambda: HookStatusSource.open(next(hooks))

    async def _identity_patiently(self) -> str:
        """Look the connection up while Airflow's own services may be starting again: that fails no healthy job."""
        for tries in range(_LOOK_UPS):
            try:
                return await shared_look_up(self._settings(), self._identity_now)
            except Exception as error:  # whatever a secrets backend or Airflow's API raises
                failure = error
                self.log.warning("Connection %s could not be looked up; trying again.", self.aws_conn_id, exc_info=True)
            await asyncio.sleep(full_jitter(tries, first=1.0, longest=60.0))
        raise BdaConnectionError(
            f"The Airflow connection {self.aws_conn_id!r} could not be looked up, in {_LOOK_UPS} tries.",
            remedy="The triggerer's log says why; the job itself goes on.",
            error_type=type(failure).__name__,
        ) from failure

    def _settings(self) -> Hashable:
        options = getattr(self._config, "_user_provided_options", None)
        return type(self), self.aws_conn_id, self._region_name, self._verify, repr(options)

    async def _identity_now(self) -> str:
        hook = self._anew()
        await hook.resolve_async()
        return hook.identity

    def _anew(self) -> BdaHook:
        return type(self)(
            aws_conn_id=self.aws_conn_id, region_name=self._region_name, verify=self._verify, config=self._config
        )


def _concluded(invocation_arn: str, waited: WaitOutcome, deadline: datetime) -> JobOutcome:
    if waited.timed_out or waited.state is None:
        return JobOutcome.of_timeout(
            invocation_arn, deadline=deadline, last_state=waited.state, last_failure=waited.last_failure
        )
    return JobOutcome.of_state(waited.state)


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
