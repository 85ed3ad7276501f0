"""
Log lines and metrics of the functions for CloudWatch: one JSON object a line, with metrics inside such lines.

The metrics are in CloudWatch's embedded metric format, which needs neither a call nor a permission
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
That is all that a library for Lambda would do here, and one would weigh many times the rest of the zip.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from airflow_bda.service.safe_values import safe_value

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMESPACE_VARIABLE = "BDA_METRICS_NAMESPACE"
DEFAULT_NAMESPACE = "AirflowBda"


class Context(Protocol):
    """What Lambda passes beside the event: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    aws_request_id: str
    function_name: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run, in milliseconds."""


@dataclass(frozen=True)
class Metric:
    """
    One value.

    :param unit: as CloudWatch names it: ``Count``, ``Seconds``.
    """

    name: str
    value: float
    unit: str = "Count"


class Telemetry:
    """
    Writes about one request.

    What is written holds ids, URIs, words and numbers, never a document's contents or an encryption context.

    :param out: where the lines go; None for standard output, which Lambda hands to CloudWatch.
    """

    def __init__(self, context: Context, out: TextIO | None = None) -> None:
        self._context = context
        self._out = out

    def is_own(self, account: str | None, region: str | None) -> bool:
        """Whether an event is about the function's own account and region; one that names none is taken to."""
        _, _, _, own_region, own_account, *_ = self._context.invoked_function_arn.split(":")
        return account in {None, own_account} and region in {None, own_region}

    def info(self, message: str, **facts: Any) -> None:
        """Write what went as it should."""
        self._log("INFO", message, facts)

    def warning(self, message: str, **facts: Any) -> None:
        """Write what is unusual, or may have no effect."""
        self._log("WARN", message, facts)

    def error(self, message: str, **facts: Any) -> None:
        """Write what failed."""
        self._log("ERROR", message, facts)

    def count(self, metrics: Sequence[Metric], **facts: Any) -> None:
        """
        Write metrics, with the function's name for their dimension.

        :param facts: what else to keep beside them, to search by.
        """
        declared = {
            "Namespace": os.environ.get(NAMESPACE_VARIABLE) or DEFAULT_NAMESPACE,
            "Dimensions": [["FunctionName"]],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in metrics],
        }
        milliseconds = int(datetime.now(timezone.utc).timestamp() * 1000)
        self._write(
            {
                "_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [declared]},
                "FunctionName": self._context.function_name,
                "requestId": self._context.aws_request_id,
                **facts,
                **{metric.name: metric.value for metric in metrics},
            }
        )

    def _log(self, level: str, message: str, facts: dict[str, Any]) -> None:
        # The names that Lambda's own JSON logs have, so that one query finds both.
        self._write(
            {
                "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "level": level,
                "message": message,
                "requestId": self._context.aws_request_id,
                **facts,
            }
        )

    def _write(self, line: dict[str, Any]) -> None:
        out = self._out or sys.stdout
        # Nothing of it stops the function, or grows into megabytes of log.
        out.write(f"{json.dumps(safe_value(line), default=str)}\n")
        out.flush()
