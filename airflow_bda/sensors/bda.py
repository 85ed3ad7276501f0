"""Wait for a data automation job in a task of its own."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_bda._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AwsBaseSensor,
    PokeReturnValue,
    aws_template_fields,
    conf,
    first_poke_at,
)
from airflow_bda.exceptions import BdaError, as_sensor_error
from airflow_bda.hooks import telemetry
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, in_seconds, seconds_of, wait_limits
from airflow_bda.hooks.telemetry import LineageMixin
from airflow_bda.links.bda import BdaInputLink, BdaOutputLink, link_like_upstream, link_results
from airflow_bda.service.arns import check_invocation_arn, region_of
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.service.statuses import JobOutcome
from airflow_bda.triggers.bda import STILL_RUNNING, belongs_to_an_earlier_try, check_deferral, defer_until_ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_bda.engine.judging import Ask, Looker
    from airflow_bda.service.statuses import JobState


# What Airflow resumes a task with to fail it: its trigger failed, or reached Airflow's own time-out.
_FAIL = "__fail__"


class BdaStatusSensor(SafeLogging, LineageMixin, TaskArguments, AwsBaseSensor[BdaHook]):
    """
    Wait until a data automation job has ended, in a worker slot, between reschedules, or in the triggerer.

    The mode decides where the waiting happens and nothing else. Throttling, lost connections and expired credentials
    are waited out in each; ``silent_fail`` therefore has nothing to hide, and is ignored. A ``timeout`` ends the wait
    and not the job, and its error names the job.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_GetDataAutomationStatus.html

    :param invocation_arn: the job, as :class:`~airflow_bda.operators.BdaInvokeOperator` returns it. (templated)
    :param poll_interval: with *deferrable*, seconds between looks at the job; None (default) looks often at first and
        less often as the job grows older. The other modes go by ``poke_interval``.
    :param deferrable: whether to wait in the triggerer; the default is Airflow's ``[operators] default_deferrable``. A
        job that has ended when the task starts is not deferred for.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the one in *invocation_arn*. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: the URI of the job's ``job_metadata.json``.
    :raises BdaRequestError: *invocation_arn* is not the ARN of an invocation, or that does not exist. Not retried.
    :raises BdaClientError: the job could not work with its input. Not retried.
    :raises BdaServiceError: the job failed on the service's side.
    :raises BdaPermissionError: the status may not be asked for.
    :raises BdaTimeoutError: ``timeout`` passed; Airflow does not retry a sensor that timed out.
    """

    aws_hook_class = BdaHook
    operator_extra_links = (BdaOutputLink(), BdaInputLink())
    template_fields: Sequence[str] = aws_template_fields("invocation_arn")
    ui_color = "#dcebf9"

    def __init__(
        self,
        *,
        invocation_arn: str,
        poll_interval: float | timedelta | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        if kwargs.get("timeout") is not None:
            kwargs["timeout"] = seconds_of("timeout", kwargs["timeout"])
        super().__init__(**kwargs)
        self.invocation_arn = invocation_arn
        self.poll_interval = poll_interval
        self.deferrable = deferrable
        self._began: datetime | None = None
        self._looker: Looker | None = None

    @property
    def _hook_parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._hook_parameters
        return parameters | {"region_name": self.region_name or region_of(self.invocation_arn)}

    def execute(self, context: Context) -> Any:
        """Wait in the mode that was asked for."""
        self._check()
        # Before the client is made: what the AWS libraries log of credentials and endpoints should not come first.
        self.log.info("Invocation: %s", self.invocation_arn)
        link_like_upstream(context, self, self.invocation_arn)
        if self.deferrable:
            return self._wait_deferred(context)
        self.silent_fail = False
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as end:
            if isinstance(end, BdaError) or isinstance(end.__cause__, BdaError):
                raise
            # Airflow's own words for a time-out name neither the job nor its state.
            return self._conclude(context, self._timed_out(context))

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look at the job once."""
        state = self._look(context)
        if state is None or not state.status.is_terminal:
            return False
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(context, JobOutcome.of_state(state)))

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, deferred_in_try: int | None = None
    ) -> str | None:
        """Resume with the trigger's event."""
        if belongs_to_an_earlier_try(context, deferred_in_try):
            return self._wait_deferred(context)
        return self._conclude(context, JobOutcome.from_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume; a time-out that Airflow noticed, because no triggerer did, names the job too."""
        reason = str((next_kwargs or {}).get("error")) if next_method == _FAIL else ""
        if "timeout" not in reason.lower():
            return super().resume_execution(next_method, next_kwargs, context)
        limit = f"execution_timeout={self.execution_timeout}"
        return self._conclude(context, self._timed_out(context, limit))

    def on_kill(self) -> None:
        """Log that the job keeps running: BDA cannot cancel."""
        self.log.warning(STILL_RUNNING, self.invocation_arn)

    def _check(self) -> None:
        """Refuse what no mode can wait with, and what Airflow could not store while the task is deferred."""
        try:
            self.check_arguments()
            check_invocation_arn(self.invocation_arn)
            poll_interval = in_seconds(self.poll_interval)
            wait_limits()
            if self.deferrable:
                check_deferral(self, poll_interval=poll_interval)
        except BdaError as error:
            self._give_up(error)

    def _wait_deferred(self, context: Context) -> str | None:
        """
        Defer, unless the job has ended already.

        Then there is no need to; and Airflow now and then fails a task whose trigger fires before its executor has told
        that it is deferred.
        """
        state = self._look(context)
        if state is not None and state.status.is_terminal:
            return self._conclude(context, JobOutcome.of_state(state))
        seconds_left = self._seconds_left()
        if seconds_left > 0:
            defer_until_ended(
                self,
                context,
                invocation_arn=self.invocation_arn,
                deadline=datetime.now(timezone.utc) + timedelta(seconds=seconds_left),
                poll_interval=in_seconds(self.poll_interval),
            )
        return self._conclude(context, self._timed_out(context))

    def _look(self, context: Context) -> JobState | None:
        try:
            return self._looks(context).look()
        except BdaError as error:
            self._give_up(error)

    def _looks(self, context: Context) -> Looker:
        """Return what looks at the job; between reschedules it is lost, and with it all but this process's memory."""
        if self._looker is None:
            from airflow_bda.engine.judging import Looker

            # An earlier poke would have ended the wait if the connection did not work at all.
            earlier_poke = first_poke_at(context) if self.reschedule and not self.deferrable else None
            self._began = earlier_poke or datetime.now(timezone.utc)
            hooks = chain([self.hook], iter(self.hook.anew, None))

            def open_client() -> Ask:
                hook = next(hooks)
                # Made here, so that a client that cannot be made differs from a call that fails.
                hook.conn  # noqa: B018
                return hook.ask_status

            self._looker = Looker(
                self.invocation_arn,
                open_client=open_client,
                tell=self.log.info,
                seconds_left=self._seconds_left,
                job_age=self._seconds_gone,
                worked_before=earlier_poke is not None,
            )
        return self._looker

    def _seconds_gone(self) -> float:
        now = datetime.now(timezone.utc)
        return (now - (self._began or now)).total_seconds()

    def _seconds_left(self) -> float:
        return float(self.timeout) - self._seconds_gone()

    def _timed_out(self, context: Context, limit: str | None = None) -> JobOutcome:
        looks = self._looks(context)
        return JobOutcome.of_timeout(
            self.invocation_arn,
            deadline=datetime.now(timezone.utc),
            last_state=looks.seen.state,
            last_failure=looks.seen.last_failure,
            limit=limit,
        )

    def _conclude(self, context: Context, outcome: JobOutcome) -> str | None:
        if outcome.error is not None:
            self._give_up(outcome.error)
        telemetry.succeeded()
        self.log.info("Invocation %s succeeded: %s", outcome.invocation_arn, outcome.output_metadata_uri)
        link_results(context, outcome.invocation_arn, outcome.output_metadata_uri, emulator_url=self.hook.emulator_url)
        self.note_end(context, invocation_arn=outcome.invocation_arn, output_metadata_uri=outcome.output_metadata_uri)
        return outcome.output_metadata_uri

    def _give_up(self, error: BdaError) -> NoReturn:
        """Count an error and raise it, or skip the task: the one way in which it ends without a result."""
        telemetry.failed(error)
        failure = as_sensor_error(error)
        final = isinstance(failure, AirflowFailException | AirflowSensorTimeout)
        if self.never_fail or (self.soft_fail and final):
            raise AirflowSkipException(f"Skipped instead of failed: {failure}") from failure
        raise failure from error.__cause__
