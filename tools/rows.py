"""The Airflow versions that the package is tested on, and where the pins of each stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints"

# What Amazon's Managed Workflows for Apache Airflow (MWAA) runs, and the newest row beside it.
PYTHON = "3.12"

# The distributions that make a row: what of Airflow and AWS the package is written against.
NAMES = (
    "apache-airflow",
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-common-compat",
    "boto3",
    "aiobotocore",
)


@dataclass(frozen=True)
class Row:
    """
    One supported Airflow and what stands around it.

    :param name: what `make test-matrix ROWS=` calls it: `newest`, `next`, or Airflow's version on MWAA.
    :param wanted: the versions of :data:`NAMES` that MWAA has; empty for the others, which take their file's.
    """

    name: str
    wanted: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The pins of everything that a test of this row installs."""
        return CONSTRAINTS / (f"airflow-{self.name}.txt" if self.wanted else f"{self.name}.txt")

    def versions(self) -> dict[str, str]:
        """Return the versions of :data:`NAMES` that an environment of this row must have."""
        pinned = pins(self.file)
        return self.wanted or {name: pinned[name] for name in NAMES}


def _mwaa(*versions: str) -> Row:
    return Row(versions[0], dict(zip(NAMES, versions, strict=True)))


# MWAA's own defaults, from the constraint files in aws/amazon-mwaa-docker-images.
ROWS = (
    Row("newest"),
    _mwaa("2.11.2", "9.22.0", "1.14.0", "1.42.61", "3.2.1"),
    _mwaa("3.0.6", "9.12.0", "1.7.3", "1.39.11", "2.24.1"),
    _mwaa("3.2.1", "9.25.0", "1.14.3", "1.42.84", "3.4.0"),
    _mwaa("3.3.1", "9.34.0", "1.18.0", "1.43.56", "3.9.0"),
)

# The newest pre-release of Airflow, with everything else as new as it comes. Only run where it is asked for by name.
NEXT = Row("next")
PRE_RELEASES = {
    "apache-airflow": "3.4.0b2",
    "apache-airflow-core": "3.4.0b2",
    "apache-airflow-task-sdk": "1.4.0b2",
}


def pins(file: Path, python: str = PYTHON) -> dict[str, str]:
    """Read a file of pins: canonical name to version, of the lines that hold for a Python version."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    pinned = {}
    for line in file.read_text().splitlines():
        if line.lstrip().startswith("--hash="):
            continue
        requirement = Requirement(line.rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            pinned[canonicalize_name(requirement.name)] = specifier.version
    return pinned
