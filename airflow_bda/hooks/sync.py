"""The call that is answered at once, InvokeDataAutomation: sent again only where it was certainly not taken."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_bda.engine.pacing import full_jitter
from airflow_bda.hooks import telemetry
from airflow_bda.service import json_reading
from airflow_bda.service.arns import PROFILE_OF_REGION, UnknownRegionError
from airflow_bda.service.aws_errors import CALL_FAILURES, call_error, error_code, reading_answers
from airflow_bda.service.model import INVOKE_SYNC
from airflow_bda.service.results.job_result import result_of_answer
from airflow_bda.service.safe_values import make_responses_encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.hooks.bda import BdaHook
    from airflow_bda.service.request.sync_request import SyncRequest
    from airflow_bda.service.results.job_result import JobResult

# There is no client token: a call that is sent again after its answer was lost is processed, and billed, once more. So
# botocore, which repeats calls after time-outs and faults of the service, may not.
_ONCE = {"total_max_attempts": 1, "mode": "standard"}
# Ten pages, the most that the call takes, may well need longer than botocore's 60 seconds.
_READ_TIMEOUT_SECONDS = 300
# Refused before any work.
_NOT_TAKEN = frozenset(
    {
        "RequestLimitExceeded",
        "ServiceQuotaExceededException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0


@dataclass(frozen=True, repr=False)
class SyncAnswer:
    """
    What the service answered.

    :param output_metadata_uri: the URI of ``job_metadata.json``, where the request named an output on S3.
    :param result: what was found, where it did not.
    """

    output_metadata_uri: str | None
    result: JobResult | None

    def __repr__(self) -> str:
        return f"SyncAnswer({self.output_metadata_uri or self.result!r})"


def build_sync_request(hook: BdaHook, arguments: Mapping[str, Any]) -> SyncRequest:
    """Check the arguments of a call, and derive its profile where none is given; see :meth:`BdaHook.invoke_sync`."""
    from airflow_bda.service.request import sync_request

    region = hook.known_region()
    problems = []
    has_profile = arguments.get("profile_arn") is not None
    if not has_profile and region not in PROFILE_OF_REGION:
        problems.append(f"profile_arn: {UnknownRegionError(region)}")
    request = sync_request.build_sync_request(**arguments, region=region, problems=problems)
    return request if has_profile else request.with_profile(hook.derive_profile_arn())


def invoke_sync(hook: BdaHook, request: SyncRequest, *, deadline: datetime) -> SyncAnswer:
    """
    Make the call, and wait out throttling, until the deadline at most.

    :raises BdaError: explained.
    """
    try:
        answer = _call_once(hook, request, deadline=deadline)
    except CALL_FAILURES as error:
        raise call_error(error, operation=INVOKE_SYNC, input_s3_uri=request.input_s3_uri) from error
    uri = json_reading.text(json_reading.mapping(answer, "outputConfiguration"), "s3Uri")
    return SyncAnswer(uri, None if uri else result_of_answer(answer, input_s3_uri=request.input_s3_uri))


def _call_once(hook: BdaHook, request: SyncRequest, *, deadline: datetime) -> dict[str, Any]:
    config = Config(read_timeout=_READ_TIMEOUT_SECONDS).merge(hook.config).merge(Config(retries=_ONCE))
    client = make_responses_encodable(hook.get_client_type(config=config))
    tries = 0
    while True:
        try:
            with telemetry.throttles(), reading_answers():
                return dict(client.invoke_data_automation(**request.to_api()))
        except ClientError as error:
            seconds_left = (deadline - datetime.now(timezone.utc)).total_seconds()
            if error_code(error) not in _NOT_TAKEN or seconds_left <= 0:
                raise
        pause = full_jitter(tries, first=_FIRST_PAUSE_SECONDS, longest=_LONGEST_PAUSE_SECONDS)
        tries += 1
        time.sleep(min(pause, seconds_left))
