"""Starting data automation jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.operators.bda import BdaInvokeOperator
    from airflow_bda.operators.bda_lambda import BdaLambdaInvokeOperator
    from airflow_bda.operators.bda_preflight import BdaPreflightOperator

__all__ = ["BdaInvokeOperator", "BdaLambdaInvokeOperator", "BdaPreflightOperator"]


def __getattr__(name: str) -> Any:
    if name == "BdaInvokeOperator":
        from airflow_bda.operators.bda import BdaInvokeOperator

        return BdaInvokeOperator
    if name == "BdaPreflightOperator":
        from airflow_bda.operators.bda_preflight import BdaPreflightOperator

        return BdaPreflightOperator
    if name == "BdaLambdaInvokeOperator":
        from airflow_bda.operators.bda_lambda import BdaLambdaInvokeOperator

        return BdaLambdaInvokeOperator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
