"""What MWAA finds in plugins.zip and requirements.txt, and what its image makes of them."""

from __future__ import annotations

import ast
import io
import re
import zipfile
from pathlib import Path

import pytest

from airflow_bda.mwaa import (
    CONSTRAINTS,
    PLUGINS_FOLDER,
    SUPPORTED,
    WEB_SERVERS,
    UnsupportedAirflowError,
    build_files,
    read_wheel,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def wheel(wheel_file):
    return read_wheel(wheel_file)


def lines_of(files) -> list[str]:
    return [line for line in files.requirements.splitlines() if not line.startswith("#")]


def names_constraints(requirements: str) -> bool:
    """Tell it as MWAA's image does, which also looks into comments (python/mwaa/utils/user_requirements.py)."""
    return any(re.search(r"-c |--constraint ", line) for line in requirements.splitlines())


@pytest.mark.parametrize("web_server", WEB_SERVERS)
def test_the_zip_holds_the_wheel_and_the_airflow_that_it_is_for(wheel, web_server):
    files = build_files(wheel, "3.0.6", web_server)

    with zipfile.ZipFile(io.BytesIO(files.plugins)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {wheel.name: wheel.content, CONSTRAINTS: b"apache-airflow==3.0.6\n"}


def test_behind_a_private_web_server_everything_comes_from_the_zip(wheel):
    files = build_files(wheel, "3.0.6", "private")

    assert lines_of(files) == [
        f"--constraint {PLUGINS_FOLDER}/{CONSTRAINTS}",
        f"--find-links {PLUGINS_FOLDER}",
        "--no-index",
        "airflow-provider-bda==1.2.3",
    ]
    assert names_constraints(files.requirements)


def test_behind_a_public_web_server_mwaa_applies_its_own_constraints(wheel):
    files = build_files(wheel, "3.0.6", "public")

    assert lines_of(files) == ["apache-airflow==3.0.6", f"{PLUGINS_FOLDER}/{wheel.name}"]
    assert not names_constraints(files.requirements)


@pytest.mark.parametrize("web_server", WEB_SERVERS)
def test_they_come_out_the_same_every_time(wheel, web_server):
    assert build_files(wheel, "3.3.1", web_server) == build_files(wheel, "3.3.1", web_server)


@pytest.mark.parametrize("web_server", WEB_SERVERS)
def test_no_address_is_in_the_requirements(wheel, web_server):
    """A private web server has no way out."""
    assert "://" not in build_files(wheel, "3.3.1", web_server).requirements


def rows_of_mwaa() -> list[list[str]]:
    """Read tools/rows.py: of each MWAA version its Airflow, amazon provider, common.compat, boto3 and aiobotocore."""
    tree = ast.parse((ROOT / "tools" / "rows.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_mwaa"]
    return [[argument.value for argument in call.args] for call in calls]


def test_the_supported_versions_are_those_that_the_package_is_tested_on():
    assert [row[0] for row in rows_of_mwaa()] == list(SUPPORTED)


@pytest.mark.parametrize(
    ("airflow", "said"),
    [("2.11.0", "boto3 1.37.3 has only the preview"), ("3.1.6", "known: 2.11.2, 3.0.6, 3.2.1, 3.3.1"), ("", "known")],
)
def test_other_versions_are_refused(wheel, airflow, said):
    with pytest.raises(UnsupportedAirflowError, match=said):
        build_files(wheel, airflow, "private")


def test_the_manuals_table_has_the_versions_that_the_package_is_tested_on():
    """Airflow, amazon provider and boto3 of each."""
    page = (ROOT / "docs" / "how-to" / "mwaa.md").read_text()
    lines = re.findall(r"^\| (\S+) \| (yes|no) \| (\S+) \| (\S+) \|", page, re.MULTILINE)

    works = [(airflow, amazon, boto3) for airflow, works, amazon, boto3 in lines if works == "yes"]
    assert works == [(airflow, amazon, boto3) for airflow, amazon, _, boto3, _ in rows_of_mwaa()]
    assert [line[0] for line in lines if line[1] == "no"] == ["2.11.0"]
