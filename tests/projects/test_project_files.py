"""What a file of projects and blueprints may hold, and what is said of one that is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_bda.projects.files import read_files, same_json
from airflow_bda.service.errors import BdaRequestError

STANDARD = {"document": {"extraction": {"granularity": {"types": ["PAGE"]}, "boundingBox": {"state": "ENABLED"}}}}
SCHEMA = {"class": "invoice", "properties": {"total": {"type": "number", "inferenceType": "explicit"}}}
PROJECT = {"projectName": "orders", "standardOutputConfiguration": STANDARD}
BLUEPRINT = {"blueprintName": "order", "type": "DOCUMENT", "schema": SCHEMA}


@pytest.fixture
def write(tmp_path):
    def write(content, name="bda.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def problems_of(*paths):
    with pytest.raises(BdaRequestError) as refused:
        read_files(paths)
    return refused.value.problems


def test_a_schema_may_be_an_object_or_text_or_a_file_beside(write):
    write(SCHEMA, "order.schema.json")
    forms = [SCHEMA, json.dumps(SCHEMA), "order.schema.json"]
    path = write(
        {"blueprints": [BLUEPRINT | {"blueprintName": f"b{n}", "schema": form} for n, form in enumerate(forms)]}
    )

    texts = [blueprint.params["schema"] for blueprint in read_files([path]).blueprints]

    assert all(same_json(text, json.dumps(SCHEMA)) for text in texts)


def test_several_files_are_one_set(write):
    first = write({"project": PROJECT}, "project.json")
    second = write({"blueprints": [BLUEPRINT]}, "blueprints.json")

    files = read_files([first, second])

    assert [each.name for each in files.projects + files.blueprints] == ["orders", "order"]


def test_all_problems_of_all_files_are_named_at_once(write):
    first = write(
        {
            "project": {
                "projectName": "no spaces please",
                "standardOutputConfiguration": {"document": {"extraction": {"boundingBox": {"state": "ON"}}}},
                "customOutputConfiguration": {"blueprints": [{"blueprintName": "a", "blueprintArn": "b"}, {}]},
            }
        },
        "first.json",
    )
    second = write({"blueprints": [{"type": "POEM", "schema": "absent.json"}], "bluepints": []}, "second.json")

    problems = problems_of(first, second)

    expected = [
        "first.json: project.projectName is 'no spaces please': it must match",
        "first.json: project.standardOutputConfiguration.document.extraction.granularity is missing: it is required",
        "first.json: project.standardOutputConfiguration.document.extraction.boundingBox.state is 'ON': it must be",
        "first.json: project.customOutputConfiguration.blueprints[0] is 'a': it must have blueprintName or",
        "first.json: project.customOutputConfiguration.blueprints[1].blueprintArn is missing",
        "second.json: bluepints is unknown",
        "second.json: blueprints[0].schema is 'absent.json': it must be an object, JSON text, or the name",
        "second.json: blueprints[0].blueprintName is missing",
        "second.json: blueprints[0].type is 'POEM': it must be one of DOCUMENT",
    ]
    for text in expected:
        assert [problem for problem in problems if text in problem], (text, problems)
    assert len(problems) == len(expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is not JSON: Expecting property name enclosed in double quotes in line 1, column 2"),
        ("[]", 'it must hold an object with "project", "blueprints" or both'),
        ("{}", "there is neither a project nor a blueprint"),
        ('{"blueprints": {}}', "blueprints is {}: it must be a list"),
        ('{"blueprints": [1]}', "blueprints[0] is 1: it must be a mapping, not int"),
        ('{"project": {}, "project": {}}', "an object has the member project twice"),
        ('{"project": null}', "project is None: it must be a mapping"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_is_none(write, content, said):
    (problem,) = problems_of(write(content))

    assert said in problem
    assert "bda.json" in problem


def test_a_file_that_is_not_there(tmp_path):
    assert problems_of(tmp_path / "absent.json") == (
        f"{tmp_path / 'absent.json'}: it cannot be read: No such file or directory.",
    )


@pytest.mark.parametrize("member", ["projectStage", "clientToken"])
def test_stage_and_token_are_not_the_files_business(write, member):
    (problem,) = problems_of(write({"project": PROJECT | {member: "LIVE"}}))

    assert f"project.{member} is 'LIVE': " in problem


def test_a_name_stands_once(write):
    first, second = write({"project": PROJECT}, "a.json"), write({"project": PROJECT}, "b.json")

    (problem,) = problems_of(first, second)

    assert problem.endswith("the name 'orders' is also in " + f"{first}: project.")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "project",
                    "blueprints",
                    "projectName",
                    "blueprintName",
                    "schema",
                    "type",
                    "customOutputConfiguration",
                    "document",
                    "standardOutputConfiguration",
                    "fallbackBlueprints",
                    "tags",
                    "key",
                    "encryptionConfiguration",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_json)
def test_whatever_a_file_holds_it_is_read_or_refused_by_name(write, content):
    path = write(content)
    problems = ()
    try:
        files = read_files([path])
    except BdaRequestError as error:
        files, problems = None, error.problems

    assert problems or files.projects or files.blueprints
    assert all("bda.json" in problem for problem in problems)
