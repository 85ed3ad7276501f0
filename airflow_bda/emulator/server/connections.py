"""How Airflow and AWS clients are told to go to the emulator."""

from __future__ import annotations

import json

# moto takes any key for its default account, 123456789012.
ACCESS_KEY = "testing"
SECRET_KEY = "testing"  # noqa: S105  no secret: the emulator checks no signature


def airflow_connection(endpoint_url: str, region: str) -> str:
    """Return the JSON of an Airflow connection, for ``AIRFLOW_CONN_AWS_DEFAULT``."""
    return json.dumps(
        {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": {"endpoint_url": endpoint_url, "region_name": region},
        }
    )


def client_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """Return the environment variables that lead the AWS SDKs and the AWS command line to the emulator."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
