"""Amazon Bedrock Data Automation (BDA) for Apache Airflow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__version__ = "0.1.0"

_INTEGRATION = "Amazon Bedrock Data Automation"

# The section `[bda]` of Airflow's configuration.
_OPTIONS = {
    "max_status_requests_per_second": {
        "description": (
            "Status requests per second that one triggerer (or one waiting task) never exceeds for one AWS "
            "identity. It begins with 10, makes more only while jobs are found to have ended that could not be "
            "looked at sooner, and fewer as soon as BDA throttles a request. 100 is a quarter of a core's time, and "
            "what ten connections carry. It bounds the jobs that batches start per second in the same way.\n"
        ),
        "version_added": "0.1.0",
        "type": "float",
        "example": "20",
        "default": "100",
    },
    "job_events_queue": {
        "description": (
            "The URL or the ARN of an SQS queue that gets this account's job events from EventBridge. A triggerer "
            "then looks at a job as soon as its event comes, and polls less. Empty: waits poll only. Give it a queue "
            "that no AssetWatcher and no function reads.\n"
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "https://sqs.us-east-1.amazonaws.com/123456789012/bda-hints",
        "default": "",
    },
    "min_poll_interval": {
        "description": "The shortest pause between two looks at one job, in seconds.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "5",
        "default": "0.75",
    },
    "max_poll_interval": {
        "description": "The longest pause between two looks at one job, in seconds.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "300",
        "default": "120",
    },
    "reattach_after_clear": {
        "description": (
            "On Airflow 3.4 and later: whether a task that was cleared, with its task state kept, continues "
            "with its earlier job. Airflow 3.4 also keeps the state when a whole run is cleared, "
            "and does not tell a task which it was. Before 3.4 a clear always starts a new job.\n"
        ),
        "version_added": "0.1.0",
        "type": "boolean",
        "example": "True",
        "default": "False",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow asks of a provider: its classes, links and configuration."""
    return {
        "package-name": "airflow-provider-bda",
        "name": _INTEGRATION,
        "description": (
            # Without markup: Airflow's page of providers takes the marks off, and leaves the rest as it is.
            "Amazon Bedrock Data Automation (BDA): documents, images, audio and video in, structured results out.\n"
        ),
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.aws.amazon.com/bedrock/latest/userguide/bda.html",
                "tags": ["aws"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_bda.hooks.bda"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_bda.operators.bda",
                    "airflow_bda.operators.bda_apply_project",
                    "airflow_bda.operators.bda_batch",
                    "airflow_bda.operators.bda_lambda",
                    "airflow_bda.operators.bda_preflight",
                    "airflow_bda.operators.bda_results",
                    "airflow_bda.operators.bda_review",
                    "airflow_bda.operators.bda_sync",
                ],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_bda.sensors.bda"]}],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_bda.triggers.bda",
                    "airflow_bda.triggers.bda_batch",
                    "airflow_bda.triggers.bda_events",
                ],
            }
        ],
        # Airflow 2.11 loads no link that is not named here.
        "extra-links": [
            "airflow_bda.links.bda.BdaInputLink",
            "airflow_bda.links.bda.BdaOutputLink",
            "airflow_bda.links.bda.BdaReportLink",
        ],
        "config": {
            "bda": {
                "description": "How the jobs of Amazon Bedrock Data Automation are waited for and found again.",
                "options": _OPTIONS,
            }
        },
    }


def names_of(package: str, module_of_name: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Return a ``__getattr__`` that loads a package's public names when they are used.

    A DAG file is parsed every few seconds: what it does not use must cost nothing.

    :param package: the package's ``__name__``.
    :param module_of_name: for each public name, the module below the package that has it.
    """

    def load(name: str) -> Any:
        if name not in module_of_name:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module_of_name[name]}"), name)

    return load
