"""The command `airflow-bda project apply`: what it prints, and how it exits."""

from __future__ import annotations

import json

import pytest
from project_repository import blueprint, project, schema

from airflow_bda.cli import main


@pytest.fixture
def path(repository):
    return str(repository.write(project=project("order"), blueprints=[blueprint()]))


def test_the_plan_goes_to_standard_error_and_the_arns_to_standard_output(repository, path, capsys):
    assert main(["project", "apply", path]) == 0

    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines] == [["blueprint", "order"], ["project", "orders"]]
    assert repository.stage_of(lines[1][2])["projectName"] == "orders"
    assert "create project orders in LIVE" in err
    assert err.endswith("3 changes made.\n")

    assert main(["project", "apply", path]) == 0
    assert capsys.readouterr().err == (
        "blueprint order in LIVE is as its file says\nproject orders in LIVE is as its file says\nNo changes.\n"
    )


def test_a_dry_run_shows_what_a_run_does_and_changes_nothing(repository, path, capsys):
    assert main(["project", "apply", path, "--dry-run", "--json"]) == 0
    dry = capsys.readouterr()
    assert repository.client.list_blueprints()["blueprints"] == []
    assert dry.err.endswith("3 changes to make. Nothing was changed.\n")

    assert main(["project", "apply", path, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert [step["step"] for step in json.loads(dry.out)["steps"]] == done["changes"]


def test_a_pipeline_can_ask_whether_the_account_follows_the_files(repository, path, capsys):
    ask = ["project", "apply", "--dry-run", "--exit-code"]
    assert main([*ask, path]) == 3
    main(["project", "apply", path])
    assert main([*ask, path]) == 0
    repository.write(blueprints=[blueprint(schema=schema(number="another"))])
    assert main([*ask, path]) == 3


def test_development_is_a_stage_of_its_own(repository, path, capsys):
    assert main(["project", "apply", path, "--stage", "DEVELOPMENT"]) == 0
    arn = capsys.readouterr().out.split()[-1]

    assert repository.stage_of(arn, "DEVELOPMENT")["projectStage"] == "DEVELOPMENT"


def test_wrong_files_end_it_with_their_problems(repository, capsys):
    path = repository.write(project={"projectName": "x"})

    assert main(["project", "apply", str(path)]) == 1

    assert "project.standardOutputConfiguration is missing: it is required" in capsys.readouterr().err


def test_without_an_action_it_says_which_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["project"])

    assert ended.value.code == 2
    assert "ACTION" in capsys.readouterr().err
