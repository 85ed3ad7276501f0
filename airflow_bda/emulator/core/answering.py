"""How both of BDA's APIs answer a call: limits, faults, permissions and the model's checks come before the work."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from uuid import uuid4

from botocore.exceptions import ConnectionClosedError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from moto.core.responses import BaseResponse

from airflow_bda.emulator.aws.iam_callers import Place, caller_of
from airflow_bda.emulator.core import api_errors
from airflow_bda.emulator.core.api_errors import ApiError
from airflow_bda.emulator.core.faults import Fault, FaultKind
from airflow_bda.service.model import find_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel

    from airflow_bda.emulator.aws.iam_callers import Caller

logger = logging.getLogger(__name__)

Answer = tuple[int, dict[str, str], str]


class RateLimiter:
    """
    Count each operation's calls against its rate; a second's worth may come at once.

    Its ``calls`` are how often each operation was called, refused calls included.

    :param clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        self.calls: Counter[str] = Counter()

    def allows(self, operation: str, rate: float | None) -> bool:
        """
        Count one call; False when it comes too fast.

        :param rate: calls per second; None for no limit.
        """
        with self._lock:
            self.calls[operation] += 1
            if rate is None:
                return True
            burst = max(rate, 1.0)
            now = self._clock()
            tokens, filled_at = self._buckets.get(operation, (burst, now))
            tokens = min(burst, tokens + (now - filled_at) * rate)
            allowed = tokens >= 1
            self._buckets[operation] = (tokens - 1 if allowed else tokens, now)
        return allowed


@dataclass(frozen=True)
class Call:
    """
    An operation, and what the path of its request says.

    :param model: None for a call that is in no service model, and whose members are not checked for that reason.
    """

    operation: str
    model: OperationModel | None
    path_members: Mapping[str, str]


@cache
def model_of(service: str) -> ServiceModel:
    """Read a service model of the installed botocore."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


class ApiResponse(BaseResponse):
    """One request to one of the two APIs. A subclass has the protocol and the operations."""

    service: ClassVar[str]
    content_type: ClassVar[str]
    # What a body that cannot be read is called; the two protocols differ in it.
    unreadable: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(service_name=self.service)

    def call_action(self) -> Answer:
        """Answer the request that moto has parsed."""
        try:
            call = self.find_call()
            answer, spoilers = self._perform(call)
        except ApiError as error:
            return self.send_error(error)
        except ConnectionClosedError:
            raise
        except Exception as error:
            logger.exception("The emulator could not answer %s %s", self.method, self.uri)
            return self.send_error(api_errors.internal_error(f"{type(error).__name__}: {error}"))
        return self._send_spoilt(call, answer, spoilers)

    # -- what a subclass implements

    def find_call(self) -> Call:
        """
        Find the operation.

        :raises ApiError: when there is none.
        """
        raise NotImplementedError

    def find_backend(self) -> Any:
        """
        Return the backend of the caller's account in the region that was called.

        :raises KeyError: when there is no such region.
        """
        raise NotImplementedError

    def check_access(self, caller: Caller, call: Call, params: Mapping[str, Any], place: Place) -> None:
        """
        Check that the caller may make the call.

        :raises ApiError: when it may not.
        """
        raise NotImplementedError

    def work(self, backend: Any, call: Call, params: Mapping[str, Any]) -> dict[str, Any]:
        """Run the operation, and return the answer's members."""
        raise NotImplementedError

    def send_error(self, error: ApiError) -> Answer:
        """Send a refusal as the API's protocol has it."""
        raise NotImplementedError

    # -- the same for both

    def _perform(self, call: Call) -> tuple[dict[str, Any], list[Fault]]:
        try:
            backend = self.find_backend()
        except KeyError:
            raise api_errors.unknown_region(self.region) from None
        settings, faults = backend.emulator.settings, backend.emulator.faults
        if not backend.limiter.allows(call.operation, settings.requests_per_second.get(call.operation)):
            raise api_errors.throttled()
        if fault := faults.before_call(call.operation):
            if fault.kind is FaultKind.DROPPED_REQUEST:
                self._drop_connection()
            raise api_errors.error_of_fault(fault.kind, fault.error_message)
        params = {**self.read_members(call), **call.path_members}
        if settings.enforce_iam:
            place = Place(self.region, self.current_account, backend.partition)
            self.check_access(caller_of(self.headers, place), call, params, place)
        if call.model is not None:
            api_errors.refuse_problems(find_problems(call.model.input_shape, params, ""))
        return self.work(backend, call, params), faults.after_call(call.operation)

    def read_members(self, call: Call) -> dict[str, Any]:  # noqa: ARG002  a subclass also reads the query
        """
        Read the members that the body has; what is null is not there.

        :raises ApiError: for a body that is not JSON, not an object, or nested too deeply to be read.
        """
        try:
            members = json.loads(self.body or b"{}", parse_constant=_refuse_constant)
            # Text that UTF-8 cannot hold, half an emoji for one, could be neither stored nor sent again.
            json.dumps(members, ensure_ascii=False).encode()
            pruned = _without_nulls(members)
        except (ValueError, RecursionError) as error:
            raise ApiError(self.unreadable, f"The request's body is not valid JSON: {error}") from error
        if not isinstance(pruned, dict):
            raise ApiError(self.unreadable, "The request's body must be a JSON object.")
        return pruned

    def _drop_connection(self) -> NoReturn:
        # In a process botocore takes this for a connection that broke; the server turns it into one.
        raise ConnectionClosedError(endpoint_url=self.uri)

    def _send_spoilt(self, call: Call, answer: dict[str, Any], spoilers: list[Fault]) -> Answer:
        kinds = {fault.kind for fault in spoilers}
        if FaultKind.LOST_ANSWER in kinds:
            self._drop_connection()
        if FaultKind.UNKNOWN_MEMBERS in kinds:
            answer = answer | {"unknownMember": {"operation": call.operation, "values": [1, None, "two"]}}
        for fault in spoilers:
            if fault.kind is FaultKind.UNKNOWN_STATUS and "status" in answer:
                answer = answer | {"status": fault.status or "Pondering"}
        http_status = int(call.model.http.get("responseCode", 200)) if call.model else 200
        status, headers, body = self.send(http_status, answer)
        if FaultKind.NOT_JSON in kinds:
            return status, headers | {"Content-Type": "text/html"}, "<html><body>502 Bad Gateway</body></html>"
        return status, headers, body

    def send(self, http_status: int, document: Mapping[str, Any], **headers: str) -> Answer:
        """Send a document."""
        own = {
            **self.response_headers,
            # moto's own responses carry their status here too, and parts of moto read it.
            "status": str(http_status),
            "Content-Type": self.content_type,
            "x-amzn-RequestId": str(uuid4()),
        }
        return http_status, own | headers, json.dumps(document)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value
