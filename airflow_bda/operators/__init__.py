"""Starting data automation jobs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_bda.operators.bda import BdaInvokeOperator
    from airflow_bda.operators.bda_apply_project import BdaApplyProjectOperator
    from airflow_bda.operators.bda_batch import BdaBatchOperator
    from airflow_bda.operators.bda_lambda import BdaLambdaInvokeOperator
    from airflow_bda.operators.bda_preflight import BdaPreflightOperator
    from airflow_bda.operators.bda_results import BdaResultsOperator
    from airflow_bda.operators.bda_review import BdaReviewOperator

__all__ = [
    "BdaApplyProjectOperator",
    "BdaBatchOperator",
    "BdaInvokeOperator",
    "BdaLambdaInvokeOperator",
    "BdaPreflightOperator",
    "BdaResultsOperator",
    "BdaReviewOperator",
]

_MODULES = {
    "BdaApplyProjectOperator": "bda_apply_project",
    "BdaBatchOperator": "bda_batch",
    "BdaInvokeOperator": "bda",
    "BdaLambdaInvokeOperator": "bda_lambda",
    "BdaPreflightOperator": "bda_preflight",
    "BdaResultsOperator": "bda_results",
    "BdaReviewOperator": "bda_review",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
