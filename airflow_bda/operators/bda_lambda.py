"""Start a data automation job by the Lambda function, exactly once per document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.lambda_function import LambdaInvokeFunctionOperator
from botocore.exceptions import BotoCoreError, ClientError

from airflow_bda.exceptions import task_errors
from airflow_bda.hooks import telemetry
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.operators.bda import BdaJobOperator
from airflow_bda.service.aws_errors import Failure, call_error, classify
from airflow_bda.service.errors import BdaConnectionError, BdaError
from airflow_bda.service.lambda_interface import INVOCATION_ARN, NOT_FOUND, Answer, invoke_event
from airflow_bda.service.request.request import build_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_bda.service.request.request import InvocationRequest
    from airflow_bda.service.statuses import JobState

_REMEDY_OF_FAILURE = {
    Failure.PERMISSION: "Allow lambda:InvokeFunction on the function to the identity of the connection.",
    Failure.NOT_FOUND: "Check function_name and qualifier, and that the function is in the connection's region.",
    Failure.BUSY: "Let the task retry; raise the function's concurrency if it keeps failing.",
}
_FUNCTION_RAISED = (
    "Its log tells more. A retry of the task sends the same event with the same token, so it starts no second job."
)


class BdaLambdaInvokeOperator(BdaJobOperator, LambdaInvokeFunctionOperator):
    """
    Have the Lambda function of ``airflow-bda lambda package`` start a data automation job for one file.

    For those whose workers may invoke a function, and not BDA itself. It keeps the promise of
    :class:`~airflow_bda.operators.BdaInvokeOperator`: however often the task is tried, killed or interrupted, the
    document has one job, and clearing the task starts a new one. :class:`~airflow_bda.sensors.BdaStatusSensor` follows
    as usual.

    The request's arguments are those of :class:`~airflow_bda.operators.bda.BdaJobOperator`; without
    *profile_arn*, the function finds its own profile.

    .. seealso::
        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html

    :param function_name: the function's name or ARN. (templated)
    :param qualifier: a version or alias of the function. (templated)
    :param log_type: ``Tail`` to have the end of the function's log in the task's.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary; its ``read_timeout`` should not be shorter
        than the function's time-out.
    :return: the invocation's ARN.
    :raises BdaRequestError: the request is wrong; names every problem. Not retried.
    :raises BdaPermissionError: the function may not be invoked, does not do what was asked for, or was refused by BDA.
    :raises BdaConnectionError: the function could not be reached, raised an error, or was throttled.
    """

    template_fields: Sequence[str] = ("function_name", "qualifier", *BdaJobOperator.template_fields)

    def execute(self, context: Context) -> str:
        """Start the job by the function, or find the one of an earlier try."""
        with task_errors(), telemetry.failures():
            self.check_arguments()
            request = build_request(**self.request_arguments())
            self.log.info("Input: %s, output: %s", request.input_s3_uri, request.output_s3_uri)
            self.log.info("Function: %s", self.function_name)
            job = self.start_or_find(context, request, submit=self._submit, last_state=self._last_state)
        self.note_end(context, invocation_arn=job.invocation_arn, output_s3_uri=request.output_s3_uri)
        return job.invocation_arn

    def emulator_url(self) -> str | None:
        """Return where the emulator's pages are: its function starts jobs there too."""
        return BdaHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name).emulator_url

    def _submit(self, request: InvocationRequest) -> str:
        answer = self._ask(invoke_event(request))
        for warning in answer.warnings:
            self.log.warning(warning)
        try:
            return answer.invocation_arn()
        except BdaError as error:
            raise error.about(input_s3_uri=request.input_s3_uri) from None

    def _last_state(self, invocation_arn: str) -> JobState | None:
        """Ask the function for the state of an earlier try's job; None where it is not known."""
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
        if response.get("LogResult"):
            for line in self.hook.encode_log_result(response["LogResult"], keep_empty_lines=False) or ():
                self.log.info("%s: %s", self.function_name, line)
        if "FunctionError" in response:
            raise _unhandled_error(self.function_name, payload)
        return Answer.parse(payload, self.function_name)


def _unhandled_error(function_name: str, payload: bytes) -> BdaConnectionError:
    try:
        failure = dict(json.loads(payload))
    except (TypeError, ValueError):
        failure = {}
    return BdaConnectionError(
        f"The Lambda function {function_name} raised an unhandled error.",
        error_type=failure.get("errorType"),
        error_message=failure.get("errorMessage"),
        remedy=_FUNCTION_RAISED,
    )
