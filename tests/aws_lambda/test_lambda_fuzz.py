"""Random input from outside: events, batches of events, status answers, answers of the function, events for it."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_bda._compat import safe_event
from airflow_bda.aws_lambda import handler, job_events
from airflow_bda.service.errors import BdaError
from airflow_bda.service.events import JobEvent
from airflow_bda.service.lambda_interface import ARGUMENT_OF_KEY, Answer
from airflow_bda.service.safe_values import MOST_CHARACTERS, MOST_ITEMS
from airflow_bda.service.statuses import JobOutcome, JobState, UnexpectedAnswerError

# Longer by `make test-fuzz`.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3000"))
LARGEST = 4 * MOST_CHARACTERS + 10 * MOST_ITEMS
ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/0266d013-0000-0000-0000-000000000000"
CONTEXT = SimpleNamespace(
    aws_request_id="7a1b2c3d",
    function_name="f",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    get_remaining_time_in_millis=lambda: 1000,
)

TEXT = st.text(st.characters(codec=None, categories=None), max_size=30) | st.sampled_from(
    ["\ud800", "\0", "aws.bedrock", "123456789012", "us-east-1", "s3://bucket/key", "a" * 5000, "{}", "null", ARN]
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def mapping_of(*names: str) -> st.SearchStrategy:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUE))


LOCATION = VALUE | mapping_of("s3_bucket", "name", "s3_key")
DETAIL = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("job_id", "job_status", "semantic_modality", "error_message", "job_duration_in_seconds"), VALUE
        ),
        "input_s3_object": LOCATION,
        "output_s3_location": LOCATION,
    },
)
DETAIL_TYPES = st.sampled_from(
    ["Bedrock Data Automation Job Succeeded", "Bedrock Data Automation Job Failed With Client Error"]
)
EVENT = st.fixed_dictionaries(
    {"detail-type": DETAIL_TYPES | VALUE},
    optional={"detail": DETAIL | VALUE, **dict.fromkeys(("id", "source", "account", "region", "time"), VALUE)},
)
BATCH = st.fixed_dictionaries(
    {
        "Records": st.lists(
            VALUE
            | st.fixed_dictionaries(
                {"body": EVENT.map(json.dumps) | VALUE},
                optional={"eventSource": st.just("aws:sqs") | VALUE, "messageId": VALUE, "Sns": VALUE},
            ),
            max_size=3,
        )
    }
)
REQUEST = st.fixed_dictionaries({}, optional=dict.fromkeys([*ARGUMENT_OF_KEY, "invocationArn", "other"], VALUE))
STATUS = mapping_of("status", "errorType", "errorMessage", "jobDurationInSeconds")
REPLY = st.fixed_dictionaries(
    {},
    optional={"statusCode": st.sampled_from([200, 400, 500]) | VALUE, "body": VALUE.map(json.dumps) | VALUE},
)


def check_storable(value: object) -> None:
    import msgspec

    msgspec.msgpack.encode(value)
    written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    assert len(written) < LARGEST
    assert b"\\u0000" not in written


def check_event(content) -> None:
    try:
        event = JobEvent.parse(content)
    except BdaError as error:
        check_storable(str(error))
        return
    check_storable(safe_event(event.to_dict()).payload)
    check_storable(event.key)


def check_status(answer) -> None:
    try:
        state = JobState.from_response(ARN, answer)
    except (UnexpectedAnswerError, BdaError):
        return
    check_storable(state.describe())
    if state.status.is_terminal:
        check_storable(safe_event(JobOutcome.of_state(state).to_event()).payload)


def check_reply(reply) -> None:
    try:
        answer = Answer.parse(json.dumps(reply), "f")
        for read in (answer.invocation_arn, lambda: answer.state(ARN).describe(), lambda: answer.warnings):
            try:
                check_storable(read())
            except BdaError as error:
                check_storable(str(error))
    except BdaError as error:
        check_storable(str(error))


def check_function(handle, event) -> None:
    lines = io.StringIO()
    with redirect_stdout(lines):
        try:
            answer = handle(event, CONTEXT)
        except BdaError as error:
            check_storable(str(error))
        else:
            json.dumps(answer, allow_nan=False).encode()
    for line in lines.getvalue().splitlines():
        check_storable(json.loads(line))


CHECKS = {
    "an event": (EVENT, check_event),
    "an event as text": (EVENT.map(json.dumps) | TEXT, check_event),
    "a status": (STATUS, check_status),
    "an answer of the function": (REPLY, check_reply),
    "a batch of events": (BATCH | EVENT, lambda event: check_function(job_events.handle, event)),
    "an event for the function": (REQUEST | VALUE, lambda event: check_function(handler.handle, event)),
}
_SHARED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.fixture(autouse=True)
def _no_call_is_made(monkeypatch):
    """Refuse every call: what an event is, is decided before."""
    from botocore.exceptions import ClientError

    def refuse(**_):
        raise ClientError({"Error": {"Code": "ValidationException", "Message": "no \ud800"}}, "Any")

    client = SimpleNamespace(invoke_data_automation_async=refuse, get_data_automation_status=refuse)
    monkeypatch.setattr(handler, "bda_client", lambda _: client)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=60, derandomize=True, **_SHARED)
@given(data=st.data())
def test_no_input_breaks_it(name, data):
    values, check = CHECKS[name]
    check(data.draw(values))


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=EXAMPLES, **_SHARED)
@given(data=st.data())
def test_no_input_breaks_it_for_long(name, data):
    values, check = CHECKS[name]
    check(data.draw(values))
