"""List what the package needs at run time, with versions and hashes: a software bill of materials for a release."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import own_environment
from packaging.metadata import RawMetadata, parse_email
from rows import PYTHON, ROOT, ROWS

NEWEST = ROWS[0].file


def write(file: Path, metadata: bytes) -> int:
    """
    Write the bill in CycloneDX's JSON, of the newest row's versions; the same input writes the same bytes.

    :param metadata: what the built wheel says of itself.
    :return: how many packages it lists.
    """
    raw, _ = parse_email(metadata)
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        _resolve(requirements)
        bill = _describe(requirements)
    for component in bill["components"]:
        # It repeats the line of requirements, hashes and all, which stand beside it.
        component.pop("description", None)
    bill["metadata"]["component"] = _component(raw)
    file.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")
    return len(bill["components"])


def _resolve(requirements: Path) -> None:
    """Take what the package itself depends on, without extras, out of the pins; nothing gets another version."""
    subprocess.run(
        [
            *(str(ROOT / "tools" / "uv"), "pip", "compile", "--quiet", "pyproject.toml", f"--python-version={PYTHON}"),
            *("--no-header", "--no-annotate", "--no-emit-index-url", "--generate-hashes"),
            *(f"--constraints={NEWEST}", f"--output-file={requirements}"),
        ],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def _describe(requirements: Path) -> dict[str, Any]:
    program = own_environment.make("sbom") / "cyclonedx-py"
    described = subprocess.run(
        [str(program), "requirements", "--output-reproducible", "--of=JSON", "--sv=1.6", str(requirements)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(described.stdout)


def _component(raw: RawMetadata) -> dict[str, Any]:
    name, version = raw["name"], raw["version"]
    return {
        "bom-ref": "root",
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
