"""
Start a data automation job, exactly once per document, and wait for it where asked to.

:class:`BdaJobOperator` is what every operator that starts a job has in common, the Lambda operator too: its arguments,
its request, and the one job that it is about.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import AwsBaseOperator, aws_template_fields, conf
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks import telemetry
from airflow_bda.hooks.bda import DEFAULT_MAX_WAIT, BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, deadline_after, in_seconds, wait_limits
from airflow_bda.hooks.telemetry import LineageMixin
from airflow_bda.links.bda import BdaInputLink, BdaOutputLink, link_job
from airflow_bda.operators.one_job import Job, start_or_find
from airflow_bda.service.request.request import request_warnings
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.service.statuses import JobOutcome
from airflow_bda.triggers.bda import STILL_RUNNING, belongs_to_an_earlier_try, check_deferral, defer_until_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState


class BdaRequestOperator(SafeLogging, LineageMixin, TaskArguments):
    """
    Base class of the operators that start data automation jobs: what the requests of all their jobs have in common.

    :param output_s3_uri: where the service writes results, ``s3://bucket/prefix``; trailing slashes are taken off,
        since the service would write ``//``. (templated)
    :param project_arn: the data automation project that says what to extract. (templated)
    :param project_stage: ``LIVE`` or ``DEVELOPMENT``; None leaves the choice to the service. (templated)
    :param blueprints: up to 40 blueprints, each an ARN or a dictionary of ``blueprintArn``, ``version`` and ``stage``.
        (templated)
    :param profile_arn: the data automation profile; None derives it from the region and the account. (templated)
    :param video_segment: the part of a video to process: ``{"startTimeMillis": ..., "endTimeMillis": ...}`` in
        milliseconds, five minutes at least. (templated)
    :param event_bridge_enabled: whether the service sends the job's events to EventBridge; None sends nothing.
    :param kms_key_id: the KMS key that encrypts the job's data. (templated)
    :param kms_encryption_context: up to ten pairs that bind the key's use; needs *kms_key_id*. (templated)
    :param tags: the invocation's tags, a dictionary or a list of ``{"key": ..., "value": ...}``. (templated)
    """

    template_fields: Sequence[str] = aws_template_fields(
        "output_s3_uri",
        "project_arn",
        "project_stage",
        "blueprints",
        "profile_arn",
        "video_segment",
        "kms_key_id",
        "kms_encryption_context",
        "tags",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "blueprints": "json",
        "kms_encryption_context": "json",
        "tags": "json",
        "video_segment": "json",
    }
    ui_color = "#dcebf9"

    def __init__(  # noqa: PLR0913  the members of the API's request
        self,
        *,
        output_s3_uri: str,
        project_arn: str | None = None,
        project_stage: str | None = None,
        blueprints: Sequence[str | Mapping[str, str]] | None = None,
        profile_arn: str | None = None,
        video_segment: Mapping[str, int] | None = None,
        event_bridge_enabled: bool | None = None,
        kms_key_id: str | None = None,
        kms_encryption_context: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_s3_uri = output_s3_uri
        self.project_arn = project_arn
        self.project_stage = project_stage
        self.blueprints = blueprints
        self.profile_arn = profile_arn
        self.video_segment = video_segment
        self.event_bridge_enabled = event_bridge_enabled
        self.kms_key_id = kms_key_id
        self.kms_encryption_context = kms_encryption_context
        self.tags = tags

    def request_arguments(self) -> dict[str, Any]:
        """Return the rendered arguments of the request, by the names that ``build_request`` has for them."""
        return {
            "output_s3_uri": self.output_s3_uri,
            "project_arn": self.project_arn,
            "project_stage": self.project_stage,
            "blueprints": self.blueprints,
            "profile_arn": self.profile_arn,
            "video_segment": self.video_segment,
            "event_bridge_enabled": self.event_bridge_enabled,
            "kms_key_id": self.kms_key_id,
            "kms_encryption_context": self.kms_encryption_context,
            "tags": self.tags,
        }


class BdaJobOperator(BdaRequestOperator):
    """
    Base class of the operators that start one job for one file. Its other arguments are those of its own base.

    :param input_s3_uri: the document, ``s3://bucket/key``; one object. (templated)
    :param client_token: the idempotency token, 2 to 256 letters, digits and inner hyphens; None derives one from the
        task instance and the request. (templated)
    :param reattach: whether a retry finds the job of an earlier try (True, default). False starts a job in every try,
        each with a bill of its own.
    """

    operator_extra_links = (BdaOutputLink(), BdaInputLink())
    template_fields: Sequence[str] = ("input_s3_uri", *BdaRequestOperator.template_fields, "client_token")

    def __init__(
        self, *, input_s3_uri: str, client_token: str | None = None, reattach: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.input_s3_uri = input_s3_uri
        self.client_token = client_token
        self.reattach = reattach
        self._invocation_arn: str | None = None

    def request_arguments(self) -> dict[str, Any]:
        """Return the rendered arguments of the request, with the document and the token."""
        return {"input_s3_uri": self.input_s3_uri, **super().request_arguments(), "client_token": self.client_token}

    def start_or_find(
        self,
        context: Context,
        request: InvocationRequest,
        *,
        submit: Callable[[InvocationRequest], str],
        last_state: Callable[[str], JobState | None],
    ) -> Job:
        """
        Start the job, or find the one that an earlier try started; then link the task to it.

        :param submit: sends a request with its client token, and returns the invocation's ARN.
        :param last_state: asks for the state of an invocation; None where it cannot be asked.
        """
        starts = telemetry.Starts(submit)
        submit = starts.submit
        if request.client_token:
            job = Job(submit(request))
        elif not self.reattach:
            # No other try finds this job, and an answer that is lost within this try still costs nothing.
            job = Job(submit(request.with_client_token(uuid.uuid4().hex)))
        else:
            job = start_or_find(request, context, submit=submit, last_state=last_state, on_found=self._is_about)
        starts.found_a_job()
        self._is_about(job.invocation_arn)
        self.log.info("Invocation: %s", job.invocation_arn)
        link_job(
            context,
            job.invocation_arn,
            input_s3_uri=request.input_s3_uri,
            output_s3_uri=request.output_s3_uri,
            emulator_url=self.emulator_url(),
        )
        return job

    def emulator_url(self) -> str | None:
        """Return where the emulator's pages are, where the task's connection leads to it."""
        url: str | None = self.hook.emulator_url  # type: ignore[attr-defined]  # the Amazon provider's base has it
        return url

    def on_kill(self) -> None:
        """Log that the job keeps running: BDA cannot cancel."""
        if self._invocation_arn:
            self.log.warning(STILL_RUNNING, self._invocation_arn)

    def _is_about(self, invocation_arn: str) -> None:
        self._invocation_arn = invocation_arn


OUTPUT_METADATA_URI = "output_metadata_uri"


class BdaInvokeOperator(BdaJobOperator, AwsBaseOperator[BdaHook]):
    """
    Start a data automation job for one document, image, audio or video file.

    However often the task is tried, killed or interrupted, the document has one job and one bill: a retry finds the
    job that an earlier try started. Clearing the task starts a new one. BDA cannot cancel a job; one that was started
    runs to its end.

    The request's arguments are those of :class:`~airflow_bda.operators.bda.BdaJobOperator`.

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
    :raises BdaTimeoutError: *max_wait* passed; a retry continues to wait for the same job.
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
        with task_errors(), telemetry.failures():
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
        with task_errors(), telemetry.failures():
            return self._conclude(context, JobOutcome.from_event(event))

    def _conclude(self, context: Context, outcome: JobOutcome) -> str:
        """Push the URI of the results, or raise why there are none."""
        # After a deferral this is another object than the one that started the job.
        self._is_about(outcome.invocation_arn)
        uri = outcome.about(input_s3_uri=self.input_s3_uri).metadata_uri()
        telemetry.succeeded()
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
