"""BdaReviewOperator: what it asks a person, and what the answers do to the tables."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from airflow_bda._compat import hitl_operator
from airflow_bda.exceptions import BdaError, BdaRequestError
from airflow_bda.operators import BdaResultsOperator, BdaReviewOperator
from airflow_bda.tables import read_table

DAY = datetime(2026, 3, 2, 6, tzinfo=timezone.utc)
ANSWERED = datetime(2026, 3, 3, 9, 30, tzinfo=timezone.utc)
UNSURE = {"EmployeeAddress", "CurrentNetPay", "FederalTaxes[0].Period", "Sender"}
pytestmark = pytest.mark.skipif(not BdaReviewOperator.is_available, reason="Airflow asks people from 3.1 on")


class Asked(BaseException):
    """Airflow's database has the form, and the task would wait."""


class Inbox:
    """The tables of some jobs, and the task that has them reviewed."""

    def __init__(self, emulator, table_format):
        self.s3 = emulator.client("s3")
        self.format = table_format
        self.form = {}
        self.tables = {}
        emulator.make_bucket("bda-tables")

    def write(self, *metadata_uris, **arguments):
        defaults = {"output_s3_uri": "s3://bda-tables/lake", "format": self.format, "on_no_match": "ignore"}
        operator = BdaResultsOperator(task_id="tables", metadata_uris=list(metadata_uris), **(defaults | arguments))
        ti = SimpleNamespace(dag_id="inbox", task_id="tables", run_id="scheduled", map_index=-1)
        self.tables = operator.execute({"ti": ti, "dag_run": SimpleNamespace(logical_date=DAY, run_after=DAY)})

    def task(self, **arguments):
        return BdaReviewOperator(task_id="review", **({"tables": self.tables, "below": 0.9} | arguments))

    def run(self, **arguments):
        return self.task(**arguments).execute({"task_instance": SimpleNamespace(id="ti")})

    def ask(self, **arguments):
        """Return the fields of the form by their titles, and how they are named."""
        with pytest.raises(Asked):
            self.run(**arguments)
        params = self.form["params"]
        return {param["schema"]["title"]: param | {"key": key} for key, param in params.items()}

    def answer(self, form, option="Save", **values):
        """Answer as the form does: every field, those that were not touched as they stood."""
        event = {
            "chosen_options": [option],
            "params_input": {field["key"]: values.get(title, field["value"]) for title, field in form.items()},
            "responded_at": ANSWERED,
            "responded_by_user": {"id": "7", "name": "Ada"},
        }
        # Another process goes on, with the task as the DAG file has it.
        return self.task().execute_complete({}, event)

    def rows(self, table="fields"):
        key = self.tables["fields_uri"].removeprefix("s3://bda-tables/").replace("/fields/", f"/{table}/")
        body = self.s3.get_object(Bucket="bda-tables", Key=key)["Body"].read()
        return {row["path"]: row for row in read_table(self.format, io.BytesIO(body))}


@pytest.fixture(params=["jsonl", "parquet"])
def inbox(bda_emulator, monkeypatch, request, stored_job):
    inbox = Inbox(bda_emulator, request.param)
    inbox.write(stored_job("packet"))

    def keep(**form):
        inbox.form = form
        raise Asked

    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", keep)
    return inbox


def test_one_form_has_every_unsure_value_with_confidence_and_page(inbox):
    form = inbox.ask()

    assert set(form) == UNSURE
    pay = form["CurrentNetPay"]
    assert pay["value"] == 1840.5
    assert pay["schema"]["type"] == ["number", "null"]
    assert pay["description"] == "Confidence 0.62, page 2. Read: 1840.5"
    assert pay["schema"]["section"] == "s3://bda-inbox/loans/packet.pdf, segment 0"
    assert inbox.form["subject"] == "Review 4 values of 1 document"
    assert inbox.form["options"] == ["Save", "Leave open"]
    assert inbox.form["defaults"] is None


def test_answers_are_merged_with_who_and_when(inbox):
    before = inbox.rows()
    result = inbox.answer(inbox.ask(), CurrentNetPay=1804.5, Sender="R. Mole")

    after = inbox.rows()
    assert list(after) == list(before)
    pay, address = after["CurrentNetPay"], after["EmployeeAddress"]
    assert (pay["value"], pay["value_number"], pay["value_read"]) == ("1804.5", 1804.5, "1840.5")
    assert (pay["reviewed_by"], pay["reviewed_at"]) == ("Ada", ANSWERED.isoformat())
    # What was not touched is confirmed.
    assert address["value"] == address["value_read"] == "7 Mill Lane, Ghent"
    assert address["reviewed_by"] == "Ada"
    for path in before.keys() - UNSURE:
        assert after[path] == before[path]
    assert {key: result[key] for key in ("unsure", "shown", "reviewed", "corrected", "open")} == {
        "unsure": 4,
        "shown": 4,
        "reviewed": 4,
        "corrected": 2,
        "open": 0,
    }
    assert set(inbox.rows("reviews")) == UNSURE


def test_no_value_is_in_the_xcom_or_in_what_listeners_are_told(inbox, caplog, capsys):
    form = inbox.ask()
    task = inbox.task()
    with pytest.raises(Asked):
        task.execute({"task_instance": SimpleNamespace(id="ti")})
    result = inbox.answer(form, Sender="R. Mole")

    logged = caplog.text + capsys.readouterr().out
    for told in (str(result), str(task.hitl_summary), logged):
        assert "1840" not in told
        assert "Mole" not in told
        assert "Vole" not in told


def test_a_retry_asks_for_nothing_that_was_answered(inbox):
    inbox.answer(inbox.ask(), Sender="R. Mole")
    before = inbox.rows()

    again = inbox.run()

    assert (again["unsure"], again["shown"], again["open"]) == (0, 0, 0)
    assert inbox.rows() == before


def test_tables_that_are_written_again_get_the_answers_again(inbox, stored_job):
    inbox.answer(inbox.ask(), Sender="R. Mole")
    inbox.write(stored_job("packet"))
    assert inbox.rows()["Sender"]["value"] == "R. Vole"

    assert inbox.run()["shown"] == 0

    assert inbox.rows()["Sender"]["value"] == "R. Mole"


def test_answers_that_were_kept_outlive_a_table_that_could_not_be_written(inbox, monkeypatch):
    form = inbox.ask()
    from airflow_bda.hooks import results

    upload = results.upload_file

    def fail(s3, file, uri):
        if "/fields/" in uri:
            raise BdaError(f"Writing {uri} failed.")
        upload(s3, file, uri)

    with monkeypatch.context() as patch:
        patch.setattr(results, "upload_file", fail)
        with pytest.raises(BdaError, match="fields"):
            inbox.answer(form, Sender="R. Mole")

    assert inbox.run()["shown"] == 0
    assert inbox.rows()["Sender"]["value"] == "R. Mole"


def test_leave_open_changes_nothing(inbox):
    before = inbox.rows()
    result = inbox.answer(inbox.ask(), option="Leave open", Sender="R. Mole")

    assert (result["reviewed"], result["open"]) == (0, 4)
    assert inbox.rows() == before


def test_the_lowest_confidences_come_first_and_the_rest_is_counted(inbox):
    form = inbox.ask(max_fields=2)

    assert set(form) == {"CurrentNetPay", "Sender"}
    assert "4 values below a confidence of 0.9, of which 2 are shown here" in inbox.form["body"]
    result = inbox.answer(form)
    assert (result["reviewed"], result["open"]) == (2, 2)
    assert set(inbox.ask()) == UNSURE - set(form)


@pytest.mark.parametrize(
    ("answer", "value", "number", "found"),
    [
        (None, None, None, False),
        ("", "", None, False),
        ("1804.50", "1804.5", 1804.5, True),
        ("about 1800", "about 1800", None, True),
        (True, "true", None, True),
        ({"a": 1}, '{"a": 1}', None, True),
    ],
)
def test_whatever_is_answered_is_a_row(inbox, answer, value, number, found):
    """The REST API takes any JSON as an answer."""
    inbox.answer(inbox.ask(), CurrentNetPay=answer)

    row = inbox.rows()["CurrentNetPay"]
    assert (row["value"], row["value_number"], row["found"]) == (value, number, found)


def test_a_correction_is_corrected_again_and_what_was_read_stays(inbox):
    form = inbox.ask()
    inbox.answer(form, CurrentNetPay=1)
    inbox.answer(form, CurrentNetPay=2)

    row = inbox.rows()["CurrentNetPay"]
    assert (row["value"], row["value_read"]) == ("2", "1840.5")


def test_answers_about_other_values_change_nothing(inbox):
    before = inbox.rows()
    event = {"chosen_options": ["Save"], "params_input": {"0" * 16: "x"}, "responded_at": ANSWERED}

    assert inbox.task().execute_complete({}, event)["reviewed"] == 0
    assert inbox.rows() == before


def test_no_answer_in_time_fails_the_task(inbox):
    from airflow.providers.standard.exceptions import HITLTimeoutError

    with pytest.raises(HITLTimeoutError):
        inbox.task().execute_complete({}, {"error": "late", "error_type": "timeout"})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"tables": "s3://b/other.csv"}, "tables is 's3://b/other.csv': it must be the output of BdaResultsOperator"),
        ({"tables": {}}, "tables is {}: "),
        ({"below": 80}, "below is 80: it must be a number above 0, to 1"),
        ({"max_fields": 1000}, "max_fields is 1000: it must be a whole number from 1 to 200"),
    ],
)
def test_bad_arguments_are_named(inbox, arguments, problem):
    with pytest.raises(BdaRequestError) as error:
        inbox.run(**arguments)
    assert problem in str(error.value)


def test_a_table_that_is_gone_is_named(inbox):
    with pytest.raises(BdaError, match="fields/date=x/gone"):
        inbox.run(tables="s3://bda-tables/lake/fields/date=x/gone.jsonl")


def test_it_is_one_of_airflows_own_operators_for_people():
    """Airflow's listeners, links and pages look for the class."""
    assert issubclass(BdaReviewOperator, hitl_operator())
