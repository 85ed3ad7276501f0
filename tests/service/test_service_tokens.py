"""The client token is the same for every try at one piece of work, and another for every other piece."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service.request.request import build_request
from airflow_bda.service.request.tokens import TaskIdentity, client_token

REQUEST = build_request(
    input_s3_uri="s3://bucket/a.pdf",
    output_s3_uri="s3://bucket/out",
    profile_arn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
)
OTHER_REQUEST = build_request(
    input_s3_uri="s3://bucket/b.pdf",
    output_s3_uri="s3://bucket/out",
    profile_arn="arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1",
)
IDENTITY = TaskIdentity("dag", "scheduled__2026-01-05T00:00:00+00:00", "task", -1, 0)

# Few letters, so that shifting a boundary between two parts often gives the same concatenation.
parts = st.text('ab",[\\1', max_size=4)
identities = st.builds(TaskIdentity, parts, parts, parts, st.integers(-1, 12), st.integers(0, 12))


def test_is_stable_across_releases():
    """A token that changes between two releases would start a second job after an upgrade."""
    assert client_token(IDENTITY, REQUEST, 0) == "7d870539ec2e9cc958b7fb0dedbdcacce3908064666a7881f4a338e6c50e9b2f"


def test_satisfies_the_services_own_pattern():
    token = client_token(IDENTITY, REQUEST, 0)
    assert REQUEST.with_client_token(token).client_token == token
    assert len(token) == 64


@given(identities, identities, st.integers(0, 12), st.integers(0, 12))
def test_two_pieces_of_work_share_a_token_only_if_they_are_the_same(one, other, generation, other_generation):
    same = (one, generation) == (other, other_generation)
    tokens = client_token(one, REQUEST, generation), client_token(other, REQUEST, other_generation)
    assert (tokens[0] == tokens[1]) == same


@pytest.mark.parametrize(
    "change", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}, {"clears": 1}]
)
def test_every_part_of_the_identity_counts(change):
    assert client_token(dataclasses.replace(IDENTITY, **change), REQUEST, 0) != client_token(IDENTITY, REQUEST, 0)


def test_the_request_and_the_generation_count():
    tokens = {
        client_token(IDENTITY, REQUEST, 0),
        client_token(IDENTITY, REQUEST, 1),
        client_token(IDENTITY, OTHER_REQUEST, 0),
    }
    assert len(tokens) == 3


def test_a_token_that_is_set_already_does_not_change_the_next_one():
    """The digest is of what is asked; else each try's token would depend on the one before."""
    assert client_token(IDENTITY, REQUEST.with_client_token("ab"), 0) == client_token(IDENTITY, REQUEST, 0)
