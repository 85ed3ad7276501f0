"""The running Airflow and its service."""

from airflow_processes.fixtures import airflow, bda_server, service  # noqa: F401  fixtures are used by their names
