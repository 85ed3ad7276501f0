"""Single looks at a job, without an event loop: what a sensor does that pokes, and a task before it defers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_bda.engine.judging import Sightings, Verdict, explain, judge
from airflow_bda.engine.pacing import full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.service.errors import BdaError
    from airflow_bda.service.statuses import JobState

_PAUSE_FIRST_SECONDS = 1.0
_PAUSE_LONGEST_SECONDS = 10.0


class StatusClient(Protocol):
    """One authenticated client that asks for statuses and blocks meanwhile."""

    @property
    def conn(self) -> Any:
        """Makes the client, when it is first asked for."""

    def ask_status(self, invocation_arn: str) -> JobState:
        """Ask once; raises as botocore does."""


class Looker:
    """
    Looks at one job, and remembers from look to look what a poller would.

    :param open_client: makes a client from the connection as it is now; called again when its credentials have failed.
    :param tell: logs one line.
    :param seconds_left: how long the whole wait may go on; a look lasts no longer.
    :param job_age: how old the job is, at least, in seconds.
    :param worked_before: whether the connection is known to have worked in another process.
    """

    def __init__(  # noqa: PLR0913  what a look depends on
        self,
        invocation_arn: str,
        *,
        open_client: Callable[[], StatusClient],
        tell: Callable[[str], None],
        seconds_left: Callable[[], float],
        job_age: Callable[[], float],
        worked_before: bool = False,
    ) -> None:
        self.seen = Sightings(invocation_arn, tell, worked_before=worked_before)
        self._arn = invocation_arn
        self._open_client = open_client
        self._client: StatusClient | None = None
        self._seconds_left = seconds_left
        self._job_age = job_age

    @property
    def last_state(self) -> JobState | None:
        """What the last look that was answered saw."""
        return self.seen.state

    @property
    def last_failure(self) -> BdaError | None:
        """What the last look failed with; None when it was answered."""
        return self.seen.last_failure

    def look(self) -> JobState | None:
        """
        Look once. A connection that never worked is tried for a minute first, so that any later look can rely on it.

        :return: the state; None when there is none to be had now, and waiting goes on.
        :raises BdaError: when the call was refused in a way that waiting does not mend.
        """
        tries = 0
        while True:
            try:
                state = self._ask()
            except Exception as error:  # noqa: BLE001  what is not known to pass is raised again, explained
                if not self._is_to_be_repeated(error):
                    return None
            else:
                self.seen.saw(state)
                return state
            time.sleep(min(self._pause(tries), max(0.0, self._seconds_left())))
            tries += 1

    def _ask(self) -> JobState:
        if self._client is None:
            client = self._open_client()
            # Made here, so that a client that cannot be made is told from a call that fails.
            client.conn  # noqa: B018
            self._client = client
        return self._client.ask_status(self._arn)

    def _is_to_be_repeated(self, error: Exception) -> bool:
        """Judge a failure: whether to look again at once, or later; raises what ends the wait."""
        now = time.monotonic()
        known = self.seen.known(now=now, job_age=self._job_age())
        verdict = judge(error, known, while_opening=self._client is None)
        if verdict is Verdict.FAIL:
            raise explain(error, self._arn) from error
        self.seen.failed(error, verdict, now=now)
        if verdict is Verdict.REOPEN:
            self._client = None
        may_be_wrong = not (self.seen.was_reached or self.seen.has_worked or self.seen.worked_before)
        return may_be_wrong and self._seconds_left() > 0

    @staticmethod
    def _pause(tries: int) -> float:
        return full_jitter(tries, first=_PAUSE_FIRST_SECONDS, longest=_PAUSE_LONGEST_SECONDS)
