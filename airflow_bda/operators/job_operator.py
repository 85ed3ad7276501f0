"""What every operator that starts a job has in common: its arguments, its request, and the one job that it is about."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import aws_template_fields
from airflow_bda.hooks import metrics
from airflow_bda.hooks.lineage import LineageMixin
from airflow_bda.hooks.task_arguments import TaskArguments
from airflow_bda.links.bda import BdaInputLink, BdaOutputLink, link_job
from airflow_bda.operators.one_job import Job, start_or_find
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.triggers.bda import STILL_RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        starts = metrics.Starts(submit)
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
        """Log that the job goes on: BDA cannot cancel."""
        if self._invocation_arn:
            self.log.warning(STILL_RUNNING, self._invocation_arn)

    def _is_about(self, invocation_arn: str) -> None:
        self._invocation_arn = invocation_arn
