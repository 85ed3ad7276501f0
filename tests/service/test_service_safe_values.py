"""What comes from outside cannot end a process of Airflow's: the one place that makes texts, numbers and sizes safe."""

from __future__ import annotations

import ast
import json
import logging
import math
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

import airflow_bda
from airflow_bda._compat import safe_event
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.safe_values import (
    LONGEST_TEXT,
    MOST_CHARACTERS,
    MOST_ITEMS,
    SafeLogger,
    encodable,
    make_responses_encodable,
    safe_logger,
    safe_number,
    safe_text,
    safe_value,
)
from airflow_bda.service.statuses import JobOutcome, JobState, JobStatus

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/0266d013-0000-0000-0000-000000000000"
# Hypothesis leaves surrogates out unless it is asked for them.
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=200)
ANY_NUMBER = st.integers() | st.floats(allow_nan=True, allow_infinity=True)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ANY_TEXT, inner, max_size=5),
    max_leaves=30,
)
try:
    import structlog
except ImportError:  # Airflow 2 logs without it
    LOGGERS = (safe_logger("airflow_bda.tests"),)
else:
    # Where the log lines in these tests end.
    to_nobody = structlog.wrap_logger(structlog.ReturnLogger(), processors=[lambda _logger, _name, event: str(event)])
    LOGGERS = (SafeLogger(to_nobody), safe_logger("airflow_bda.tests"))


def is_storable(value: object) -> bool:
    """Whether Airflow's processes can send it to each other, and Postgres can keep it."""
    import msgspec

    msgspec.msgpack.encode(value)
    written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return b"\\u0000" not in written


@given(ANY_TEXT)
def test_every_text_can_be_encoded(text):
    safe = safe_text(text)

    assert safe.encode().decode() == safe
    assert "\0" not in safe
    assert safe == safe_text(safe)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200))
def test_text_that_is_sound_stays_as_it_is(text):
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("page 1: \ud83d", "page 1: \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("a\0b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a" * (LONGEST_TEXT + 3), "a" * LONGEST_TEXT + "... (3 characters left out)"),
    ],
)
def test_what_a_text_becomes(text, safe):
    assert safe_text(text) == safe


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, 2**63, "1", True, None])
def test_what_no_database_holds_as_a_number_is_none(number):
    assert safe_number(number) is None


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 1.5])
def test_a_number_stays_as_it_is(number):
    assert safe_number(number) == number


@given(ANY_JSON)
def test_every_value_can_be_stored(value):
    assert is_storable(safe_value(value))


def test_a_value_is_bounded():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    wide = {str(number): "a" * 1000 for number in range(100_000)}

    for value in (deep, wide, "a" * 10**7, ["a" * 10**6] * 10):
        assert len(json.dumps(safe_value(value))) < 3 * MOST_CHARACTERS + 10 * MOST_ITEMS


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_NUMBER)
def test_whatever_a_status_answer_holds_the_end_of_the_wait_can_be_stored_and_logged(word, kind, message, seconds):
    answer = {"status": f"x{word}", "errorType": kind, "errorMessage": message, "jobDurationInSeconds": seconds}
    state = JobState.from_response(ARN, {**answer, "outputConfiguration": {"s3Uri": f"s3://b/{message}"}})
    failed = JobState(ARN, JobStatus.CLIENT_ERROR, word, error_type=kind, error_message=message)

    assert state.describe().encode()
    assert is_storable(safe_event(JobOutcome.of_state(failed).to_event()).payload)
    assert str(JobOutcome.of_state(failed).error).encode()


def test_an_error_is_bounded():
    error = BdaRequestError("a" * 10**6, problems=["b" * 10**6] * 100, error_message="c" * 10**6 + "\ud800")

    assert len(str(error)) < 2 * MOST_CHARACTERS
    assert len(str(error.about(input_s3_uri="s3://b/" + "d" * 10**6))) < 2 * MOST_CHARACTERS
    assert str(error).encode()


@given(ANY_TEXT, ANY_JSON)
def test_every_line_of_a_log_can_be_written(text, value):
    for logger in LOGGERS:
        logger.info("%s %r", text, value)
        logger.warning(text)
        logger.error(text, text)


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_traceback_is_written_however_odd_its_error_is(caplog):
    log = safe_logger("airflow_bda.tests")
    try:
        fail("half an emoji: \ud83d")
    except ValueError:
        log.warning("It failed.", exc_info=True)
    try:
        fail("an ordinary one")
    except ValueError:
        log.exception("It failed again.")

    odd, ordinary = caplog.records
    assert "half an emoji: \ufffd" in odd.getMessage()
    assert ordinary.exc_info
    assert Path(ordinary.pathname).name == Path(__file__).name


def test_what_a_client_parses_can_be_encoded_before_an_error_is_made_of_it():
    client = boto3.client("bedrock-data-automation-runtime", region_name="us-east-1")
    make_responses_encodable(client)
    with Stubber(client) as stubber:
        stubber.add_client_error("get_data_automation_status", "ThrottlingException", "slow \ud800")
        with pytest.raises(client.exceptions.ThrottlingException, match="slow \ufffd"):
            client.get_data_automation_status(invocationArn=ARN)


def test_sound_text_is_not_copied():
    text = "für"
    assert encodable(text) is text


MADE_HERE = {"_compat.py": "TriggerEvent", "service/safe_values.py": "getLogger"}
# These run in processes of their own, and not inside Airflow.
APART = ("emulator/", "demo/", "mwaa/", "example_dags/", "commands/")


@pytest.mark.parametrize("name", ["TriggerEvent", "getLogger"])
def test_nothing_goes_past_the_one_place(name):
    """Events for Airflow and loggers are made in one module each, which makes what passes through them safe."""
    package = Path(airflow_bda.__file__).parent
    makers = {
        module
        for file in package.rglob("*.py")
        if not (module := file.relative_to(package).as_posix()).startswith(APART)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and name in {getattr(node.func, "id", None), getattr(node.func, "attr", None)}
    }

    assert makers == {module for module, made in MADE_HERE.items() if made == name}


def test_every_class_of_airflows_that_logs_does_so_safely():
    from airflow_bda import hooks, operators, sensors, triggers

    for room in (hooks, operators, sensors, triggers):
        for name in room.__all__:
            logged = getattr(getattr(room, name), "log", None)
            if logged is not None:
                assert "SafeLogging" in {base.__name__ for base in getattr(room, name).__mro__}, name


def test_a_logger_passes_on_what_else_it_is_asked_for():
    assert safe_logger("airflow_bda.tests").isEnabledFor(logging.CRITICAL)
