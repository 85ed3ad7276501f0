"""
The interface of the Lambda function: the keys of its events, and what its answers mean.

Both ends read them from here: the function, and the operator that invokes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_bda.service.errors import BdaConnectionError, BdaError, BdaPermissionError, BdaRequestError
from airflow_bda.service.model import GET_STATUS, validate
from airflow_bda.service.safe_values import safe_text, safe_value
from airflow_bda.service.statuses import JobState, JobStatus

if TYPE_CHECKING:
    from airflow_bda.service.request.request import InvocationRequest

INVOCATION_ARN = "invocationArn"
ARGUMENT_OF_KEY: Mapping[str, str] = MappingProxyType(
    {
        "inputS3Uri": "input_s3_uri",
        "outputS3Uri": "output_s3_uri",
        "profileArn": "profile_arn",
        "projectArn": "project_arn",
        "projectStage": "project_stage",
        "blueprints": "blueprints",
        "videoSegment": "video_segment",
        "enableEventBridge": "event_bridge_enabled",
        "kmsKeyId": "kms_key_id",
        "kmsEncryptionContext": "kms_encryption_context",
        "tags": "tags",
        "clientToken": "client_token",
    }
)
OK = 200
BAD_REQUEST = 400
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY_REQUESTS = 429
FAILED = 500


def invoke_event(request: InvocationRequest) -> dict[str, Any]:
    """Return the event that asks for a request's job; the function finds the profile where the request has none."""
    event = {key: request.argument(argument) for key, argument in ARGUMENT_OF_KEY.items()}
    return {key: value for key, value in event.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """
    What the function answered.

    :param code: as HTTP has it.
    """

    code: int
    body: Mapping[str, Any]

    @classmethod
    def parse(cls, payload: str | bytes, function_name: str) -> Answer:
        """
        Read an answer.

        :param function_name: who gave it, for the error's text.
        :raises BdaError: when it is not the bundled function's.
        """
        try:
            read = json.loads(payload)
            body = json.loads(read["body"])
            return cls(int(read["statusCode"]), safe_value(dict(body)))
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            raise BdaError(
                f"The function {function_name} returned an answer without a statusCode and a JSON body.",
                remedy="Check function_name: the function must be the one of `airflow-bda lambda package`, or answer "
                "as it does.",
            ) from None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the function about the event."""
        return tuple(map(str, self.body.get("warnings") or ()))

    def invocation_arn(self) -> str:
        """
        Return the invocation that an invoke event led to.

        :raises BdaError: what the function said otherwise.
        """
        if self.code != OK:
            raise self.error()
        arn = self.body.get(INVOCATION_ARN)
        if validate(GET_STATUS, {INVOCATION_ARN: arn}):
            raise BdaError(f"The function's answer holds no valid {INVOCATION_ARN}: {safe_text(arn)!r}.")
        return str(arn)

    def state(self, invocation_arn: str) -> JobState:
        """
        Return the state that a status event asked for.

        :raises BdaError: what the function said otherwise.
        """
        if self.code != OK:
            raise self.error()
        text = str(self.body.get("status") or "")
        error = self.body.get("error")
        failure = error if isinstance(error, Mapping) else {}
        return JobState(
            invocation_arn=invocation_arn,
            status=JobStatus.parse(text),
            status_text=text,
            output_metadata_uri=self.body.get("outputLocation"),
            error_type=failure.get("type"),
            error_message=failure.get("message"),
            submitted_at=_time(self.body.get("submissionTime")),
            completed_at=_time(self.body.get("completionTime")),
        )

    def error(self) -> BdaError:
        """Return the error that the function answered with, in the class of its code."""
        said = str(self.body.get("error") or f"it answered with the code {self.code}")
        message = f"The Lambda function refused or failed: {said}"
        # Its text mostly has the problems in it already.
        problems = [text for text in map(str, self.body.get("problems") or ()) if text not in said]
        error_type = self.body.get("errorType")
        if self.code in {BAD_REQUEST, NOT_FOUND}:
            return BdaRequestError(message, problems=problems, error_type=error_type)
        error_class = {FORBIDDEN: BdaPermissionError}.get(self.code, BdaError)
        if self.code == TOO_MANY_REQUESTS or self.code >= FAILED:
            error_class = BdaConnectionError
        return error_class(" ".join([message, *problems]), error_type=error_type)


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
