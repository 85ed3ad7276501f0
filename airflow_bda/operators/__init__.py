"""Operators that start data automation jobs and use their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bda import names_of

if TYPE_CHECKING:
    from airflow_bda.operators.bda import BdaInvokeOperator
    from airflow_bda.operators.bda_apply_project import BdaApplyProjectOperator
    from airflow_bda.operators.bda_batch import BdaBatchOperator
    from airflow_bda.operators.bda_lambda import BdaLambdaInvokeOperator
    from airflow_bda.operators.bda_preflight import BdaPreflightOperator
    from airflow_bda.operators.bda_results import BdaResultsOperator
    from airflow_bda.operators.bda_review import BdaReviewOperator
    from airflow_bda.operators.bda_sync import BdaInvokeSyncOperator

__all__ = [
    "BdaApplyProjectOperator",
    "BdaBatchOperator",
    "BdaInvokeOperator",
    "BdaInvokeSyncOperator",
    "BdaLambdaInvokeOperator",
    "BdaPreflightOperator",
    "BdaResultsOperator",
    "BdaReviewOperator",
]

_MODULES = {
    "BdaApplyProjectOperator": "bda_apply_project",
    "BdaBatchOperator": "bda_batch",
    "BdaInvokeOperator": "bda",
    "BdaInvokeSyncOperator": "bda_sync",
    "BdaLambdaInvokeOperator": "bda_lambda",
    "BdaPreflightOperator": "bda_preflight",
    "BdaResultsOperator": "bda_results",
    "BdaReviewOperator": "bda_review",
}

__getattr__ = names_of(__name__, _MODULES)
