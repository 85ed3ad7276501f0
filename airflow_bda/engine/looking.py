"""Single looks at a job, without an event loop: what a sensor does that pokes, and a task before it defers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from airflow_bda.engine.judging import Sightings, Verdict, explain, judge
from airflow_bda.engine.pacing import full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.service.statuses import JobState

Ask: TypeAlias = "Callable[[str], JobState]"
_PAUSE_FIRST_SECONDS = 1.0
_PAUSE_LONGEST_SECONDS = 10.0


class Looker:
    """
    Looks at one job, and remembers from look to look what a poller would.

    :param open_client: makes a client from the connection as it is now, and returns what asks it for a status; called
        again when the credentials have failed. Both raise as botocore does.
    :param tell: logs one line.
    :param seconds_left: how long the whole wait may go on; a look lasts no longer.
    :param job_age: how old the job is, at least, in seconds.
    :param worked_before: whether the connection is known to have worked in another process.
    """

    def __init__(  # noqa: PLR0913  what a look depends on
        self,
        invocation_arn: str,
        *,
        open_client: Callable[[], Ask],
        tell: Callable[[str], None],
        seconds_left: Callable[[], float],
        job_age: Callable[[], float],
        worked_before: bool = False,
    ) -> None:
        self.seen = Sightings(invocation_arn, tell, worked_before=worked_before)
        self._arn = invocation_arn
        self._open_client = open_client
        self._ask: Ask | None = None
        self._seconds_left = seconds_left
        self._job_age = job_age

    def look(self) -> JobState | None:
        """
        Look once. A connection that never worked is tried for a minute first, so that any later look can rely on it.

        :return: the state; None when there is none to be had now, and waiting goes on.
        :raises BdaError: when the call was refused in a way that waiting does not change.
        """
        tries = 0
        while True:
            try:
                if self._ask is None:
                    self._ask = self._open_client()
                state = self._ask(self._arn)
            except Exception as error:  # noqa: BLE001  what is not known to pass is raised again, explained
                if not self._is_to_be_repeated(error):
                    return None
            else:
                self.seen.saw(state)
                return state
            pause = full_jitter(tries, first=_PAUSE_FIRST_SECONDS, longest=_PAUSE_LONGEST_SECONDS)
            time.sleep(min(pause, max(0.0, self._seconds_left())))
            tries += 1

    def _is_to_be_repeated(self, error: Exception) -> bool:
        """Judge a failure: whether to look again at once, or later; raises what ends the wait."""
        now = time.monotonic()
        known = self.seen.known(now=now, job_age=self._job_age())
        verdict = judge(error, known, while_opening=self._ask is None)
        if verdict is Verdict.FAIL:
            raise explain(error, self._arn) from error
        self.seen.failed(error, verdict, now=now)
        if verdict is Verdict.REOPEN:
            self._ask = None
        may_be_wrong = not (self.seen.was_reached or self.seen.has_worked or self.seen.worked_before)
        return may_be_wrong and self._seconds_left() > 0
