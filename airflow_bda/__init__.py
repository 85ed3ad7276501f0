"""Amazon Bedrock Data Automation (BDA) for Apache Airflow."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Tell Airflow what this provider brings."""
    return {
        "package-name": "airflow-provider-bda",
        "name": "Amazon Bedrock Data Automation",
        "description": "Run Amazon Bedrock Data Automation (BDA) from Apache Airflow.",
        "versions": [__version__],
    }
