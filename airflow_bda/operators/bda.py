"""Start a data automation job, exactly once per document, and wait for it where asked to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_bda._compat import AwsBaseOperator, conf
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks import metrics
from airflow_bda.hooks.bda import DEFAULT_MAX_WAIT, BdaHook
from airflow_bda.hooks.settings import deadline_after, in_seconds, wait_limits
from airflow_bda.operators.job_operator import BdaJobOperator
from airflow_bda.service.request.request import request_warnings
from airflow_bda.service.statuses import JobOutcome
from airflow_bda.triggers.bda import belongs_to_an_earlier_try, check_deferral, defer_until_ended

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

OUTPUT_METADATA_URI = "output_metadata_uri"


class BdaInvokeOperator(BdaJobOperator, AwsBaseOperator[BdaHook]):
    """
    Start a data automation job for one document, image, audio or video file.

    However often the task is tried, killed or interrupted, the document has one job and one bill: a retry finds the
    job that an earlier try started. Clearing the task starts a new one. BDA cannot cancel a job; one that was started
    runs to its end.

    The request's arguments are those of :class:`~airflow_bda.operators.job_operator.BdaJobOperator`.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html

    :param wait_for_completion: whether the task ends when the job does (True) or once it is started (False, default).
    :param poll_interval: seconds between looks at the job; None (default) looks often at first and less often as the
        job grows older.
    :param max_wait: how long submitting and waiting may take together, as a timedelta or in seconds; the default is one
        day. The job itself is not ended by it.
    :param deferrable: whether to wait in the triggerer instead of in a worker slot; the default is Airflow's
        ``[operators] default_deferrable``. Means nothing unless *wait_for_completion*.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: the invocation's ARN; with *wait_for_completion*, the XCom ``output_metadata_uri`` holds the URI of
        ``job_metadata.json``.
    :raises BdaRequestError: nothing was sent; names every problem of the request. Not retried.
    :raises BdaPermissionError: the service refused; says which of the known causes it is.
    :raises BdaClientError: the job could not work with its input. Not retried.
    :raises BdaServiceError: the job failed on the service's side; a retry starts one new job.
    :raises BdaTimeoutError: *max_wait* passed; a retry goes on waiting for the same job.
    """

    aws_hook_class = BdaHook

    def __init__(
        self,
        *,
        wait_for_completion: bool = False,
        poll_interval: float | timedelta | None = None,
        max_wait: float | timedelta = DEFAULT_MAX_WAIT,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.max_wait = max_wait
        self.deferrable = deferrable

    def execute(self, context: Context) -> str:
        """Start the job, or find the one of an earlier try, and wait for it in the way that was asked for."""
        with task_errors(), metrics.failures():
            self.check_arguments()
            # Before the client is made: what the AWS libraries log of credentials and endpoints should not come first.
            self.log.info("Input: %s, output: %s", self.input_s3_uri, self.output_s3_uri)
            # All checks of the wait come before the submit: a job that the task cannot wait for is billed too.
            deadline = deadline_after("max_wait", self.max_wait)
            poll_interval = in_seconds(self.poll_interval)
            wait_limits()
            if self.wait_for_completion and self.deferrable:
                check_deferral(self, poll_interval=poll_interval)
            request = self.hook.build_request(**self.request_arguments())
            for warning in request_warnings(request):
                self.log.warning(warning)
            job = self.start_or_find(
                context,
                request,
                submit=partial(self.hook.submit, deadline=deadline),
                last_state=self.hook.last_state,
            )
            arn = job.invocation_arn
            if not self.wait_for_completion:
                self.note_end(context, invocation_arn=arn, output_s3_uri=request.output_s3_uri)
                return arn
            outcome = job.outcome()
            if outcome is None and self.deferrable:
                defer_until_ended(self, context, invocation_arn=arn, deadline=deadline, poll_interval=poll_interval)
            if outcome is None:
                outcome = self.hook.outcome(arn, deadline=deadline, poll_interval=poll_interval, has_worked=True)
            return self._conclude(context, outcome)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, deferred_in_try: int | None = None
    ) -> str:
        """Resume with the trigger's event."""
        if belongs_to_an_earlier_try(context, deferred_in_try):
            # Airflow guards `execute` against calls from other code; this is the function that it guards.
            return self.execute.__wrapped__(self, context)  # type: ignore[no-any-return,attr-defined]
        with task_errors(), metrics.failures():
            return self._conclude(context, JobOutcome.from_event(event))

    def _conclude(self, context: Context, outcome: JobOutcome) -> str:
        """Push the URI of the results, or raise why there are none."""
        # After a deferral this is another object than the one that started the job.
        self._is_about(outcome.invocation_arn)
        uri = outcome.about(input_s3_uri=self.input_s3_uri).metadata_uri()
        metrics.succeeded()
        self.log.info("Invocation %s succeeded: %s", outcome.invocation_arn, uri)
        context["ti"].xcom_push(key=OUTPUT_METADATA_URI, value=uri)
        self.note_end(
            context,
            invocation_arn=outcome.invocation_arn,
            input_s3_uri=self.input_s3_uri,
            output_s3_uri=self.output_s3_uri,
            output_metadata_uri=uri,
        )
        return outcome.invocation_arn
