"""Processing a small document while the task waits for the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import AwsBaseOperator, aws_template_fields
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks import telemetry
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, optional_text
from airflow_bda.hooks.telemetry import LineageMixin
from airflow_bda.operators.bda import OUTPUT_METADATA_URI
from airflow_bda.service.errors import BdaError, BdaRequestError
from airflow_bda.service.safe_values import SafeLogging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

_MAX_WAIT_SECONDS = 600


class BdaInvokeSyncOperator(SafeLogging, LineageMixin, TaskArguments, AwsBaseOperator[BdaHook]):
    """
    Have a small document processed while the task waits (``InvokeDataAutomation``): 10 pages and 50 MB at most.

    The arguments are called as those of ``BdaInvokeOperator``, are checked by the same rules, and the results are read
    by the same classes. The service writes them to S3, since what a document says has no place in an XCom. To have
    them in the answer, call :meth:`airflow_bda.hooks.BdaHook.invoke_sync` in a task of your own.

    .. warning::
        The call takes no client token. A retry, whatever for, sends it again, and is billed again. For one bill
        whatever happens use ``BdaInvokeOperator(wait_for_completion=True)``.

    Needs the permission ``bedrock:InvokeDataAutomation``, and a boto3 that knows the call: 1.42.61 does, 1.39.11 does
    not.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomation.html

    :param input_s3_uri: the document, ``s3://bucket/key``. (templated)
    :param input_file: or a file of the worker, whose bytes are sent. (templated)
    :param input_bytes: or the bytes themselves; a file is better named, since Airflow reads DAG files again and again.
    :param output_s3_uri: where the service writes results, ``s3://bucket/prefix``. (templated)
    :param project_arn: a data automation project of the type ``SYNC``; this or *blueprints*. (templated)
    :param project_stage: ``LIVE`` or ``DEVELOPMENT``; None leaves the choice to the service. (templated)
    :param blueprints: up to 40 blueprints, each an ARN or a dictionary of ``blueprintArn``, ``version`` and ``stage``.
        (templated)
    :param profile_arn: the data automation profile; None derives it from the region and the account. (templated)
    :param kms_key_id: the KMS key that encrypts the data. (templated)
    :param kms_encryption_context: up to ten pairs that bind the key's use; needs *kms_key_id*. (templated)
    :param max_wait: how long throttling is waited out, as a timedelta or in seconds; the default is ten minutes.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary. Its ``retries`` count for nothing here.
    :return: the URI of ``job_metadata.json``, which is the XCom ``output_metadata_uri`` too.
    :raises BdaRequestError: nothing was sent; names every problem, or that botocore is too old. Not retried.
    :raises BdaError: when the call failed; see the warning before you set ``retries``.
    """

    aws_hook_class = BdaHook
    template_fields: Sequence[str] = aws_template_fields(
        "input_s3_uri",
        "input_file",
        "output_s3_uri",
        "project_arn",
        "project_stage",
        "blueprints",
        "profile_arn",
        "kms_key_id",
        "kms_encryption_context",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"blueprints": "json", "kms_encryption_context": "json"}
    argument_checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"input_file": optional_text}
    ui_color = "#dcebf9"

    def __init__(  # noqa: PLR0913  the members of the API's request
        self,
        *,
        output_s3_uri: str,
        input_s3_uri: str | None = None,
        input_file: str | None = None,
        input_bytes: bytes | None = None,
        project_arn: str | None = None,
        project_stage: str | None = None,
        blueprints: Sequence[str | Mapping[str, str]] | None = None,
        profile_arn: str | None = None,
        kms_key_id: str | None = None,
        kms_encryption_context: Mapping[str, str] | None = None,
        max_wait: float | timedelta = _MAX_WAIT_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_s3_uri = output_s3_uri
        self.input_s3_uri = input_s3_uri
        self.input_file = input_file
        self.input_bytes = input_bytes
        self.project_arn = project_arn
        self.project_stage = project_stage
        self.blueprints = blueprints
        self.profile_arn = profile_arn
        self.kms_key_id = kms_key_id
        self.kms_encryption_context = kms_encryption_context
        self.max_wait = max_wait

    def execute(self, context: Context) -> str:
        """Make the call, and return where the results are."""
        with task_errors(), telemetry.failures():
            self.check_arguments()
            if not self.output_s3_uri:
                raise BdaRequestError(
                    "The request was not sent: output_s3_uri is missing.",
                    remedy="Name a prefix for the results, or call BdaHook.invoke_sync() in a task of your own.",
                )
            self.log.info("Input: %s, output: %s", self.input_s3_uri or self.input_file or "bytes", self.output_s3_uri)
            answer = self.hook.invoke_sync(
                max_wait=self.max_wait,
                input_s3_uri=self.input_s3_uri,
                input_bytes=self._bytes(),
                output_s3_uri=self.output_s3_uri,
                project_arn=self.project_arn,
                project_stage=self.project_stage,
                blueprints=self.blueprints,
                profile_arn=self.profile_arn,
                kms_key_id=self.kms_key_id,
                kms_encryption_context=self.kms_encryption_context,
            )
            telemetry.started()
            uri = answer.output_metadata_uri
            if uri is None:
                raise BdaError(
                    "The service answered without saying where the results are, though output_s3_uri was given.",
                    remedy=f"Look for them under {self.output_s3_uri}.",
                    input_s3_uri=self.input_s3_uri,
                )
        telemetry.succeeded()
        self.log.info("Results: %s", uri)
        context["ti"].xcom_push(key=OUTPUT_METADATA_URI, value=uri)
        self.note_end(
            context, input_s3_uri=self.input_s3_uri, output_s3_uri=self.output_s3_uri, output_metadata_uri=uri
        )
        return uri

    def _bytes(self) -> bytes | None:
        """Return the document's bytes, where it is not on S3."""
        if self.input_file is None:
            return self.input_bytes
        if self.input_bytes is not None:
            raise BdaRequestError("The request was not sent.", problems=["input_file and input_bytes are both given."])
        from airflow_bda.service.request.sync_request import MOST_BYTES

        try:
            with Path(self.input_file).open("rb") as file:
                return file.read(MOST_BYTES + 1)
        except OSError as error:
            raise BdaRequestError("The request was not sent.", problems=[f"input_file: {error}."]) from error
