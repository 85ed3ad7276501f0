"""The command line: where the files go, what is said, and that the commands which it prints are AWS's."""

from __future__ import annotations

import json
import re
import shlex
import zipfile

import pytest
from botocore.session import get_session

from airflow_bda.cli import main


@pytest.fixture
def command(wheel_file, tmp_path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return ["mwaa", "--airflow", "3.0.6", "--wheel", str(wheel_file)]


def test_it_writes_two_files_and_names_them(command, tmp_path, wheel_file, capsys):
    assert main(command) == 0

    said = capsys.readouterr()
    assert said.out == "mwaa/plugins.zip\nmwaa/requirements.txt\n"
    assert wheel_file.name in zipfile.ZipFile(tmp_path / "mwaa" / "plugins.zip").namelist()
    assert "--no-index" in (tmp_path / "mwaa" / "requirements.txt").read_text()
    assert "Airflow 3.0.6, private web server" in said.err


def test_it_tells_machines_too(command, tmp_path, wheel_file, capsys):
    assert main([*command, "--json", "-o", "deep/down", "--web-server", "public"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["wheel"] == wheel_file.name
    assert (tmp_path / told["plugins"]).is_file()
    assert "--no-index" not in (tmp_path / told["requirements"]).read_text()


def test_it_does_not_replace_other_files(command, tmp_path, capsys):
    """Neither file is written when one cannot be."""
    (tmp_path / "mwaa").mkdir()
    (tmp_path / "mwaa" / "requirements.txt").write_text("pandas\n")

    assert main(command) == 1

    assert "mwaa/requirements.txt is there already" in capsys.readouterr().err
    assert (tmp_path / "mwaa" / "requirements.txt").read_text() == "pandas\n"
    assert not (tmp_path / "mwaa" / "plugins.zip").exists()

    assert main([*command, "--overwrite"]) == 0
    assert "pandas" not in (tmp_path / "mwaa" / "requirements.txt").read_text()


def test_the_same_files_may_be_written_again(command):
    assert main(command) == 0
    assert main(command) == 0


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_a_place_that_cannot_be_written_to(command, tmp_path, output, capsys):
    (tmp_path / "file").write_text("")

    assert main([*command, "-o", output]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_wheel_that_is_none(command, capsys):
    assert main([*command, "--wheel", "nothing.whl"]) == 1
    assert "airflow-bda mwaa: nothing.whl cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("airflow", "said"),
    [("2.11.0", "update the environment to 2.11.2"), ("4.0", "known: 2.11.2, 3.0.6, 3.2.1, 3.3.1")],
)
def test_another_airflow_is_wrong_usage(airflow, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mwaa", "--airflow", airflow])

    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def printed_commands(said: str) -> list[list[str]]:
    """Read the lines of `aws ...` as a shell would, the one inside `$(...)` too."""
    lines = said.replace("\\\n", " ").splitlines()
    found = [re.search(r"\baws [^)]*", line) for line in lines]
    return [shlex.split(match.group()) for match in found if match]


def parameters(words: list[str]) -> dict[str, str]:
    """`--plugins-s3-path x` is the member PluginsS3Path of the request."""
    pairs = zip(words[::2], words[1::2], strict=True)
    return {"".join(part.capitalize() for part in name[2:].split("-")): value for name, value in pairs}


def test_the_commands_that_it_prints_are_the_services(command, capsys):
    """Each option is a member of that operation's request, and each `--query` finds something in its answer."""
    assert main(command) == 0

    services = {"s3api": "s3", "mwaa": "mwaa"}
    operations = []
    for _, service, operation, *options in printed_commands(capsys.readouterr().err):
        model = get_session().get_service_model(services[service])
        name = "".join(part.capitalize() for part in operation.split("-"))
        given = parameters(options)
        query = given.pop("Query", None)
        given.pop("Output", None)
        shape = model.operation_model(name)
        assert set(given) <= set(shape.input_shape.members), operation
        assert set(shape.input_shape.required_members) <= set(given), operation
        if query:
            assert query.partition(".")[0] in shape.output_shape.members
        operations.append(operation)
    assert operations == ["put-object", "put-object", "update-environment", "get-environment"]
