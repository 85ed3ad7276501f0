"""The client token is the same for every try at one piece of work, and another for every other piece."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.operators.one_job import TaskIdentity
from airflow_bda.service.request.request import build_request

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
IDENTITY = TaskIdentity("dag", "scheduled__2026-01-05T00:00:00+00:00", "task", -1, ("max_tries=3",))

# Few letters, so that shifting a boundary between two parts often gives the same concatenation.
parts = st.text('ab",[\\1', max_size=4)
lives = st.lists(parts, max_size=2).map(tuple)
loops = st.none() | st.tuples(parts, st.integers(0, 2))
identities = st.builds(TaskIdentity, parts, parts, parts, st.integers(-1, 12), lives, loops)


def test_is_stable_across_releases():
    """A token that changes between two releases would start a second job after an upgrade."""
    assert (
        IDENTITY.client_token(REQUEST.digest(), 0) == "6585a96532a5016ccbe7a040409ad1a6edd87c10a382051ff00ee4b0d2c14aed"
    )


def test_satisfies_the_services_own_pattern():
    token = IDENTITY.client_token(REQUEST.digest(), 0)
    assert REQUEST.with_client_token(token).client_token == token
    assert len(token) == 64


@given(identities, identities, st.integers(0, 12), st.integers(0, 12))
def test_two_pieces_of_work_share_a_token_only_if_they_are_the_same(one, other, generation, other_generation):
    same = (one, generation) == (other, other_generation)
    tokens = one.client_token(REQUEST.digest(), generation), other.client_token(REQUEST.digest(), other_generation)
    assert (tokens[0] == tokens[1]) == same


@pytest.mark.parametrize(
    "change", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}, {"life": ()}, {"loop": ("x", 0)}]
)
def test_every_part_of_the_identity_counts(change):
    assert dataclasses.replace(IDENTITY, **change).client_token(REQUEST.digest(), 0) != IDENTITY.client_token(
        REQUEST.digest(), 0
    )


def test_the_request_and_the_generation_count():
    tokens = {
        IDENTITY.client_token(REQUEST.digest(), 0),
        IDENTITY.client_token(REQUEST.digest(), 1),
        IDENTITY.client_token(OTHER_REQUEST.digest(), 0),
    }
    assert len(tokens) == 3


def test_a_token_that_is_set_already_does_not_change_the_next_one():
    """The digest is of what is asked; else each try's token would depend on the one before."""
    assert IDENTITY.client_token(REQUEST.with_client_token("ab").digest(), 0) == IDENTITY.client_token(
        REQUEST.digest(), 0
    )
