"""
The client token that makes one document one job: the same for every try at the same piece of work.

The service answers a second call with the same token with the first one's invocation
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_bda.service.request.request import InvocationRequest


@dataclass(frozen=True)
class TaskIdentity:
    """
    Which piece of work a task instance is, whichever of its tries is running.

    :param map_index: -1 for a task that is not mapped.
    :param clears: how often the task was cleared; a retry does not count.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    clears: int


def client_token(identity: TaskIdentity, request: InvocationRequest, generation: int) -> str:
    """
    Give the token for a piece of work, as 64 hex digits.

    :param generation: 0 at first, one more for each invocation that was seen to end in ``ServiceError``.
    """
    # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") are different texts.
    parts = json.dumps([*astuple(identity), request.digest(), generation])
    return hashlib.sha256(parts.encode()).hexdigest()
