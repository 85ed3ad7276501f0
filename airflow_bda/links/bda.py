"""
The extra links of operators and sensor: a job's output folder and its input object in the AWS console, and reports.

Where the connection leads to the emulator, the links lead to its page of the job.

A link is stored as the XCom that Airflow 3's web server reads links from, as soon as the job is known. So it is there
while the task runs, while it is deferred, and when it has failed; Airflow itself would store it at the task's end only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda._compat import BaseOperatorLink, pull_link, push_link, read_link
from airflow_bda.service.arns import Arn
from airflow_bda.service.s3 import S3Uri, folder_url, object_url
from airflow_bda.service.safe_values import safe_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = safe_logger(__name__)

_RETURN_VALUE = "return_value"


class BdaOutputLink(BaseOperatorLink):
    """The folder that the job writes its results to."""

    name = "BDA output folder"
    xcom_key = "_link_BdaOutputLink"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  the signature is Airflow's
        """Return the address, or an empty text where none is known."""
        return _stored(self.xcom_key, ti_key)


class BdaInputLink(BaseOperatorLink):
    """The object that the job reads."""

    name = "BDA input object"
    xcom_key = "_link_BdaInputLink"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  the signature is Airflow's
        """Return the address, or an empty text where none is known."""
        return _stored(self.xcom_key, ti_key)


class BdaReportLink(BaseOperatorLink):
    """The report on what was found, where one was written."""

    name = "BDA report"
    xcom_key = "_link_BdaReportLink"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  the signature is Airflow's
        """Return the address, or an empty text where none is known."""
        return _stored(self.xcom_key, ti_key)


_EMULATORS_JOBS = "/_bda/jobs/"
_KEYS = (BdaOutputLink.xcom_key, BdaInputLink.xcom_key)


def link_job(
    context: Mapping[str, Any],
    invocation_arn: str,
    *,
    input_s3_uri: str,
    output_s3_uri: str,
    emulator_url: str | None = None,
) -> None:
    """
    Link the task to its job, from the moment at which the job is started.

    :param output_s3_uri: as in the request; the job's folder in it is named by the job's id.
    :param emulator_url: where the emulator's pages are, for a job of its own.
    """
    job = _parsed(invocation_arn)
    if job is None:
        return
    if emulator_url:
        for key in _KEYS:
            _store(context, key, f"{emulator_url}{_EMULATORS_JOBS}{job.resource_id}")
        return
    place = {"region": job.region, "partition": job.partition}
    folder = S3Uri.parse(f"{output_s3_uri.rstrip('/')}/{job.resource_id}")
    _store(context, BdaOutputLink.xcom_key, folder_url(folder, **place))
    _store(context, BdaInputLink.xcom_key, object_url(S3Uri.parse(input_s3_uri), **place))


def link_results(
    context: Mapping[str, Any], invocation_arn: str, metadata_uri: str | None, *, emulator_url: str | None = None
) -> None:
    """
    Link the task to where its job's results are.

    :param metadata_uri: the URI of ``job_metadata.json``, which lies in the job's folder.
    :param emulator_url: where the emulator's pages are, for a job of its own.
    """
    job = _parsed(invocation_arn)
    if job is None or not metadata_uri:
        return
    if emulator_url:
        _store(context, BdaOutputLink.xcom_key, f"{emulator_url}{_EMULATORS_JOBS}{job.resource_id}")
        return
    metadata = S3Uri.parse(metadata_uri)
    folder = S3Uri(metadata.bucket, metadata.key.rpartition("/")[0])
    _store(context, BdaOutputLink.xcom_key, folder_url(folder, region=job.region, partition=job.partition))


def link_report(context: Mapping[str, Any], report_uri: str | None, *, job_ids: Sequence[str] = (), hook: Any) -> None:
    """
    Link the task to a report.

    :param report_uri: where the report is on S3; None stores an empty text, which hides the link.
    :param job_ids: the jobs that it is on, as far as they are known: the emulator makes such a report by itself.
    :param hook: says where the report is: on AWS, in which region, or on the emulator.
    """
    url: str | None = ""
    if report_uri and (emulator_url := hook.emulator_url):
        # The emulator runs no script of a page that is stored as an object.
        url = f"{emulator_url}{_EMULATORS_JOBS}{','.join(job_ids)}/report" if job_ids else f"{emulator_url}/_bda/"
    elif report_uri:
        place = {"region": hook.conn_region_name, "partition": hook.conn_partition}
        url = object_url(S3Uri.parse(report_uri), **place)
    _store(context, BdaReportLink.xcom_key, url)


def link_like_upstream(context: Mapping[str, Any], task: Any, invocation_arn: str) -> None:
    """
    Copy to a task that waits for a job the links of the task before it that started the job.

    The service does not return where a running job reads and writes, and a link does not justify a call.
    """
    try:
        links = _links_of_starter(context["ti"], task, invocation_arn)
    except Exception:  # whatever an XCom backend raises, the waiting needs no links
        log.warning("The links of the tasks before this one could not be read.", exc_info=True)
        return
    for key in _KEYS:
        # An empty text where nothing is known: Airflow 3 would look for one that is missing, and log an error.
        _store(context, key, links.get(key) or "")


def _links_of_starter(ti: Any, task: Any, invocation_arn: str) -> dict[str, str | None]:
    for task_id in sorted(task.upstream_task_ids):
        links = task.dag.get_task(task_id).operator_extra_links
        if not any(isinstance(link, BdaOutputLink) for link in links):
            continue
        # A mapped task follows the instance with its own index; what is not mapped has the index -1.
        for index in dict.fromkeys((-1 if ti.map_index is None else ti.map_index, -1)):
            if ti.xcom_pull(task_ids=task_id, key=_RETURN_VALUE, map_indexes=index) == invocation_arn:
                return {key: pull_link(ti, task_id, key, index) for key in _KEYS}
    return {}


def _parsed(invocation_arn: str) -> Arn | None:
    try:
        return Arn.parse(invocation_arn)
    except ValueError:
        return None


def _store(context: Mapping[str, Any], key: str, url: str | None) -> None:
    if url is None:
        return
    try:
        push_link(context["ti"], key, url)
    except Exception:  # whatever an XCom backend raises: a link must not fail a task whose job is running
        log.warning("The link %s could not be stored.", key, exc_info=True)


def _stored(key: str, ti_key: Any) -> str:
    try:
        return str(read_link(key, ti_key) or "")
    except Exception:  # Airflow 3.0 asks for links when a task ends, and lets the task fail of what is raised
        log.warning("The link %s could not be read.", key, exc_info=True)
        return ""
