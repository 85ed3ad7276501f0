"""Lambda's context, with a time that only passes when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4


@dataclass
class LambdaContext:
    """What Lambda passes beside an event."""

    remaining_seconds: float = 60.0
    function_name: str = "bda"
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:bda"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining_seconds * 1000)

    def sleep(self, seconds: float) -> None:
        self.remaining_seconds -= seconds
