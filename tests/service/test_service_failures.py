"""A failed call is classified by its code, never by its text, and explained."""

import asyncio
import json
import socket

import boto3
import pytest
from botocore import exceptions as botocore_exceptions
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service import errors
from airflow_bda.service.aws_errors import (
    Failure,
    Refusal,
    answer_or_refusal,
    call_error,
    classify,
    error_code,
    reading_answers,
)
from airflow_bda.service.model import service_model
from airflow_bda.service.statuses import UnexpectedAnswerError

OPERATION = "GetDataAutomationStatus"
ARN = "arn:aws:bedrock:us-east-1:123456789012:data-automation-invocation/4e36a3f0-1111-2222-3333-444455556666"


def client(**options):
    return boto3.client(
        "bedrock-data-automation-runtime",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        **options,
    )


def refusal(code, message="", http_status=400):
    stubbed = client()
    with Stubber(stubbed) as stubber:
        stubber.add_client_error("get_data_automation_status", code, message, http_status)
        with pytest.raises(ClientError) as caught:
            stubbed.get_data_automation_status(invocationArn=ARN)
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", Failure.BUSY),
        ("ServiceQuotaExceededException", Failure.BUSY),
        ("InternalServerException", Failure.BUSY),
        ("ServiceUnavailableException", Failure.BUSY),
        ("RequestLimitExceeded", Failure.BUSY),
        ("ExpiredTokenException", Failure.EXPIRED),
        ("AccessDeniedException", Failure.PERMISSION),
        ("ValidationException", Failure.INVALID),
        ("ResourceNotFoundException", Failure.NOT_FOUND),
        ("UnrecognizedClientException", Failure.CREDENTIALS),
        ("SomethingNew", Failure.OTHER),
    ],
)
def test_the_code_decides(code, kind):
    assert classify(refusal(code)) is kind
    assert error_code(refusal(code)) == code


def test_every_error_of_the_model_is_known():
    """An error that AWS adds makes this fail, so that it is noticed."""
    for shape in service_model().error_shapes:
        assert classify(refusal(shape.name)) is not Failure.OTHER, shape.name


@given(st.sampled_from(["ThrottlingException", "AccessDeniedException", "SomethingNew"]), st.text())
def test_the_text_never_decides(code, message):
    error = ClientError({"Error": {"Code": code, "Message": message}}, OPERATION)
    silent = ClientError({"Error": {"Code": code, "Message": ""}}, OPERATION)
    assert classify(error) is classify(silent)


@pytest.mark.parametrize(
    ("http_status", "kind"), [(500, Failure.BUSY), (503, Failure.BUSY), (429, Failure.BUSY), (418, Failure.OTHER)]
)
def test_where_the_code_says_nothing_the_http_status_does(http_status, kind):
    assert classify(refusal("SomethingNew", http_status=http_status)) is kind
    assert classify(ClientError({"ResponseMetadata": {"HTTPStatusCode": http_status}}, OPERATION)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (botocore_exceptions.NoCredentialsError(), Failure.CREDENTIALS),
        (botocore_exceptions.ProfileNotFound(profile="x"), Failure.CREDENTIALS),
        (botocore_exceptions.CredentialRetrievalError(provider="x", error_msg="y"), Failure.EXPIRED),
        (botocore_exceptions.ParamValidationError(report="x"), Failure.INVALID),
        (botocore_exceptions.NoRegionError(), Failure.NO_REGION),
        (botocore_exceptions.EndpointConnectionError(endpoint_url="x"), Failure.UNREACHABLE),
        (botocore_exceptions.ConnectTimeoutError(endpoint_url="x"), Failure.UNREACHABLE),
        (botocore_exceptions.ReadTimeoutError(endpoint_url="x"), Failure.UNREACHABLE),
        (botocore_exceptions.ConnectionClosedError(endpoint_url="x"), Failure.UNREACHABLE),
        (botocore_exceptions.SSLError(endpoint_url="x", error="y"), Failure.UNREACHABLE),
        (asyncio.TimeoutError(), Failure.UNREACHABLE),
        (ConnectionResetError(), Failure.UNREACHABLE),
        (json.JSONDecodeError("x", "y", 0), Failure.UNREACHABLE),
        (UnexpectedAnswerError("x"), Failure.UNREACHABLE),
        (KeyError("a bug of ours"), Failure.OTHER),
        (asyncio.CancelledError(), Failure.OTHER),
    ],
)
def test_what_is_no_answer_is_classified_by_its_type(error, kind):
    assert classify(error) is kind
    assert error_code(error) is None


def test_a_closed_port_is_unreachable():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=2)
        with pytest.raises(Exception) as caught:  # noqa: PT011  which one it is, is the question
            client(endpoint_url=url, config=config).get_data_automation_status(invocationArn=ARN)
    assert classify(caught.value) is Failure.UNREACHABLE


def test_only_what_waiting_mends_is_passing():
    """NOT_FOUND is transient right after an invoke only, which the wait decides."""
    assert {kind for kind in Failure if kind.is_passing} == {Failure.BUSY, Failure.EXPIRED, Failure.UNREACHABLE}


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("ThrottlingException", errors.BdaConnectionError),
        ("ExpiredTokenException", errors.BdaConnectionError),
        ("AccessDeniedException", errors.BdaPermissionError),
        ("ValidationException", errors.BdaRequestError),
        ("ResourceNotFoundException", errors.BdaRequestError),
        ("InvalidClientTokenId", errors.BdaConnectionError),
        ("SomethingNew", errors.BdaError),
    ],
)
def test_a_failed_call_is_explained(code, error_class):
    error = call_error(
        refusal(code, "the service's words"), operation=OPERATION, invocation_arn=ARN, input_s3_uri="s3://bucket/a.pdf"
    )
    assert type(error) is error_class
    assert (error.error_type, error.error_message) == (code, "the service's words")
    assert (error.invocation_arn, error.input_s3_uri) == (ARN, "s3://bucket/a.pdf")
    assert str(error).startswith(f"{OPERATION} ")
    assert error.remedy


def test_a_missing_permission_is_named():
    assert f"bedrock:{OPERATION}" in call_error(refusal("AccessDeniedException"), operation=OPERATION).remedy


def test_a_remedy_that_the_caller_knows_better_is_said_instead():
    error = call_error(refusal("AccessDeniedException"), operation=OPERATION, remedy="Put the {document} there first.")
    assert error.remedy == "Put the {document} there first."


def test_what_is_no_answer_is_explained_too():
    error = call_error(ConnectionResetError("reset by peer"), operation=OPERATION)
    assert type(error) is errors.BdaConnectionError
    assert (error.error_type, error.error_message) == ("ConnectionResetError", "reset by peer")


@pytest.mark.parametrize("http_status", [301, 302, 400, 403, 404, 407])
def test_an_error_without_a_code_is_not_from_aws(http_status):
    """Botocore puts the HTTP status where the code would be: a proxy or a portal answered."""
    assert classify(refusal(str(http_status), http_status=http_status)) is Failure.UNREACHABLE


def test_a_head_request_has_no_body_to_hold_a_code():
    error = ClientError({"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "HeadObject")
    assert classify(error) is Failure.OTHER


def test_a_page_is_not_quoted_whole():
    error = call_error(refusal("403", f"<html>{'x' * 10_000}</html>", 403), operation=OPERATION)
    assert type(error) is errors.BdaConnectionError
    assert len(error.error_message) <= 200


@pytest.mark.parametrize("error", [AttributeError("x"), RecursionError("x"), ValueError("x"), OverflowError("x")])
def test_what_botocore_cannot_read_is_not_an_answer(error):
    with pytest.raises(UnexpectedAnswerError) as caught, reading_answers():
        raise error
    assert classify(caught.value) is Failure.UNREACHABLE


@pytest.mark.parametrize("error", [refusal("AccessDeniedException"), OSError("x"), errors.BdaError("x")])
def test_what_explains_itself_stays_as_it_is(error):
    with pytest.raises(type(error)) as caught, reading_answers():
        raise error
    assert caught.value is error


def test_a_cause_that_was_found_out_is_said_first():
    refused = refusal("AccessDeniedException", "no")
    error = call_error(refused, operation=OPERATION, cause="The input is not there.", remedy="Upload it.")
    assert type(error) is errors.BdaPermissionError
    assert str(error) == f"{OPERATION} was denied. The input is not there. AccessDeniedException: no\nUpload it."


def test_a_call_gives_its_answer_or_its_refusal():
    def refused(error):
        def call():
            raise error

        return answer_or_refusal(call)

    assert answer_or_refusal(lambda: 42) == 42
    denied = refused(refusal("AccessDeniedException", "not you", 403))
    assert (denied.is_denial, denied.is_absence) == (True, False)
    assert denied == Refusal(Failure.PERMISSION, "AccessDeniedException", 403, "AccessDeniedException: not you")
    assert refused(refusal("ResourceNotFoundException", http_status=404)).is_absence
    assert refused(refusal("NotFoundException")).is_absence
    assert refused(ConnectionResetError("reset")).http_status == 0
    with pytest.raises(KeyError):
        refused(KeyError("a mistake"))
