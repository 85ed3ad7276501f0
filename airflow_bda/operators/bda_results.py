"""Write the results of jobs as tables on S3."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import ClientError

from airflow_bda._compat import AwsBaseOperator, aws_template_fields
from airflow_bda.exceptions import BdaRequestFailException, task_errors
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, flag, list_of, number, one_of, optional_text, s3_uri
from airflow_bda.hooks.telemetry import LineageMixin
from airflow_bda.links.bda import BdaReportLink, link_report
from airflow_bda.service import json_reading
from airflow_bda.service.arguments import as_text
from airflow_bda.service.results.rows import FIELDS, SEGMENTS, rows_of_job
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.safe_values import SafeLogging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_bda.service.results.job_result import JobResult

_FORMATS = ("jsonl", "parquet")
_ON_NO_MATCH = ("warn", "fail", "ignore")
# Jobs that are fetched ahead while rows are written. Each has a few megabytes in memory, the rest on disk.
_AHEAD = 4
_MOST_NAMED = 10
# A report is one file, which a browser has in memory: a picture of a page has about 100 KB.
_MOST_REPORTED, _MOST_PICTURES = 20, 100
_MOST_INPUT_BYTES = 100 * 1024 * 1024
_UNSAFE = re.compile(r"[^A-Za-z0-9._=-]+")


@dataclass(frozen=True)
class _Job:
    metadata_uri: str
    invocation_arn: str | None = None


def _check_result_uri(value: Any) -> str | dict[str, Any]:
    """Check one item of *metadata_uris*: a URI, or a mapping that has one."""
    if not isinstance(value, Mapping):
        if isinstance(value, str) and value.startswith("arn:"):
            raise ValueError(
                "it is an ARN; expected the URI of a job_metadata.json, as the sensor returns it and BdaInvokeOperator "
                "pushes it as output_metadata_uri: invoke.output['output_metadata_uri']"
            )
        return s3_uri(value, of_object=True)
    name = "results_uri" if value.get("results_uri") else "output_metadata_uri"
    try:
        checked = {name: s3_uri(value.get(name), of_object=True)}
    except ValueError as error:
        raise ValueError(f"it names no job_metadata.json as {name}: {error}") from None
    return {**value, **checked, "invocation_arn": optional_text(value.get("invocation_arn"))}


def _check_result_uris(value: Any) -> list[Any]:
    value = as_text(value)
    if isinstance(value, Mapping) or (isinstance(value, str) and not value.strip().startswith("[")):
        return [_check_result_uri(value)]
    return list_of(value, lambda item: None if item is None else _check_result_uri(item))


def _check_confidence(value: Any) -> float | None:
    if value is None:
        return None
    confidence: float = number(value, "a number from 0 to 1, or None", fits=lambda it: 0 <= it <= 1)
    return confidence


class BdaResultsOperator(SafeLogging, TaskArguments, LineageMixin, AwsBaseOperator[BdaHook]):
    """
    Write the results of data automation jobs as two tables on S3.

    ``<output_s3_uri>/segments/date=<day>/`` gets one row for each segment of each document, with its pages, class,
    blueprint, status, text, summary, and the lowest and the mean confidence of its fields;
    ``<output_s3_uri>/fields/date=<day>/`` one row for each value of each field, with its path, type, confidence, page
    and box, and whether it was found. Both load as they are into Athena, DuckDB and pandas.

    A file's name comes from the DAG, the task and the run's date. So a retry, a cleared task, and another run for the
    same date replace the file, and never add to it.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/userguide/bda-output-documents.html

    :param metadata_uris: what to read: the URI of a ``job_metadata.json`` (as the sensor returns it), several of them,
        the output of a mapped task, or the manifest of a batch (the output of ``BdaBatchOperator``, or the URI of its
        ``manifest.json`` or ``results.jsonl``), or several, as the shards of a batch have. Items may be dictionaries
        with ``output_metadata_uri`` and ``invocation_arn``. None in a list, as a skipped task leaves it, is passed
        over. (templated)
    :param output_s3_uri: where the tables are, ``s3://bucket/prefix``. (templated)
    :param format: ``jsonl`` (default) or ``parquet``, which needs the extra ``parquet``.
    :param min_confidence: leave out fields with a confidence below this, 0 to 1; one without a confidence stays, and
        the XCom counts what was left out. None writes all.
    :param on_no_match: what to do about segments that no blueprint fits: ``warn`` (default), ``fail`` (nothing is
        written) or ``ignore``.
    :param partition: the partition, in place of the day of the run's logical date (of the time it ran after, where a
        run has none). All rows of one task in one partition are one file. (templated)
    :param report: whether to write a report as well, ``<output_s3_uri>/reports/date=<day>/``: one HTML page of the 20
        documents with the lowest confidences, to which the task gets the link "BDA report". It holds pictures of at
        most 100 pages, for which the extra ``report`` is needed. The default is False.
    :param asset_partitions: on Airflow 3.3 and later, whether the event of each asset among the task's ``outlets`` has
        the partition as its key. Then it starts only those DAGs that are scheduled by partitions; the default is False.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: ``segments_uri`` and ``fields_uri``, ``report_uri`` where there is one, ``partition``, ``format``, and the
        counts ``jobs``, ``pages``, ``segments``, ``fields``, ``fields_left_out``, ``matched``, ``fallback`` and
        ``unmatched``.
    :raises BdaRequestError: for arguments that make no sense, and for segments without a blueprint where they shall
        fail. Not retried.
    :raises BdaError: when a file cannot be read; it names the file.
    """

    aws_hook_class = BdaHook
    operator_extra_links = (BdaReportLink(),)
    template_fields: Sequence[str] = aws_template_fields("metadata_uris", "output_s3_uri", "partition")
    argument_checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
        {
            "metadata_uris": _check_result_uris,
            "output_s3_uri": s3_uri,
            "format": one_of(*_FORMATS),
            "min_confidence": _check_confidence,
            "on_no_match": one_of(*_ON_NO_MATCH),
            "partition": optional_text,
            "report": flag,
            "asset_partitions": flag,
        }
    )
    ui_color = "#dcebf9"

    def __init__(  # noqa: PLR0913  what a table can be asked for
        self,
        *,
        metadata_uris: str | Mapping[str, Any] | Iterable[str | Mapping[str, Any] | None],
        output_s3_uri: str,
        format: str = "jsonl",  # noqa: A002  what users call it
        min_confidence: float | None = None,
        on_no_match: str = "warn",
        partition: str | None = None,
        report: bool = False,
        asset_partitions: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metadata_uris = metadata_uris
        self.output_s3_uri = output_s3_uri
        self.format = format
        self.min_confidence = min_confidence
        self.on_no_match = on_no_match
        self.partition = partition
        self.report = report
        self.asset_partitions = asset_partitions

    def execute(self, context: Context) -> dict[str, Any]:
        """Write both tables into local files, and put these where an earlier try or run put its own."""
        with task_errors(), ExitStack() as stack:
            self.check_arguments()
            self.log.info("Tables: %s", self.output_s3_uri)
            partition, name = self._place(context)
            files = {table: stack.enter_context(TemporaryFile(prefix="bda-table-")) for table in (SEGMENTS, FIELDS)}
            counts, least_sure = self._write(files)
            uris = {table: self._put(file, table, partition, name) for table, file in files.items()}
            report_uri = self._write_report(least_sure, partition, name) if self.report else None
        self.log.info("Wrote %s segments to %s.", counts["segments"], uris[SEGMENTS])
        self.log.info("Wrote %s fields to %s.", counts["fields"], uris[FIELDS])
        places = {f"{table}_uri": uri for table, uri in uris.items()}
        if report_uri:
            self.log.info("Wrote a report on %s documents to %s.", len(least_sure), report_uri)
            places["report_uri"] = report_uri
        link_report(context, report_uri, job_ids=[uri.split("/")[-2] for uri in least_sure], hook=self.hook)
        result = {**places, "partition": partition, "format": self.format, **counts}
        self.note_end(context, partition_key=partition if self.asset_partitions else None, **result)
        return result

    def lineage_inputs(self) -> list[str]:
        """Return what was named as results: URIs, or manifests that name theirs."""
        uris = self.metadata_uris
        items = uris if isinstance(uris, (list, tuple)) else [uris]
        found = [
            item.get("results_uri") or item.get("output_metadata_uri") if isinstance(item, Mapping) else item
            for item in items
        ]
        return [uri for uri in found if isinstance(uri, str)]

    def _place(self, context: Context) -> tuple[str, str]:
        """Return the partition and the files' name: the same for every try, and for every run of the same date."""
        ti, run = context["ti"], context["dag_run"]
        moment = getattr(run, "logical_date", None) or getattr(run, "run_after", None)
        parts = [ti.dag_id, ti.task_id]
        if self.partition is None and moment is not None:
            parts.append(moment.strftime("%H%M%S"))
        elif self.partition is None:
            parts.append(ti.run_id)
        if ti.map_index is not None and ti.map_index >= 0:
            parts.append(str(ti.map_index))
        day = self.partition or (moment.strftime("%Y-%m-%d") if moment else "unknown")
        return _UNSAFE.sub("-", day), _UNSAFE.sub("-", "-".join(parts))

    def _write(self, files: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
        """Write every row of every job, and return the counts, and the jobs with the lowest confidences."""
        from airflow_bda.service.results.metadata import NO_MATCH
        from airflow_bda.tables import open_table

        tables = {table: open_table(table, self.format, file) for table, file in files.items()}
        counts: Counter[str] = Counter()
        without: list[str] = []
        # The negative of each job's lowest confidence: what a heap drops first is the surest.
        least_sure: list[tuple[float, str]] = []
        for job, result in self._results():
            lowest = 1.0
            counts.update(jobs=1, matched=result.matched, fallback=result.fallback, unmatched=result.unmatched)
            for table, row in rows_of_job(
                result, invocation_arn=job.invocation_arn, min_confidence=self.min_confidence
            ):
                tables[table].write(row)
                counts[table] += 1
                if table == SEGMENTS:
                    counts.update(pages=row["pages"], fields_in_all=row["fields"])
                    lowest = min(lowest, 1.0 if row["confidence_min"] is None else row["confidence_min"])
                    if row["custom_output_status"] == NO_MATCH and len(without) < _MOST_NAMED:
                        without.append(f"{row['input_s3_uri']}, segment {row['segment']}")
            heappush(least_sure, (-lowest, job.metadata_uri))
            if len(least_sure) > _MOST_REPORTED:
                heappop(least_sure)
        for writer in tables.values():
            writer.close()
        self._judge(counts["unmatched"], without)
        names = ("jobs", "pages", "segments", "fields", "matched", "fallback", "unmatched")
        found = {name: counts[name] for name in names} | {"fields_left_out": counts["fields_in_all"] - counts["fields"]}
        return found, [uri for _, uri in sorted(least_sure, reverse=True)]

    def _write_report(self, metadata_uris: list[str], partition: str, name: str) -> str | None:
        """Write the report on some jobs; return its URI."""
        from airflow_bda.hooks.results import read_object, upload_file
        from airflow_bda.report import ReportedJob, write_report

        if not metadata_uris:
            return None
        s3 = self.hook.s3
        jobs = (
            ReportedJob(
                self.hook.get_results(uri),
                read_input=partial(read_object, s3, most_bytes=_MOST_INPUT_BYTES),
                most_pages=_MOST_PICTURES // len(metadata_uris),
            )
            for uri in metadata_uris
        )
        place = S3Uri.parse(self.output_s3_uri.rstrip("/"))
        uri = str(S3Uri(place.bucket, f"{place.key}/reports/date={partition}/{name}.html".removeprefix("/")))
        with TemporaryDirectory(prefix="bda-report-") as folder:
            page = Path(folder) / "report.html"
            write_report(page, jobs)
            with page.open("rb") as file:
                upload_file(s3, file, uri, content_type="text/html; charset=utf-8")
        return uri

    def _judge(self, unmatched: int, without: list[str]) -> None:
        if not unmatched or self.on_no_match == "ignore":
            return
        message = f"Segments that match no blueprint: {unmatched}."
        if self.on_no_match == "fail":
            raise BdaRequestFailException(
                f"{message} Nothing was written.",
                problems=without,
                remedy="Add a blueprint for them or a fallback blueprint to the project, or set on_no_match='warn'.",
            )
        self.log.warning("%s They have a row in segments and none in fields: %s", message, "; ".join(without))

    def _results(self) -> Iterator[tuple[_Job, JobResult]]:
        """Iterate over the jobs' results, in order, with a few fetched ahead."""
        hook = self.hook
        hook.s3  # noqa: B018  made in the task's own thread, which is where Airflow is asked for connections
        jobs = self._jobs()
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="bda-tables") as pool:

            def start(job: _Job) -> tuple[_Job, Any]:
                return job, pool.submit(hook.get_results, job.metadata_uri)

            waiting = [start(job) for job in islice(jobs, _AHEAD)]
            while waiting:
                job, fetched = waiting.pop(0)
                result = fetched.result()
                # Its files go when the last name for it does.
                del fetched
                waiting += [start(following) for following in islice(jobs, 1)]
                yield job, result
                del result

    def _jobs(self) -> Iterator[_Job]:
        for item in self.metadata_uris:
            if isinstance(item, Mapping) and item.get("results_uri"):
                yield from self._jobs_of_batch(str(item["results_uri"]))
            elif isinstance(item, Mapping):
                yield _Job(item["output_metadata_uri"], item["invocation_arn"])
            elif isinstance(item, str) and item.endswith("/manifest.json"):
                yield from self._jobs_of_batch(self._results_of_manifest(item))
            elif isinstance(item, str) and item.endswith("/results.jsonl"):
                yield from self._jobs_of_batch(item)
            elif isinstance(item, str):
                yield _Job(item)

    def _jobs_of_batch(self, results_uri: str) -> Iterator[_Job]:
        """Iterate over the documents of a batch that have a result; those that failed have no rows here."""
        from airflow_bda.hooks.results import download_file

        without = 0
        # A copy on disk: the connection would be cut while the jobs' files are read.
        with TemporaryFile(prefix="bda-batch-") as rows:
            download_file(self.hook.s3, results_uri, rows)
            for line in rows:
                row = json_reading.document(line, results_uri)
                if output := json_reading.text(row, "output"):
                    yield _Job(output, json_reading.text(row, "arn"))
                else:
                    without += 1
        if without:
            self.log.warning("%s documents of the batch have no result; %s says why.", without, results_uri)

    def _results_of_manifest(self, uri: str) -> str:
        from airflow_bda.hooks.results import download_file

        with TemporaryFile(prefix="bda-batch-") as manifest:
            download_file(self.hook.s3, uri, manifest)
            results_uri = json_reading.text(json_reading.document(manifest.read(), uri), "results_uri")
        if results_uri is None:
            raise json_reading.malformed(uri, "it has no results_uri, so it is no manifest of a batch")
        return results_uri

    def _put(self, file: Any, table: str, partition: str, name: str) -> str:
        """Upload a table, and remove the file that an earlier try wrote in another format."""
        from airflow_bda.hooks.results import upload_file

        place = S3Uri.parse(self.output_s3_uri.rstrip("/"))
        stem = f"{place.key}/{table}/date={partition}/{name}".removeprefix("/")
        uri = str(S3Uri(place.bucket, f"{stem}.{self.format}"))
        upload_file(self.hook.s3, file, uri)
        for other in _FORMATS:
            if other != self.format and self._exists(place.bucket, f"{stem}.{other}"):
                self.hook.s3.delete_object(Bucket=place.bucket, Key=f"{stem}.{other}")
        return uri

    def _exists(self, bucket: str, key: str) -> bool:
        try:
            self.hook.s3.head_object(Bucket=bucket, Key=key)
        except ClientError:  # not there, or not ours to see
            return False
        return True
