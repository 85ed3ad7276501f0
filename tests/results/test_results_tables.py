"""Results as tables: the same rows in every format, as they are in DuckDB and pandas."""

from __future__ import annotations

import io
import json
import re

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from airflow_bda.cli import main
from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.rows import BOOLEAN, COLUMNS, FIELDS, NUMBER, SEGMENTS, TEXT, WHOLE
from airflow_bda.tables import athena_table, open_table

PYTHON_TYPES = {TEXT: str, WHOLE: int, NUMBER: float, BOOLEAN: bool}


def written(rows, table, form):
    """Return a table's file, which stays open as those of the operator do."""
    file = io.BytesIO()
    writer = open_table(table, form, file)
    for row in rows:
        writer.write(row)
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize("job", ["packet", "cells", "uncounted", "call", "film"])
@pytest.mark.parametrize("table", [SEGMENTS, FIELDS])
def test_every_row_has_every_column_in_its_type(read_job, job, table):
    for row in read_job(job).rows(table):
        assert list(row) == list(COLUMNS[table])
        wrong = {
            column: row[column]
            for column, kind in COLUMNS[table].items()
            if row[column] is not None and type(row[column]) is not PYTHON_TYPES[kind]
        }
        assert wrong == {}


def test_a_value_is_beside_its_place_and_its_confidence(read_job):
    rows = {row["path"]: row for row in read_job("packet").rows(invocation_arn="arn:job") if row["segment"] == 0}

    address = rows["EmployeeAddress"]
    assert (address["value"], address["found"], address["confidence"], address["page"]) == (
        "7 Mill Lane, Ghent",
        True,
        0.81,
        1,
    )
    assert (address["box_left"], address["box_top"], address["box_width"], address["box_height"]) == (
        0.1,
        0.5,
        0.1,
        0.01,
    )
    assert [place["page"] for place in json.loads(address["places"])] == [1, 1, 2]
    assert (address["invocation_arn"], address["input_s3_uri"]) == ("arn:job", "s3://bda-inbox/loans/packet.pdf")
    assert (rows["CurrentNetPay"]["value"], rows["CurrentNetPay"]["value_number"]) == ("1840.5", 1840.5)
    assert (rows["FederalTaxes[0].Period"]["name"], rows["YTDNetPay"]["found"]) == ("FederalTaxes[].Period", False)


def test_a_segment_has_its_scores(read_job):
    payslip, letter, drawing = read_job("packet").rows(SEGMENTS)

    assert (payslip["fields"], payslip["fields_found"]) == (13, 5)
    assert payslip["confidence_min"] == 0.62
    assert payslip["confidence_mean"] == pytest.approx((0.93 + 0.81 + 0.62 + 0.9 + 0.88) / 5)
    assert [row["custom_output_status"] for row in (payslip, letter, drawing)] == ["MATCH", "FALLBACK", "NO_MATCH"]
    assert (drawing["text"], drawing["confidence_min"], drawing["fields"]) == ("A drawing", None, 0)


def test_low_confidence_is_left_out_where_asked(read_job):
    paths = [row["path"] for row in read_job("packet").rows(min_confidence=0.9)]

    assert "CurrentNetPay" not in paths
    assert "EmployeeName.FirstName" in paths


@pytest.mark.parametrize("table", [SEGMENTS, FIELDS])
def test_duckdb_and_pandas_read_both_formats_alike(read_job, tmp_path, table):
    rows = [row for job in ("packet", "film", "call") for row in read_job(job).rows(table)]
    lines, parquet = tmp_path / "table.jsonl", tmp_path / "table.parquet"
    lines.write_bytes(written(rows, table, "jsonl"))
    parquet.write_bytes(written(rows, table, "parquet"))

    from_parquet = duckdb.read_parquet(str(parquet))
    assert from_parquet.columns == list(COLUMNS[table])
    assert from_parquet.fetchall() == [tuple(row.values()) for row in rows]
    types = {column: kind.replace("string", "varchar") for column, kind in COLUMNS[table].items()}
    assert duckdb.read_json(str(lines), columns=types).fetchall() == from_parquet.fetchall()
    assert len(duckdb.read_json(str(lines)).fetchall()) == len(rows)
    frames = [pd.read_parquet(parquet), pd.read_json(lines, lines=True)]
    assert [list(frame.columns) for frame in frames] == [list(COLUMNS[table])] * 2
    assert [len(frame) for frame in frames] == [len(rows)] * 2


def test_a_text_of_nothing_but_nulls_keeps_its_type(read_job):
    """Parquet files of one table must agree, whatever the day's documents hold."""
    schemas = {
        pq.read_schema(io.BytesIO(written(read_job(job).rows(FIELDS), FIELDS, "parquet"))) for job in ("packet", "call")
    }
    assert len(schemas) == 1


def test_parquet_is_written_in_groups(read_job):
    """So that memory does not grow with the number of documents."""
    rows = [*read_job("packet").rows(FIELDS)] * 1000
    assert pq.ParquetFile(io.BytesIO(written(rows, FIELDS, "parquet"))).num_row_groups == len(rows) // 2000


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(BdaError, match=r"airflow-provider-bda\[parquet\]"):
        open_table(FIELDS, "parquet", io.BytesIO())


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_the_command_writes_tables(stored_job, tmp_path, capsysbinary, form):
    uris = [stored_job("packet"), stored_job("film")]

    assert main(["results", *uris, f"--{form}"]) == 0
    printed = capsysbinary.readouterr()
    file = tmp_path / f"table.{form}"
    assert main(["results", *uris, f"--{form}", "--table", "segments", "-o", str(file)]) == 0

    fields = tmp_path / f"fields.{form}"
    fields.write_bytes(printed.out)
    read = {"jsonl": duckdb.read_json, "csv": duckdb.read_csv, "parquet": duckdb.read_parquet}[form]
    assert len(read(str(fields)).filter("found").fetchall()) == 17
    assert len(read(str(file)).fetchall()) == 4
    assert b"segments: 4, matched: 2, fallback: 1, unmatched: 1, pages: 4" in printed.err


@pytest.mark.parametrize("table", [SEGMENTS, FIELDS])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_athenas_definition_has_the_columns_that_are_written(table, form):
    statement = athena_table(table, output_s3_uri="s3://lake/bda/", format=form)

    assert dict(re.findall(r"^  `(\w+)` (\w+)", statement, re.MULTILINE)) == COLUMNS[table]
    assert f"LOCATION 's3://lake/bda/{table}/'" in statement
    assert ("PARQUET" in statement) is (form == "parquet")
