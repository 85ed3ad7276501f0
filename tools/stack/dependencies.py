"""
Write what the package needs in an image that has Airflow already: requirements.txt and constraints.txt.

What the image has keeps its version, which Airflow's maintainers tested with all the rest of it. What it lacks gets the
version of our own tests, and so does the AWS SDK, whose parts fit only one another.

Hashes are left out. pip checks them for all that it installs or for nothing, and the parts of Celery, which the image
needs besides our pins, have none here.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import tomllib

FOLDER = Path(__file__).parent
AWS_SDK = frozenset({"aiobotocore", "aioitertools", "boto3", "botocore", "s3transfer"})
# Celery 5.7 lost a name that Airflow's provider for it imports. What is below that already stays as it is.
CELERY = "celery<5.7"
CELERYS_OWN = frozenset({"amqp", "billiard", "celery", "kombu", "redis", "vine"})


def main() -> None:
    """Read pyproject.toml and our pins in this script's folder, and write beside them."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *extras["local"], *extras["ocr"], CELERY]
    _write("requirements.txt", requirements)
    present = {_canonical(found.name): found.version for found in metadata.distributions() if found.name}
    kept = {name: version for name, version in present.items() if name not in AWS_SDK | CELERYS_OWN}
    ours = [pin for pin in _pins(FOLDER / "newest.txt") if _name(pin) not in kept]
    _write("constraints.txt", [*(f"{name}=={version}" for name, version in sorted(kept.items())), *ours])


def _pins(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    return [line.rstrip(" \\") for line in lines if not line.lstrip().startswith("--hash=")]


def _name(pin: str) -> str:
    return _canonical(pin.partition("==")[0])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _write(name: str, lines: list[str]) -> None:
    (FOLDER / name).write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
