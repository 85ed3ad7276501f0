"""Making projects and blueprints follow files, as a task."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_bda._compat import AwsBaseOperator, aws_template_fields
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, flag, list_of, one_of, required_text
from airflow_bda.service.safe_values import SafeLogging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import Context


def _file(value: Any) -> str:
    return required_text(str(value) if isinstance(value, Path) else value)


class BdaApplyProjectOperator(SafeLogging, TaskArguments, AwsBaseOperator[BdaHook]):
    """
    Make data automation projects and blueprints follow JSON files: create, update, version and promote them.

    It does what ``airflow-bda project apply`` does. The plan is logged before the first change. A second run, and a
    retry, change only what is not as the files say. Nothing is ever deleted. Run one at a time for the same files
    (``max_active_runs=1``): of two at once with different contents, the later one wins.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/userguide/bda-projects.html

    :param files: the files: absolute paths, or paths from the folder of the DAG file. (templated)
    :param stage: ``LIVE``, the default, or ``DEVELOPMENT``. (templated)
    :param plan_only: whether to log the plan and change nothing; False by default.
    :param make_versions: whether a blueprint whose LIVE schema changed gets a version; True by default.
    :param max_wait: how long to wait for the projects to be ``COMPLETED``, at most: seconds or a timedelta; 10 minutes
        by default.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: ``project_arn`` (where the files have one project), ``project_stage``, ``project_arns``,
        ``blueprint_arns`` and ``blueprint_versions`` by name, and ``changes``, a line each. With *plan_only* these are
        the ARNs that there are, and the changes that would be made.
    :raises BdaRequestError: lists all that is wrong with the files, or does not fit the account. Not retried.
    :raises BdaError: when a step fails. The next try continues from there.
    """

    aws_hook_class = BdaHook
    template_fields: Sequence[str] = aws_template_fields("files", "stage")
    ui_color = "#dcebf9"
    argument_checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
        {
            "files": lambda value: list_of([value] if isinstance(value, str | Path) else value, _file),
            "stage": one_of("LIVE", "DEVELOPMENT"),
            "plan_only": flag,
            "make_versions": flag,
        }
    )

    def __init__(
        self,
        *,
        files: Sequence[str | Path] | str | Path,
        stage: str = "LIVE",
        plan_only: bool = False,
        make_versions: bool = True,
        max_wait: float | timedelta = timedelta(minutes=10),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.files = files
        self.stage = stage
        self.plan_only = plan_only
        self.make_versions = make_versions
        self.max_wait = max_wait

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  the signature is Airflow's
        """Plan, log the plan, and carry it out."""
        from airflow_bda.projects.files import read_files

        with task_errors():
            self.check_arguments()
            paths = [self._folder() / file for file in cast("list[str]", self.files)]
            self.log.info("Files: %s; stage: %s", ", ".join(map(str, paths)), self.stage)
            files = read_files(paths)
            plan = self.hook.plan_files(files, stage=self.stage, with_versions=self.make_versions)
            for line in plan.lines():
                self.log.info("%s", line)
            if self.plan_only:
                self.log.info("Only the plan was asked for: nothing was changed.")
                return plan.to_dict()
            return self.hook.apply_files(plan, max_wait=self.max_wait).to_dict()

    def _folder(self) -> Path:
        dag = self.get_dag()
        return Path(dag.fileloc).parent if dag is not None else Path()
