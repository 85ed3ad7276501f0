"""How moto comes to know BDA: whichever of the two is imported first, and at no cost to those who use neither."""

from __future__ import annotations

import subprocess
import sys

import pytest

KNOWS_BDA = """
from moto.backend_index import backend_url_patterns
url = "https://bedrock-data-automation-runtime.us-east-1.amazonaws.com/"
assert [name for name, pattern in backend_url_patterns if pattern.match(url)] == ["bedrockdataautomationruntime"]
import inspect, moto.backend_index
assert "backend_url_patterns" in inspect.getsource(moto.backend_index)
from moto.backends import get_backend
assert "us-east-1" in get_backend("bedrockdataautomationruntime")["123456789012"]
"""


def run(program):
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "first", ["import airflow_bda.emulator, moto", "import moto, airflow_bda.emulator", "import airflow_bda.emulator"]
)
def test_moto_knows_bda_whichever_is_imported_first(first):
    run(f"{first}\n{KNOWS_BDA}")


@pytest.mark.parametrize("module", ["airflow_bda.emulator", "airflow_bda.emulator.pytest_plugin"])
def test_importing_loads_neither_moto_nor_boto3_nor_readers_of_files(module):
    """The pytest plugin is imported by every pytest run of whoever has the package."""
    run(
        f"import {module}, sys\n"
        "heavy = {'moto', 'boto3', 'botocore', 'pdfplumber', 'PIL', 'airflow', 'werkzeug'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )


def test_a_name_that_is_not_there_is_an_attribute_error():
    import airflow_bda.emulator

    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = airflow_bda.emulator.NoSuchThing
