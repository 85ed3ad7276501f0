"""Starting a data automation job, exactly once per document, and waiting for it where asked to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_bda._compat import AwsBaseOperator, aws_template_fields, conf
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks.bda import DEFAULT_MAX_WAIT, BdaHook
from airflow_bda.hooks.settings import in_seconds
from airflow_bda.links.bda import BdaInputLink, BdaOutputLink, link_job
from airflow_bda.operators.one_job import start_anew, start_once
from airflow_bda.service.outcomes import JobOutcome
from airflow_bda.service.request.request import request_warnings
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.triggers.bda import STILL_RUNNING, BdaStatusTrigger, belongs_to_an_earlier_try, check_storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_bda.service.request.request import InvocationRequest

OUTPUT_METADATA_URI = "output_metadata_uri"


class BdaInvokeOperator(SafeLogging, AwsBaseOperator[BdaHook]):
    """
    Start a data automation job for one document, image, audio or video file.

    However often the task is tried, killed or interrupted, the document has one job and one bill: a retry finds the
    job that an earlier try started. Clearing a finished task starts a new one. BDA cannot cancel a job; one that was
    started runs to its end.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html

    :param input_s3_uri: the document, ``s3://bucket/key``; one object. (templated)
    :param output_s3_uri: where the service writes results, ``s3://bucket/prefix``; trailing slashes are taken off,
        since the service would write ``//``. (templated)
    :param project_arn: the data automation project that says what to extract. (templated)
    :param project_stage: ``LIVE`` or ``DEVELOPMENT``; None leaves the choice to the service. (templated)
    :param blueprints: up to 40 blueprints, each an ARN or a dictionary of ``blueprintArn``, ``version`` and ``stage``.
        (templated)
    :param profile_arn: the data automation profile; None derives it from the connection's region and account.
        (templated)
    :param video_segment: the part of a video to process: ``{"startTimeMillis": ..., "endTimeMillis": ...}`` in
        milliseconds, five minutes at least. (templated)
    :param event_bridge_enabled: whether the service sends the job's events to EventBridge; None sends nothing.
    :param kms_key_id: the KMS key that encrypts the job's data. (templated)
    :param kms_encryption_context: up to ten pairs that bind the key's use; needs *kms_key_id*. (templated)
    :param tags: the invocation's tags, a dictionary or a list of ``{"key": ..., "value": ...}``. (templated)
    :param client_token: the idempotency token, 2 to 256 letters, digits and inner hyphens; None derives one from the
        task instance and the request. (templated)
    :param reattach: whether a retry finds the job of an earlier try (True, default). False starts a job in every try,
        each with a bill of its own.
    :param wait_for_completion: whether the task ends when the job does (True) or once it is started (False, default).
    :param poll_interval: seconds between looks at the job; None (default) looks often at first and less often as the
        job grows older.
    :param max_wait: how long submitting and waiting may take together; the default is one day. The job itself is not
        ended by it.
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
    operator_extra_links = (BdaOutputLink(), BdaInputLink())
    template_fields: Sequence[str] = aws_template_fields(
        "input_s3_uri",
        "output_s3_uri",
        "project_arn",
        "project_stage",
        "blueprints",
        "profile_arn",
        "video_segment",
        "kms_key_id",
        "kms_encryption_context",
        "tags",
        "client_token",
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
        input_s3_uri: str,
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
        client_token: str | None = None,
        reattach: bool = True,
        wait_for_completion: bool = False,
        poll_interval: float | timedelta | None = None,
        max_wait: timedelta = DEFAULT_MAX_WAIT,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_s3_uri = input_s3_uri
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
        self.client_token = client_token
        self.reattach = reattach
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.max_wait = max_wait
        self.deferrable = deferrable
        self._invocation_arn: str | None = None

    def execute(self, context: Context) -> str:
        """Start the job, and wait for it in the way that was asked for."""
        return self._run(context)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, deferred_in_try: int | None = None
    ) -> str:
        """Resume with what the trigger saw."""
        if belongs_to_an_earlier_try(context, deferred_in_try):
            return self._run(context)
        return self._conclude(context, JobOutcome.from_event(event))

    def on_kill(self) -> None:
        """Say that the job goes on: BDA cannot cancel."""
        if self._invocation_arn:
            self.log.warning(STILL_RUNNING, self._invocation_arn)

    def _run(self, context: Context) -> str:
        deadline = datetime.now(timezone.utc) + self.max_wait
        with task_errors():
            poll_interval = in_seconds(self.poll_interval)
            invocation_arn = self._start(context, deadline)
            self._invocation_arn = invocation_arn
            self.log.info("Invocation: %s", invocation_arn)
            link_job(context, invocation_arn, input_s3_uri=self.input_s3_uri, output_s3_uri=self.output_s3_uri)
            if not self.wait_for_completion:
                return invocation_arn
            if self.deferrable:
                self._defer(context, invocation_arn, deadline, poll_interval)
            outcome = self.hook.outcome(invocation_arn, deadline=deadline, poll_interval=poll_interval)
        return self._conclude(context, outcome)

    def _start(self, context: Context, deadline: datetime) -> str:
        request = self._request()
        for warning in request_warnings(request):
            self.log.warning(warning)
        self.log.info("Input: %s, output: %s", request.input_s3_uri, request.output_s3_uri)

        def submit(checked: InvocationRequest) -> str:
            return self.hook.submit(checked, deadline=deadline)

        if request.client_token:
            return submit(request)
        if not self.reattach:
            return start_anew(request, submit=submit)
        return start_once(request, context, submit=submit, last_state=self.hook.last_state)

    def _request(self) -> InvocationRequest:
        return self.hook.build_request(
            input_s3_uri=self.input_s3_uri,
            output_s3_uri=self.output_s3_uri,
            project_arn=self.project_arn,
            project_stage=self.project_stage,
            blueprints=self.blueprints,
            profile_arn=self.profile_arn,
            video_segment=self.video_segment,
            event_bridge_enabled=self.event_bridge_enabled,
            kms_key_id=self.kms_key_id,
            kms_encryption_context=self.kms_encryption_context,
            tags=self.tags,
            client_token=self.client_token,
        )

    def _defer(
        self, context: Context, invocation_arn: str, deadline: datetime, poll_interval: float | None
    ) -> NoReturn:
        check_storable(self.botocore_config)
        self.defer(
            trigger=BdaStatusTrigger(
                invocation_arn=invocation_arn,
                deadline=deadline.isoformat(),
                poll_interval=poll_interval,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
            kwargs={"deferred_in_try": context["ti"].try_number},
            # Airflow 3 does not hold a deferred task to its execution_timeout.
            timeout=self.execution_timeout,
        )
        raise AssertionError  # defer always raises

    def _conclude(self, context: Context, outcome: JobOutcome) -> str:
        with task_errors():
            uri = outcome.about(input_s3_uri=self.input_s3_uri).metadata_uri()
        self.log.info("Invocation %s succeeded: %s", outcome.invocation_arn, uri)
        context["ti"].xcom_push(key=OUTPUT_METADATA_URI, value=uri)
        return outcome.invocation_arn
