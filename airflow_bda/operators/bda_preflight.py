"""Check a setup before jobs are started, as a DAG's first task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import AwsBaseOperator, aws_template_fields
from airflow_bda.exceptions import BdaRequestFailException, task_errors
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, blueprint_arns
from airflow_bda.service.safe_values import SafeLogging

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_bda.access.preflight.findings import Subject


class BdaPreflightOperator(SafeLogging, TaskArguments, AwsBaseOperator[BdaHook]):
    """
    Check what data automation jobs will need, and fail before the first of them if it is not there.

    It runs the checks of ``airflow-bda doctor``: identity, region, profile, project, blueprints, buckets, input, key,
    permissions, quotas, versions. It reads only. What makes jobs fail fails the task, without a retry and with every
    fault in the error; what should be known is logged.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/userguide/bda.html

    :param input_s3_uri: a document, ``s3://bucket/key``, or all below ``s3://bucket/prefix/``. (templated)
    :param output_s3_uri: where results go, ``s3://bucket/prefix``. (templated)
    :param project_arn: the data automation project. (templated)
    :param project_stage: ``LIVE`` or ``DEVELOPMENT``; None looks at ``LIVE``. (templated)
    :param blueprints: a list of blueprints, as
        :class:`~airflow_bda.operators.BdaInvokeOperator` takes them. (templated)
    :param profile_arn: the data automation profile; None takes the region's own. (templated)
    :param kms_key_id: the KMS key that encrypts the jobs' data. (templated)
    :param write_probe: whether to write an empty object below *output_s3_uri* and delete it again; False by default.
    :param is_batch: whether the jobs are those of a :class:`~airflow_bda.operators.BdaBatchOperator`, which needs more
        permissions, and with *write_probe* a store that honours conditional writes; False by default.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: the checks, each with ``name``, ``level`` (``ok`` or ``hint``), ``text`` and ``remedy``.
    :raises BdaRequestError: lists the faults. Not retried.
    """

    aws_hook_class = BdaHook
    template_fields: Sequence[str] = aws_template_fields(
        "input_s3_uri",
        "output_s3_uri",
        "project_arn",
        "project_stage",
        "blueprints",
        "profile_arn",
        "kms_key_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"blueprints": "json"}
    ui_color = "#dcebf9"

    def __init__(  # noqa: PLR0913  what a job's request names
        self,
        *,
        input_s3_uri: str | None = None,
        output_s3_uri: str | None = None,
        project_arn: str | None = None,
        project_stage: str | None = None,
        blueprints: Sequence[str | Mapping[str, str]] = (),
        profile_arn: str | None = None,
        kms_key_id: str | None = None,
        write_probe: bool = False,
        is_batch: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_s3_uri = input_s3_uri
        self.output_s3_uri = output_s3_uri
        self.project_arn = project_arn
        self.project_stage = project_stage
        self.blueprints = blueprints
        self.profile_arn = profile_arn
        self.kms_key_id = kms_key_id
        self.write_probe = write_probe
        self.is_batch = is_batch

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002  the signature is Airflow's
        """Look at everything, log it, and fail for what makes jobs fail."""
        with task_errors():
            self.check_arguments(with_request=True)
        subject = self._subject()
        self.log.info("Looking at what jobs need: input %s, output %s", self.input_s3_uri, self.output_s3_uri)
        report = self.hook.preflight(subject)
        for check in report.checks:
            (self.log.info if check.level == "ok" else self.log.warning)("%s", check)
        if report.faults:
            raise BdaRequestFailException(
                f"Jobs would fail: {len(report.faults)} of {len(report.checks)} checks found a fault.",
                problems=[f"{fault.name}: {fault.text} {fault.remedy}".rstrip() for fault in report.faults],
            )
        return report.to_json()

    def _subject(self) -> Subject:
        from airflow_bda.access.preflight.findings import Subject

        try:
            return Subject(
                input_uri=self.input_s3_uri,
                output_uri=self.output_s3_uri,
                project_arn=self.project_arn,
                stage=self.project_stage,
                blueprint_arns=blueprint_arns(self.blueprints),
                profile_arn=self.profile_arn,
                kms_key=self.kms_key_id,
                write_probe=self.write_probe,
                is_batch=self.is_batch,
            )
        except ValueError as error:
            raise BdaRequestFailException("The preflight has nothing to look at.", problems=[str(error)]) from error
