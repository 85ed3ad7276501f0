"""What Airflow, pip and pytest are told of the package is true."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from importlib import import_module, resources
from pathlib import Path

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

import airflow_bda
import airflow_bda.links

INFO = airflow_bda.get_provider_info()
ROOMS = ("hooks", "operators", "sensors", "triggers")


def test_provider_info_is_what_this_airflow_expects():
    schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(INFO, schema)


def ours(part) -> list[str]:
    """List the names of modules and classes in the provider's information, wherever they stand."""
    if isinstance(part, str):
        return [part] if part.startswith("airflow_bda.") else []
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [name for inner in parts for name in ours(inner)]


@pytest.mark.parametrize("name", ours(INFO))
def test_what_provider_info_names_exists(name):
    module, _, attribute = name.rpartition(".")

    assert hasattr(import_module(module), attribute) or import_module(name)


@pytest.mark.parametrize("room", ROOMS)
def test_provider_info_names_the_module_of_every_public_class(room):
    package = import_module(f"airflow_bda.{room}")
    homes = {getattr(package, name).__module__ for name in package.__all__}

    assert homes <= set(ours(INFO[room]))


def test_provider_info_names_every_link():
    """Airflow 2.11 shows no other."""
    assert set(INFO["extra-links"]) == {f"airflow_bda.links.bda.{name}" for name in airflow_bda.links.__all__}
    assert set(INFO["extra-links"]) <= set(ProvidersManager().extra_links_class_names)


def test_every_package_has_the_names_that_it_promises():
    """They are loaded when they are used, so that importing the package would not show one that is missing."""
    root = Path(airflow_bda.__file__).parent
    names = [".".join(file.parent.relative_to(root.parent).parts) for file in root.rglob("__init__.py")]
    promised = [(name, each) for name in names for each in getattr(import_module(name), "__all__", ())]

    assert [pair for pair in promised if not hasattr(import_module(pair[0]), pair[1])] == []
    assert ("airflow_bda.service.request", "SyncRequest") in promised


@pytest.mark.parametrize("room", [*ROOMS, "links"])
def test_a_name_that_a_room_lacks_is_an_attribute_error(room):
    """The lazy import keeps to what Python expects of modules."""
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = import_module(f"airflow_bda.{room}").NoSuchName


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("apache_airflow_provider", "airflow_bda:get_provider_info"),
        ("console_scripts", "airflow_bda.cli:main"),
        ("pytest11", "airflow_bda.emulator.pytest_plugin"),
    ],
)
def test_entry_points_lead_somewhere(group, value):
    (found,) = [point for point in importlib.metadata.entry_points(group=group) if point.value == value]

    assert found.dist.name == "airflow-provider-bda"
    assert found.load()


def test_there_is_one_version():
    assert INFO["versions"] == [airflow_bda.__version__]
    assert importlib.metadata.version("airflow-provider-bda") == airflow_bda.__version__


def test_type_checkers_are_told_that_the_package_is_typed():
    assert resources.files("airflow_bda").joinpath("py.typed").is_file()


IMPORT_EVERYTHING = """
import importlib, json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name in json.loads(sys.argv[1]):
        importlib.import_module(name)
print(json.dumps([[one.filename, one.category.__name__, str(one.message)] for one in caught]))
"""


def test_no_module_imports_a_deprecated_name():
    """In a process of its own, where no module was imported before; deprecations in use are errors in every test."""
    folder = Path(airflow_bda.__file__).parent
    files = [file for file in folder.rglob("*.py") if "example_dags" not in file.parts]
    names = [".".join(["airflow_bda", *file.relative_to(folder).with_suffix("").parts]) for file in files]

    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, json.dumps(names)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    caught = json.loads(ended.stdout.splitlines()[-1])
    assert [warning for warning in caught if warning[0].startswith(str(folder))] == []


def test_pypi_and_airflow_are_told_where_the_manual_is():
    """Airflow's page of providers links to "Documentation", or else to a page that does not exist."""
    told = importlib.metadata.metadata("airflow-provider-bda")
    urls = dict(url.split(", ", 1) for url in told.get_all("Project-URL"))

    assert set(urls) == {"Documentation", "Source", "Changelog", "Issues"}
    assert all(url.startswith(urls["Source"]) for url in urls.values())
    assert f"/v{airflow_bda.__version__}/docs/" in urls["Documentation"]


def test_the_readme_on_pypi_has_no_link_to_a_file_beside_it():
    readme = importlib.metadata.distribution("airflow-provider-bda").read_text("METADATA")
    targets = re.findall(r"\]\(([^)]*)\)", readme)

    assert any(target.endswith("/docs/images/report.png") and "/raw/" in target for target in targets)
    assert [target for target in targets if not target.startswith("https://")] == []


def test_airflows_page_of_providers_shows_plain_words():
    """It takes marks and dots off both ends, and shows the rest."""
    assert not set(INFO["description"]) & set("`_<>")
    assert "http" not in INFO["description"]


def test_the_badges_are_true():
    """The picture at the top of the README, by what the package declares and what the matrix tests."""
    root = Path(__file__).parents[1]
    badges = re.search('aria-label="(.*?)"', (root / "docs" / "images" / "badges.svg").read_text())
    metadata = importlib.metadata.metadata("airflow-provider-bda")
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier")))
    rows = {re.sub(r"^airflow-|\.\d+$", "", row.stem) for row in (root / "constraints").glob("airflow-*.txt")}

    assert badges is not None
    assert badges[1] == (
        f"Airflow {min(rows, key=_numbers)} | 3.0 to {max(rows, key=_numbers)}, Python {pythons[0]} to {pythons[-1]}, "
        f"licence {metadata['License-Expression']}, types py.typed"
    )
    assert (root / "airflow_bda" / "py.typed").exists()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
