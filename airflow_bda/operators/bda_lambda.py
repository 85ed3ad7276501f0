"""Starting a data automation job by way of the Lambda function, exactly once per document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.operators.lambda_function import LambdaInvokeFunctionOperator
from botocore.exceptions import BotoCoreError, ClientError

from airflow_bda._compat import aws_template_fields
from airflow_bda.exceptions import task_errors
from airflow_bda.links.bda import BdaInputLink, BdaOutputLink, link_job
from airflow_bda.operators.one_job import start_anew, start_once
from airflow_bda.service.aws_errors import Failure, call_error, classify
from airflow_bda.service.errors import BdaConnectionError, BdaError
from airflow_bda.service.lambda_interface import INVOCATION_ARN, NOT_FOUND, Answer, invoke_event
from airflow_bda.service.profiles import derive_profile_arn
from airflow_bda.service.safe_values import SafeLogging
from airflow_bda.triggers.bda import STILL_RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

# Stands for the function's own profile, which only the function knows, when the rest of a request is checked.
_STAND_IN_PROFILE = derive_profile_arn(region="us-east-1", account="000000000000")
_REMEDY_OF_FAILURE = {
    Failure.PERMISSION: "Allow lambda:InvokeFunction on the function to the identity of the connection.",
    Failure.NOT_FOUND: "Check function_name and qualifier, and that the function is in the connection's region.",
    Failure.BUSY: "Let the task retry; raise the function's concurrency if it goes on.",
}
_FUNCTION_FELL_OVER = (
    "Its log tells more. A retry of the task sends the same event with the same token, so it starts no second job."
)


class BdaLambdaInvokeOperator(SafeLogging, LambdaInvokeFunctionOperator):
    """
    Have the Lambda function of ``airflow-bda lambda package`` start a data automation job for one file.

    For those whose workers may invoke a function, and not BDA itself. It keeps the promise of
    :class:`~airflow_bda.operators.BdaInvokeOperator`: however often the task is tried, killed or interrupted, the
    document has one job, and clearing a finished task starts a new one. :class:`~airflow_bda.sensors.BdaStatusSensor`
    follows as usual.

    .. seealso::
        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html

    :param function_name: the function's name or ARN. (templated)
    :param qualifier: a version or alias of the function. (templated)
    :param input_s3_uri: the document, ``s3://bucket/key``; one object. (templated)
    :param output_s3_uri: where the service writes results, ``s3://bucket/prefix``. (templated)
    :param project_arn: the data automation project that says what to extract. (templated)
    :param project_stage: ``LIVE`` or ``DEVELOPMENT``; None leaves the choice to the service. (templated)
    :param blueprints: up to 40 blueprints, each an ARN or a dictionary of ``blueprintArn``, ``version`` and ``stage``.
        (templated)
    :param profile_arn: the data automation profile; None lets the function find its own. (templated)
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
    :param log_type: ``Tail`` to have the end of the function's log in the task's.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary; its ``read_timeout`` should be no shorter
        than the function's time-out.
    :return: the invocation's ARN.
    :raises BdaRequestError: the request is wrong; names every problem. Not retried.
    :raises BdaPermissionError: the function may not be invoked, does not do what was asked for, or was refused by BDA.
    :raises BdaConnectionError: the function could not be reached, fell over, or was throttled.
    """

    operator_extra_links = (BdaOutputLink(), BdaInputLink())
    template_fields: Sequence[str] = aws_template_fields(
        "function_name",
        "qualifier",
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
        self._invocation_arn: str | None = None

    def execute(self, context: Context) -> str:
        """Have the job started, or found."""
        with task_errors():
            request = self._request()
            self.log.info(
                "Function: %s, input: %s, output: %s", self.function_name, request.input_s3_uri, request.output_s3_uri
            )
            if request.client_token:
                invocation_arn = self._submit(request)
            elif self.reattach:
                invocation_arn = start_once(request, context, submit=self._submit, last_state=self._last_state)
            else:
                invocation_arn = start_anew(request, submit=self._submit)
        self._invocation_arn = invocation_arn
        self.log.info("Invocation: %s", invocation_arn)
        link_job(context, invocation_arn, input_s3_uri=self.input_s3_uri, output_s3_uri=self.output_s3_uri)
        return invocation_arn

    def on_kill(self) -> None:
        """Say that the job goes on: BDA cannot cancel."""
        if self._invocation_arn:
            self.log.warning(STILL_RUNNING, self._invocation_arn)

    def _request(self) -> InvocationRequest:
        from airflow_bda.service.request.request import build_request

        return build_request(
            input_s3_uri=self.input_s3_uri,
            output_s3_uri=self.output_s3_uri,
            project_arn=self.project_arn,
            project_stage=self.project_stage,
            blueprints=self.blueprints,
            profile_arn=self.profile_arn or _STAND_IN_PROFILE,
            video_segment=self.video_segment,
            event_bridge_enabled=self.event_bridge_enabled,
            kms_key_id=self.kms_key_id,
            kms_encryption_context=self.kms_encryption_context,
            tags=self.tags,
            client_token=self.client_token,
        )

    def _submit(self, request: InvocationRequest) -> str:
        answer = self._ask(invoke_event(request, with_profile=self.profile_arn is not None))
        for warning in answer.warnings:
            self.log.warning(warning)
        try:
            return answer.invocation_arn()
        except BdaError as error:
            raise error.about(input_s3_uri=request.input_s3_uri) from None

    def _last_state(self, invocation_arn: str) -> JobState | None:
        """Ask the function how an earlier try's job stands; None where nobody can tell."""
        answer = self._ask({INVOCATION_ARN: invocation_arn})
        if answer.code == NOT_FOUND:
            return None
        try:
            return answer.state(invocation_arn)
        except BdaConnectionError as error:
            self.log.warning("The earlier job's state is not known: %s", error)
            return None

    def _ask(self, event: dict[str, Any]) -> Answer:
        # Not by the parent's execute: it logs the whole event, with the encryption context.
        try:
            response = self.hook.invoke_lambda(
                function_name=self.function_name,
                qualifier=self.qualifier,
                invocation_type="RequestResponse",
                log_type=self.log_type,
                client_context=self.client_context,
                payload=json.dumps(event),
            )
            payload = response["Payload"].read()
        except (ClientError, BotoCoreError, OSError) as error:
            raise call_error(
                error,
                operation=f"Invoking the Lambda function {self.function_name}",
                remedy=_REMEDY_OF_FAILURE.get(classify(error)),
            ) from error
        self._show_log(response)
        if "FunctionError" in response:
            raise _fell_over(self.function_name, payload)
        return Answer.parse(payload, self.function_name)

    def _show_log(self, response: Mapping[str, Any]) -> None:
        if response.get("LogResult"):
            for line in self.hook.encode_log_result(response["LogResult"], keep_empty_lines=False) or ():
                self.log.info("%s: %s", self.function_name, line)


def _fell_over(function_name: str, payload: bytes) -> BdaConnectionError:
    try:
        failure = dict(json.loads(payload))
    except (TypeError, ValueError):
        failure = {}
    return BdaConnectionError(
        f"The Lambda function {function_name} fell over.",
        error_type=failure.get("errorType"),
        error_message=failure.get("errorMessage"),
        remedy=_FUNCTION_FELL_OVER,
    )
