"""Every error says what, which and what next, in words and in attributes, and so does its copy in another process."""

import copy
import pickle

import pytest

from airflow_bda.service import errors
from airflow_bda.service.statuses import JobState, JobStatus

ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e36a3f0-1111-2222-3333-444455556666"
FACTS = {
    "invocation_arn": ARN,
    "status": "ClientError",
    "error_type": "SomeType",
    "error_message": "the service's words",
    "input_s3_uri": "s3://bucket/a.pdf",
}
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.BdaError)]


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_survives_pickling_with_all_that_it_says(error_class, protocol):
    """Airflow sends errors between processes."""
    error = error_class("It failed.", remedy="Try this.", **FACTS)
    sent = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  our own bytes
    assert type(sent) is error_class
    assert str(sent) == str(error)
    assert vars(sent) == vars(error)
    assert vars(copy.deepcopy(error)) == vars(error)


def test_the_problems_of_a_request_survive_pickling():
    error = errors.BdaRequestError("Not sent.", problems=["one", "two"], input_s3_uri="s3://bucket/a.pdf")
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert sent.problems == ("one", "two")
    assert str(sent) == str(error)
    assert str(error).splitlines() == ["Not sent.", "  - one", "  - two", "Input: s3://bucket/a.pdf"]


@pytest.mark.parametrize("error_class", CLASSES)
def test_the_text_holds_every_part(error_class):
    error = error_class("It failed.", remedy="Try this.", **FACTS)
    assert str(error).splitlines() == [
        "It failed. SomeType: the service's words",
        "Try this.",
        f"Invocation: {ARN}",
        "Input: s3://bucket/a.pdf",
        "Status: ClientError",
    ]
    assert {name: getattr(error, name) for name in FACTS} == FACTS


def test_the_one_problem_of_a_request_is_in_the_first_line():
    """Airflow's pages show the beginning of it only."""
    error = errors.BdaRequestError("Not sent.", problems=["tags: too many."], remedy="Try this.")
    assert str(error).splitlines() == ["Not sent. tags: too many.", "Try this."]


def test_a_summary_is_one_line():
    error = errors.BdaError("It\nfailed.", error_message="line one\n  line two", remedy="Try this.", invocation_arn=ARN)
    assert error.summary() == "It failed. line one line two"


def test_what_is_not_known_leaves_no_trace():
    assert str(errors.BdaError("It failed.")) == "It failed."
    assert "None" not in str(errors.BdaTimeoutError("Too late."))


@pytest.mark.parametrize("error_class", [errors.BdaClientError, errors.BdaServiceError, errors.BdaTimeoutError])
def test_the_ends_of_a_job_have_a_remedy_of_their_own(error_class):
    assert error_class.remedy in str(error_class("It failed."))
    assert error_class.remedy not in str(error_class("It failed.", remedy="Another."))


def test_a_fact_that_is_learned_later_is_told():
    """The poller has the job only; the task has its document too."""
    error = errors.BdaClientError("It failed.", invocation_arn=ARN).about(input_s3_uri="s3://bucket/a.pdf")
    assert type(error) is errors.BdaClientError
    assert error.input_s3_uri == "s3://bucket/a.pdf"
    assert "s3://bucket/a.pdf" in str(error)
    assert ARN in str(error)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(JobStatus.CLIENT_ERROR, errors.BdaClientError), (JobStatus.SERVICE_ERROR, errors.BdaServiceError)],
)
def test_a_failed_job_has_its_error(status, error_class):
    state = JobState(ARN, status, status.value, error_type="SomeType", error_message="why")
    error = errors.job_error(state, input_s3_uri="s3://bucket/a.pdf")
    assert type(error) is error_class
    assert (error.invocation_arn, error.status, error.error_type, error.error_message, error.input_s3_uri) == (
        ARN,
        status.value,
        "SomeType",
        "why",
        "s3://bucket/a.pdf",
    )


@pytest.mark.parametrize("status", [JobStatus.SUCCESS, JobStatus.CREATED, JobStatus.IN_PROGRESS, JobStatus.UNKNOWN])
def test_a_job_that_did_not_fail_has_none(status):
    with pytest.raises(ValueError, match="did not fail: its status is Whatever"):
        errors.job_error(JobState(ARN, status, "Whatever"))
