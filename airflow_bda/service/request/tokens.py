"""
The client token that makes one document one job: the same for every try at the same piece of work.

The service answers a second call with the same token with the first one's invocation
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class TaskIdentity:
    """
    Which piece of work a task instance is, whichever of its tries is running.

    :param map_index: -1 for a task that is not mapped.
    :param life: facts that stay the same from try to try, and differ after a clear or in a run that was made anew.
    :param loop: the region and the iteration of a Task Loop (Airflow 3.4); None outside of loops.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    life: tuple[str, ...] = ()
    loop: tuple[str, int] | None = None

    def digest(self) -> str:
        """Return the SHA-256 of the identity, as 64 hex digits."""
        return _digest(self._parts())

    def client_token(self, request_digest: str, generation: int) -> str:
        """
        Return the client token for this piece of work, as 64 hex digits.

        :param request_digest: :meth:`InvocationRequest.digest` of what is asked for.
        :param generation: 0 at first, one more for each invocation that was seen to end in ``ServiceError``.
        """
        return _digest([*self._parts(), request_digest, generation])

    def _parts(self) -> list[object]:
        parts: list[object] = [self.dag_id, self.run_id, self.task_id, self.map_index, list(self.life)]
        # Left out where there is none, so that tokens are the same on versions without loops.
        return parts if self.loop is None else [*parts, list(self.loop)]


def _digest(parts: list[object]) -> str:
    # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") are different texts.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
