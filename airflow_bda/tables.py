"""
Results as tables, written and read: JSON Lines, CSV or Parquet files with the rows of ``segments`` and ``fields``.

At most a few thousand rows are in memory at a time. Parquet needs pyarrow, which
``pip install 'airflow-provider-bda[parquet]'`` brings. :func:`athena_table` defines the table for Athena.
"""

from __future__ import annotations

import csv
import io
import json
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_bda.service import json_reading
from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.rows import BOOLEAN, COLUMNS, NUMBER, TEXT, WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JSONL, CSV, PARQUET = "jsonl", "csv", "parquet"
_STORED_AS = {
    PARQUET: "STORED AS PARQUET",
    JSONL: "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'",
}
# A group of rows is in memory at once, and is read at once later. Texts of whole documents make few rows large.
_GROUP_ROWS, _GROUP_CHARACTERS = 2_000, 4_000_000


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise BdaError(
            "Parquet needs pyarrow, which is not installed.",
            remedy="Install airflow-provider-bda[parquet], or write JSON Lines.",
        ) from error
    return pa, pq


class TableWriter(Protocol):
    """What writes the rows of one table to one file."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row, with all columns of the table."""

    def close(self) -> None:
        """Write what is left; the file stays open."""


def open_table(table: str, format: str, file: IO[bytes]) -> TableWriter:  # noqa: A002  what users call it
    """
    Return a writer of rows.

    :param table: ``segments``, ``fields`` or ``reviews``.
    :param format: ``jsonl``, ``csv`` or ``parquet``.
    :param file: a file that is open for writing bytes.
    :raises BdaError: for Parquet without pyarrow.
    """
    writers: dict[str, type[_JsonLines | _Csv | _Parquet]] = {JSONL: _JsonLines, CSV: _Csv, PARQUET: _Parquet}
    return writers[format](table, file)


def read_table(format: str, file: IO[bytes]) -> Iterator[Mapping[str, Any]]:  # noqa: A002  as above
    """
    Go through the rows of a file that :func:`open_table` wrote.

    :param format: ``jsonl`` or ``parquet``.
    :param file: a file that is open for reading bytes.
    :raises BdaError: for Parquet without pyarrow, and for a file of another format.
    """
    if format == JSONL:
        for line in file:
            yield json_reading.document(line, "the table")
        return
    pa, pq = _pyarrow()
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_GROUP_ROWS):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise json_reading.malformed("the table", str(error)) from error


def athena_table(table: str, *, output_s3_uri: str, format: str = JSONL, name: str | None = None) -> str:  # noqa: A002
    """
    Return the statement that makes an Athena table of what ``BdaResultsOperator`` or ``BdaReviewOperator`` writes.

    https://docs.aws.amazon.com/athena/latest/ug/create-table.html

    Partitions are found by their names (partition projection), so no day needs to be added.

    :param table: ``segments``, ``fields`` or ``reviews``.
    :param output_s3_uri: the operator's *output_s3_uri*.
    :param format: ``jsonl`` or ``parquet``, as the operator writes.
    :param name: the table's name in Athena; ``bda_<table>`` by default.
    """
    columns = ",\n".join(f"  `{column}` {kind}" for column, kind in COLUMNS[table].items())
    location = f"{output_s3_uri.rstrip('/')}/{table}/"
    return (
        f"CREATE EXTERNAL TABLE {name or f'bda_{table}'} (\n{columns}\n)\n"
        "PARTITIONED BY (`date` string)\n"
        f"{_STORED_AS[format]}\n"
        f"LOCATION '{location}'\n"
        "TBLPROPERTIES (\n"
        "  'projection.enabled' = 'true',\n"
        "  'projection.date.type' = 'date',\n"
        "  'projection.date.format' = 'yyyy-MM-dd',\n"
        "  'projection.date.range' = '2025-01-01,NOW',\n"
        f"  'storage.location.template' = '{location}date=${{date}}/'\n"
        ")"
    )


class _JsonLines:
    def __init__(self, table: str, file: IO[bytes]) -> None:
        self._columns, self._file = tuple(COLUMNS[table]), file

    def write(self, row: Mapping[str, Any]) -> None:
        values = {column: row[column] for column in self._columns}
        self._file.write(json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def close(self) -> None:
        self._file.flush()


class _Csv:
    def __init__(self, table: str, file: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._writer = csv.DictWriter(self._text, fieldnames=tuple(COLUMNS[table]), lineterminator="\n")
        self._writer.writeheader()

    def write(self, row: Mapping[str, Any]) -> None:
        self._writer.writerow(row)

    def close(self) -> None:
        self._text.flush()
        # Else the wrapper would close the file with itself.
        self._text.detach()


class _Parquet:
    def __init__(self, table: str, file: IO[bytes]) -> None:
        pa, pq = _pyarrow()
        types = {TEXT: pa.string(), WHOLE: pa.int64(), NUMBER: pa.float64(), BOOLEAN: pa.bool_()}
        self._schema = pa.schema([(column, types[kind]) for column, kind in COLUMNS[table].items()])
        self._batch_of = pa.RecordBatch.from_pylist
        self._writer = pq.ParquetWriter(file, self._schema)
        self._rows: list[Mapping[str, Any]] = []
        self._characters = 0

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= _GROUP_ROWS or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_batch(self._batch_of(self._rows, schema=self._schema))
            self._rows, self._characters = [], 0
