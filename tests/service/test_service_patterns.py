"""The model's patterns mean to Python what they mean to a library that reads Unicode categories itself."""

import unicodedata

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bda.service.model import matches, service_model

TAG_KEY = r"(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*"


def model_patterns():
    shapes = [service_model().shape_for(name) for name in service_model().shape_names]
    return sorted({shape.metadata["pattern"] for shape in shapes if "pattern" in shape.metadata})


def is_assigned(text):
    # A character that this Python's Unicode does not know may be a letter to a newer one.
    return all(unicodedata.category(character) != "Cn" for character in text)


texts = st.one_of(
    st.text(),
    st.text("aZ09-_.:/=+@ s3xn{}%\\é٣\n"),
    st.from_regex(r"arn:aws:bedrock:us-east-1:123456789012:[a-z-]{1,30}/[a-z-]{1,20}", fullmatch=True),
    st.from_regex(r"s3://[a-z0-9.-]{3,10}/.{0,10}", fullmatch=True),
).filter(is_assigned)


@given(st.sampled_from(model_patterns()), texts)
@example(TAG_KEY, "Straße 東京 ٣²")
@example(TAG_KEY, "aws:mine")
@example(TAG_KEY, "")
@example(TAG_KEY, "#")
@example(TAG_KEY, "\U0010ffff")
def test_agrees_with_a_library_that_knows_unicode_categories(pattern, value):
    # To that library ASCII narrows categories too; no pattern of the model's has both a category and \w, \d or \s.
    oracle = regex.compile(pattern, 0 if r"\p" in pattern else regex.ASCII)
    assert matches(pattern, value) == (oracle.fullmatch(value) is not None)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        (r"\p{Lu}\p{Ll}*", "Ärger", True),
        (r"\p{Lu}\p{Ll}*", "ärger", False),
        (r"\P{L}+", "123", True),
        (r"\P{L}+", "12x", False),
        (r"[^\p{L}]+", "12", True),
        (r"[^\p{L}]+", "1a", False),
        (r"[^\p{L}]", "-", True),
        (r"[\P{N}]+", "]^-\\", True),
        (r"\\p{L}", "\\p{L}", True),
        (r"\\p{L}", "a", False),
        (r"\d+", "٣", False),
    ],
)
def test_reads_categories_in_and_out_of_classes(pattern, value, expected):
    assert matches(pattern, value) is expected


def test_a_pattern_must_match_the_whole_value():
    assert not matches("[0-9]*", "1x")
    assert not matches("[0-9]*$", "1\n")


def test_a_pattern_that_python_cannot_read_refuses_nothing():
    """The service checks again; a check that cannot be made must not stop a good request."""
    assert matches(r"(?<name>x)++\K", "anything")
