"""Start the jobs of a batch's documents, with one token for all tries, and no faster than the gate allows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_bda.engine.batch.documents import BY_CLEAR, BY_RETRY, Document, client_token
from airflow_bda.engine.batch.store import with_retries
from airflow_bda.service.aws_errors import Failure, classify, error_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_bda.engine.batch.ledger import Ledger
    from airflow_bda.engine.batch.store import Store
    from airflow_bda.engine.batch.throttle import Gate, Permit
    from airflow_bda.engine.waiting import StatusConnection, WaitLimits
    from airflow_bda.service.errors import BdaError
    from airflow_bda.service.request import InvocationRequest

# An error that all documents get looks like the error of one. After so many in a row without a success it concerns all.
_REFUSALS_OF_ALL = 5
_DENIALS_OF_ALL = 20
# As for a single document: an endpoint that was never reached is more often a typing error than an outage.
_TRIES_TO_REACH = 6
# The row's members for an object that was deleted.
VANISHED = {"error_type": "Vanished", "error": "There is no such object any more.", "again": BY_CLEAR}


class Jobs(Protocol):
    """BDA, as a batch needs it."""

    @property
    def connection(self) -> StatusConnection:
        """The connection for status calls; batches and waits of one identity share a poller."""

    @property
    def limits(self) -> WaitLimits:
        """The limits from Airflow's configuration."""

    def request(self, job: dict[str, Any], input_s3_uri: str) -> InvocationRequest:
        """
        Return the request for one document.

        :raises BdaRequestError: when the request is not valid.
        """

    async def invoke(self, request: InvocationRequest) -> str:
        """Start a job, or find the one that the request's token started; raises what its client raises."""

    async def explain(self, error: Exception, request: InvocationRequest) -> BdaError:
        """Return the error of a refused call, with what to do about it."""


@dataclass(frozen=True)
class Ready:
    """A document whose job is to be started, or to be waited for."""

    index: int
    document: Document
    generation: int
    arn: str | None = None
    submitted_at: datetime | None = None


class RefusedError(Exception):
    """
    The service refused one document; never leaves the engine.

    :param known: the members of the document's row.
    """

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(known)
        self.known = known


async def look_up(store: Store, uri: str) -> Document | None:
    """Return an object as it is now; None where there is none."""
    return await with_retries(lambda: store.head(uri), operation=f"Looking {uri} up")


class Starter:
    """
    Starts jobs, and distinguishes an error of one document from one that all would get.

    :param gate: when a call may be made.
    :param now: returns the current time.
    """

    def __init__(self, ledger: Ledger, jobs: Jobs, gate: Gate, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._gate = gate
        self._now = now
        self._has_started = self._was_reached = False
        self._failed_tries = self._refused_in_a_row = 0

    async def start(self, ready: Ready) -> tuple[Ready, Permit]:
        """
        Start a document's job, and retry until the call succeeds or is refused.

        :return: the document with its job's ARN, and the permit of the call, for the gate.
        :raises RefusedError: when the service refuses this document.
        :raises BdaError: when it would refuse every document.
        """
        request = self._jobs.request(self._ledger.state.job, ready.document.uri)
        token = client_token(str(self._ledger.state.life), ready.document, request.digest(), ready.generation)
        request = request.with_client_token(token)
        while True:
            permit = await self._gate.enter()
            try:
                arn = await self._jobs.invoke(request)
            except asyncio.CancelledError:
                self._gate.abandoned(permit)
                raise
            except Exception as error:
                if await self._may_pass(error, request, permit):
                    continue
                self._gate.denied(permit)
                raise RefusedError(await self._why_refused(ready, error, request)) from error
            self._has_started = self._was_reached = True
            self._refused_in_a_row = 0
            self._gate.started()
            submitted_at = self._now()
            self._ledger.note({"t": "job", "i": ready.index, "arn": arn, "at": submitted_at.isoformat()})
            return replace(ready, arn=arn, submitted_at=submitted_at), permit

    async def _may_pass(self, error: Exception, request: InvocationRequest, permit: Permit) -> bool:
        kind = classify(error)
        if kind is not Failure.UNREACHABLE:
            self._was_reached = True
        if not kind.is_passing:
            return False
        explained = await self._jobs.explain(error, request)
        is_quota = error_code(error) == "ServiceQuotaExceededException"
        # Calls that fail together count as one try.
        reason = str(explained).partition("\n")[0]
        self._failed_tries += self._gate.refused(permit, reason, is_quota=is_quota)
        if not self._was_reached and self._failed_tries >= _TRIES_TO_REACH:
            raise explained
        return True

    async def _why_refused(self, ready: Ready, error: Exception, request: InvocationRequest) -> dict[str, Any]:
        """Return the row's members for a refused document; raise an error that all documents would get."""
        # The service returns the same error for an object that is missing and for one that may not be read.
        if await look_up(self._ledger.folder.store, ready.document.uri) is None:
            return VANISHED
        kind = classify(error)
        explained = await self._jobs.explain(error, request)
        self._refused_in_a_row += 1
        if kind is Failure.PERMISSION:
            concerns_all = not self._has_started or self._refused_in_a_row >= _DENIALS_OF_ALL
        else:
            concerns_all = not self._has_started and self._refused_in_a_row >= _REFUSALS_OF_ALL
        if concerns_all or kind in {Failure.CREDENTIALS, Failure.NO_REGION}:
            raise explained
        text = explained.error_message or str(explained)
        return {"error_type": explained.error_type, "error": text, "again": BY_RETRY}
