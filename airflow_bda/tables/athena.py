"""The definitions of the tables in Amazon Athena: https://docs.aws.amazon.com/athena/latest/ug/create-table.html."""

from __future__ import annotations

from airflow_bda.service.results.rows import COLUMNS
from airflow_bda.tables.writers import JSONL, PARQUET

_STORED_AS = {
    PARQUET: "STORED AS PARQUET",
    JSONL: "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'",
}


def athena_table(table: str, *, output_s3_uri: str, format: str = JSONL, name: str | None = None) -> str:  # noqa: A002
    """
    Return the statement that makes a table of what ``BdaResultsOperator`` writes.

    Partitions are found by their names (partition projection), so no day needs to be added.

    :param table: ``segments`` or ``fields``.
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
