"""What a failed look means, and that single looks remember what a poller would."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from pretended_service import ARN, refusal

from airflow_bda.engine import judging
from airflow_bda.engine.judging import Known, Looker, Verdict, judge
from airflow_bda.service.errors import BdaConnectionError, BdaPermissionError, BdaRequestError
from airflow_bda.service.statuses import JobState, UnexpectedAnswerError

GONE = EndpointConnectionError(endpoint_url="https://nowhere")
NEW = Known()
HERE = Known(has_worked=True, was_reached=True)
ELSEWHERE = Known(worked_before=True)
LONG = 3600.0


@pytest.mark.parametrize("known", [NEW, HERE, ELSEWHERE, Known(failing_seconds=LONG)])
@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (refusal("ThrottlingException"), Verdict.WAIT),
        (refusal("Whatever", 503), Verdict.WAIT),
        (refusal("ExpiredTokenException"), Verdict.REOPEN),
        (refusal("AccessDeniedException", 403), Verdict.FAIL),
        (refusal("ValidationException"), Verdict.FAIL),
        (refusal("SomethingNew"), Verdict.FAIL),
    ],
)
def test_what_the_service_says_does_not_depend_on_what_was_before(known, error, verdict):
    assert judge(error, known) is verdict


@pytest.mark.parametrize(
    ("known", "at_first", "after_long"),
    [(NEW, Verdict.WAIT, Verdict.FAIL), (HERE, Verdict.WAIT, Verdict.WAIT), (ELSEWHERE, Verdict.WAIT, Verdict.WAIT)],
)
@pytest.mark.parametrize(
    "error",
    [GONE, UnexpectedAnswerError("null"), refusal("403", 403), refusal("407", 407), refusal("302", 302)],
    ids=str,
)
def test_no_answer_of_the_services_is_waited_out_unless_there_never_was_one(error, known, at_first, after_long):
    assert judge(error, known) is at_first
    assert judge(error, Known(**{**vars(known), "failing_seconds": LONG})) is after_long


@pytest.mark.parametrize(
    ("known", "at_first", "after_long"),
    [
        (NEW, Verdict.FAIL, Verdict.FAIL),
        (HERE, Verdict.REOPEN, Verdict.REOPEN),
        # A triggerer that has just started may see a key that is being rotated; one without any must say so.
        (ELSEWHERE, Verdict.REOPEN, Verdict.FAIL),
    ],
)
@pytest.mark.parametrize("error", [refusal("UnrecognizedClientException"), NoCredentialsError()], ids=str)
def test_refused_credentials_are_renewed_where_the_connection_has_worked(error, known, at_first, after_long):
    assert judge(error, known) is at_first
    assert judge(error, Known(**{**vars(known), "failing_seconds": LONG})) is after_long


def test_a_job_may_be_invisible_for_a_minute():
    absent = refusal("ResourceNotFoundException", 404)
    assert judge(absent, Known(job_age=59.0)) is Verdict.NOT_VISIBLE_YET
    assert judge(absent, Known(job_age=61.0)) is Verdict.FAIL


class Client:
    """Answers with what it is given, in turn."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def ask_status(self, invocation_arn):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return JobState.from_response(invocation_arn, {"status": answer})


@pytest.fixture
def slept(monkeypatch):
    """Let time pass by sleeping alone; gives how long in all."""
    seconds = [0.0]
    monkeypatch.setattr(judging.time, "sleep", lambda pause: seconds.__setitem__(0, seconds[0] + pause))
    monkeypatch.setattr(judging.time, "monotonic", lambda: 1000.0 + seconds[0])
    return seconds


@pytest.fixture
def lines():
    return []


@pytest.fixture
def looker(slept, lines):
    def make(*clients, allowed=86_400.0, **arguments):
        opened = iter(clients)
        return Looker(
            ARN,
            open_client=lambda: next(opened).ask_status,
            tell=lines.append,
            seconds_left=lambda: allowed - slept[0],
            job_age=lambda: slept[0],
            **arguments,
        )

    return make


def test_an_endpoint_that_never_answers_is_given_up_within_the_first_look(looker, slept):
    with pytest.raises(BdaConnectionError, match="Could not connect") as caught:
        looker(Client(*[GONE] * 100)).look()
    assert 60.0 <= slept[0] < 80.0
    assert caught.value.invocation_arn == ARN


def test_an_endpoint_that_comes_up_meanwhile_is_no_failure(looker):
    assert looker(Client(GONE, GONE, "InProgress")).look().status_text == "InProgress"


def test_a_short_wait_ends_the_first_look_and_keeps_the_reason(looker, slept):
    looks = looker(Client(*[GONE] * 100), allowed=4.0)
    assert looks.look() is None
    assert slept[0] == pytest.approx(4.0)
    assert "Could not connect" in str(looks.seen.last_failure)


@pytest.mark.parametrize("worked_before", [True, False])
def test_an_endpoint_that_worked_is_looked_at_later(looker, slept, lines, worked_before):
    answers = [GONE, GONE, "Success"] if worked_before else ["InProgress", GONE, GONE, "Success"]
    looks = looker(Client(*answers), worked_before=worked_before)
    seen = [looks.look() for _ in answers]
    assert [state and state.status_text for state in seen[-3:]] == [None, None, "Success"]
    assert slept[0] == 0.0
    assert [("Still waiting" in line, "answers again" in line) for line in lines[-3:]] == [
        (True, False),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize("code", ["ExpiredTokenException", "InvalidClientTokenId"])
def test_credentials_that_fail_are_looked_up_again(looker, code):
    looks = looker(Client("InProgress", refusal(code)), Client(refusal(code)), Client("Success"))
    assert [state and state.status_text for state in (looks.look() for _ in range(4))] == [
        "InProgress",
        None,
        None,
        "Success",
    ]


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        (refusal("AccessDeniedException"), BdaPermissionError),
        (refusal("InvalidClientTokenId"), BdaConnectionError),
        (refusal("ValidationException"), BdaRequestError),
    ],
)
def test_a_first_look_that_is_refused_ends_the_wait(looker, answer, error_class):
    with pytest.raises(error_class):
        looker(Client(answer)).look()


def test_a_client_that_cannot_be_made_ends_the_wait_unless_it_could_once(looker):
    def broken():
        raise NoCredentialsError

    looks = looker()
    looks._open_client = broken
    with pytest.raises(BdaConnectionError):
        looks.look()
    worked = looker(Client("InProgress", refusal("ExpiredTokenException")))
    worked.look()
    worked.look()
    worked._open_client = broken
    assert worked.look() is None
