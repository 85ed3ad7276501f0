"""Have a person look at the values that the service is unsure of, and put the answers into the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import AwsBaseOperator, BaseOperator, aws_template_fields, hitl_operator
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.hooks.task_arguments import TaskArguments, number, required_text, s3_uri
from airflow_bda.links.bda import BdaReportLink, link_report
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.results.rows import COLUMNS, FIELDS, REVIEWS
from airflow_bda.service.safe_values import SafeLogging, safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk import Context
else:
    HITLOperator = hitl_operator() or BaseOperator

SAVE, LEAVE_OPEN = "Save", "Leave open"
_FOLDER = f"/{FIELDS}/date="
_FORMATS = ("jsonl", "parquet")
# A form that a person works through in one go, and a row of Airflow's database.
_MOST_FIELDS = 200
# Longer texts get a field of several lines.
_ONE_LINE = 80
_LONGEST_TITLE = 200


def _check_tables(value: Any) -> str:
    """Return the URI of the table of fields, which the output of ``BdaResultsOperator`` names."""
    uri = s3_uri(value.get("fields_uri") if isinstance(value, Mapping) else value, of_object=True)
    if f"{_FOLDER}" not in uri or uri.rpartition(".")[2] not in _FORMATS:
        raise ValueError("it must be the output of BdaResultsOperator, or its fields_uri")
    return uri


def _check_subject(value: Any) -> str:
    """Return the headline; nothing stands for one that the task makes."""
    return "" if value is None or value == "" else required_text(value)


def _check_below(value: Any) -> float:
    confidence: float = number(value, "a number above 0, to 1", fits=lambda it: 0 < it <= 1)
    return confidence


def _check_max_fields(value: Any) -> int:
    number(value, f"a whole number from 1 to {_MOST_FIELDS}", fits=lambda it: 1 <= it <= _MOST_FIELDS and it == int(it))
    return int(value)


class BdaReviewOperator(SafeLogging, TaskArguments, AwsBaseOperator[BdaHook], HITLOperator):
    """
    Have a person review the values that the service is unsure of (human in the loop), on Airflow 3.1 and later.

    The task reads the table of fields that ``BdaResultsOperator`` wrote, asks for the values with a low confidence in
    one form of Airflow's, and waits without a worker slot. Each value stands in a field of the form, with its
    document, path, confidence and page. The person corrects what is wrong and saves: the table then has the corrected
    values, with ``value_read`` (what the service read), ``reviewed_by`` and ``reviewed_at``. The answers are also kept
    as a table of their own, ``<output_s3_uri>/reviews/date=<day>/``. A retry and a cleared task ask for nothing that
    was saved there; where the tables of the same jobs are written again, the task puts the answers into them again.
    Only an answer whose worker is killed before it wrote it, seconds after the answer, is asked for again.

    .. warning::
        The values in the form, and the answers, are contents of the documents, and Airflow keeps them in its database:
        up to 50 values of up to 2,000 characters each. Whoever may see the DAG's tasks in Airflow can read them.

    .. seealso::
        https://airflow.apache.org/docs/apache-airflow-providers-standard/stable/operators/hitl.html

    :param tables: the output of ``BdaResultsOperator``, or its ``fields_uri``. (templated)
    :param below: ask for values with a confidence below this, above 0 to 1; the default is 0.8. A value without a
        confidence, and one that was not found, is not asked for.
    :param max_fields: how many values to ask for at most, 1 to 200: those with the lowest confidences. The default is
        50. Clear the task to be asked for the next ones.
    :param subject: the form's headline; None makes one. (templated)
    :param assigned_users: who may answer, as Airflow's operators take it; None lets everybody who may edit the DAG.
    :param notifiers: Airflow notifiers that are called when the form is there.
    :param response_timeout: how long to wait for the answer, as a timedelta; then the task fails. None waits for ever.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: ``fields_uri`` and ``reviews_uri``, and the counts ``unsure`` (values below, before the review), ``shown``,
        ``reviewed``, ``corrected`` and ``open`` (values below that nobody has reviewed). No values.
    :raises BdaRequestError: for arguments that make no sense, and before Airflow 3.1. Not retried.
    :raises BdaError: when a table cannot be read or written; it names the file.
    """

    aws_hook_class = BdaHook
    operator_extra_links = (BdaReportLink(),)
    template_fields: Sequence[str] = aws_template_fields("tables", "subject")
    argument_checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
        {"tables": _check_tables, "subject": _check_subject, "below": _check_below, "max_fields": _check_max_fields}
    )
    ui_color = "#dcebf9"
    _summary: dict[str, Any] | None = None
    #: Whether this Airflow has forms for people: 3.1 and later.
    is_available: ClassVar[bool] = hitl_operator() is not None

    def __init__(
        self,
        *,
        tables: str | Mapping[str, Any],
        below: float = 0.8,
        max_fields: int = 50,
        subject: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not self.is_available:
            raise BdaRequestError(
                "BdaReviewOperator needs Airflow 3.1 or later, which can ask people.",
                remedy="Before 3.1, leave the task out, for which BdaReviewOperator.is_available can be asked, and "
                "look at the values by `airflow-bda report`.",
            )
        super().__init__(subject=subject or "", options=[SAVE, LEAVE_OPEN], **kwargs)
        self.tables = tables
        self.below = below
        self.max_fields = max_fields

    @property
    def hitl_summary(self) -> dict[str, Any]:
        """What listeners such as OpenLineage's are told of the form: nothing of what stands in it."""
        if self._summary is not None:
            return self._summary
        return {"subject": self.subject, "options": self.options, **self.hitl_summary_extra}

    @hitl_summary.setter
    def hitl_summary(self, summary: dict[str, Any]) -> None:
        # Airflow's operator keeps it as an attribute in earlier releases, and adds to it when it asks.
        self._summary = {name: summary.get(name) for name in ("subject", "options")}

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the values that are unsure; where there are none, the task ends at once."""
        from airflow_bda.service.results.rows import unsure_rows

        report_uri = self.tables.get("report_uri") if isinstance(self.tables, Mapping) else None
        with task_errors(), ExitStack() as stack:
            self.check_arguments()
            self.log.info("Table: %s", self.tables)
            link_report(context, report_uri, hook=self.hook)
            table = _ReviewedTable(self.hook.s3, str(self.tables), stack)
            shown, unsure = unsure_rows(table.rows(), below=self.below, most=self.max_fields)
            if not shown:
                self.log.info("There is nothing to review: %s values are below %s.", unsure, self.below)
                table.save({})
                return self._result(table, unsure=unsure, shown=0, new={})
        documents = _count(len({row["input_s3_uri"] for row in shown}), "document")
        self.subject = self.subject or f"Review {_count(len(shown), 'value')} of {documents}"
        self.body = (
            f"{_count(unsure, 'value')} below a confidence of {self.below}"
            f"{f', of which {len(shown)} are shown here' if unsure > len(shown) else ''}. Correct what is wrong, empty "
            f"what the document does not say, and choose **{SAVE}**: every value shown then counts as reviewed. "
            f"**{LEAVE_OPEN}** changes nothing."
            f"{f' The pages are in the report: `{safe_text(report_uri)}`' if report_uri else ''}"
        )
        self.params = _form(shown)
        self.log.info("Asking for %s of %s values below a confidence of %s.", len(shown), unsure, self.below)
        return super().execute(context)  # type: ignore[no-any-return]  # it raises what has the task wait

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002  Airflow's
        """Put the answers into the tables."""
        from airflow_bda.service.results.rows import is_unsure, key_of, review_of

        if "error" in event:
            self.process_trigger_event_error(event)
        answers = event.get("params_input") or {}
        by, at = _who(event), _when(event)
        self.log.info("%s answered: %s.", by, ", ".join(event["chosen_options"]))
        with task_errors(), ExitStack() as stack:
            self.check_arguments()
            table = _ReviewedTable(self.hook.s3, str(self.tables), stack)
            unsure, new = 0, {}
            for row in table.rows():
                key = key_of(row)
                unsure += is_unsure(row, self.below)
                if key in answers and event["chosen_options"] == [SAVE]:
                    new[key] = review_of(row, answers[key], by=by, at=at)
            if new and len(new) < len(answers):
                self.log.warning("%s answers are about values that are not in the table.", len(answers) - len(new))
            table.save(new)
        return self._result(table, unsure=unsure, shown=len(answers), new=new)

    def _result(
        self, table: _ReviewedTable, *, unsure: int, shown: int, new: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        corrected = sum(review["value"] != review["value_read"] for review in new.values())
        self.log.info("Reviewed %s values, of which %s were corrected.", len(new), corrected)
        return {
            "fields_uri": table.uri,
            "reviews_uri": table.reviews_uri,
            "unsure": unsure,
            "shown": shown,
            "reviewed": len(new),
            "corrected": corrected,
            "open": max(0, unsure - len(new)),
        }


class _ReviewedTable:
    """
    A table of fields, fetched once, with the reviews of its values.

    :param stack: closes the files.
    """

    def __init__(self, s3: Any, uri: str, stack: ExitStack) -> None:
        self.uri = uri
        before, _, after = uri.rpartition(_FOLDER)
        self.reviews_uri = f"{before}{_FOLDER.replace(FIELDS, REVIEWS)}{after}"
        self._s3, self._stack = s3, stack
        self._format = uri.rpartition(".")[2]
        self._file = self._open()
        from airflow_bda.hooks.results import download_file

        download_file(s3, uri, self._file)
        self._reviews = dict(self._stored_reviews())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Go through the rows, with what was said of their values before."""
        from airflow_bda.service.results.rows import merged
        from airflow_bda.tables import read_table

        self._file.seek(0)
        return (merged(row, self._reviews) for row in read_table(self._format, self._file))

    def save(self, new: Mapping[str, Mapping[str, Any]]) -> None:
        """
        Add reviews, and write both tables.

        The reviews come first: a try that ends between the two leaves its answers for the next one.
        """
        self._reviews.update(new)
        if new:
            self._write(REVIEWS, self._reviews.values(), self.reviews_uri)
        if self._reviews:
            self._write(FIELDS, self.rows(), self.uri)

    def _stored_reviews(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        from airflow_bda.service.results.rows import key_of
        from airflow_bda.tables import read_table

        file = self._open()
        from airflow_bda.hooks.results import download_file

        if download_file(self._s3, self.reviews_uri, file, may_be_absent=True):
            for row in read_table(self._format, file):
                yield key_of(row), row

    def _write(self, table: str, rows: Iterable[Mapping[str, Any]], uri: str) -> None:
        from airflow_bda.tables import open_table

        file = self._open()
        writer = open_table(table, self._format, file)
        for row in rows:
            # A table of an earlier release may lack columns.
            writer.write({column: row.get(column) for column in COLUMNS[table]})
        writer.close()
        from airflow_bda.hooks.results import upload_file

        upload_file(self._s3, file, uri)

    def _open(self) -> Any:
        return self._stack.enter_context(TemporaryFile(prefix="bda-review-"))


def _form(rows: Iterable[Mapping[str, Any]]) -> Any:
    """Return one field of Airflow's form for each row, under the name of its value."""
    from airflow.sdk import Param
    from airflow.sdk.definitions.param import ParamsDict

    from airflow_bda.service.results.rows import key_of, shown_value

    fields = {}
    for row in rows:
        value = shown_value(row)
        if isinstance(value, bool):
            kind: dict[str, Any] = {"type": "boolean"}
        elif isinstance(value, str):
            kind = {"type": ["string", "null"]} | ({"format": "multiline"} if len(value) > _ONE_LINE else {})
        else:
            kind = {"type": ["number", "null"]}
        page = f", page {row['page']}" if row.get("page") else ""
        fields[key_of(row)] = Param(
            safe_text(value) if isinstance(value, str) else value,
            title=safe_text(row["path"], _LONGEST_TITLE),
            description=f"Confidence {row['confidence']:.2f}{page}. Read: {safe_text(value, _LONGEST_TITLE)}",
            section=safe_text(f"{row['input_s3_uri']}, segment {row['segment']}", _LONGEST_TITLE * 4),
            **kind,
        )
    return ParamsDict(fields)


def _who(event: Mapping[str, Any]) -> str:
    user = event.get("responded_by_user") or {}
    return safe_text(user.get("name") or user.get("id") or "unknown")


def _when(event: Mapping[str, Any]) -> str:
    moment = event.get("responded_at")
    return moment.isoformat() if isinstance(moment, datetime) else safe_text(moment)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
