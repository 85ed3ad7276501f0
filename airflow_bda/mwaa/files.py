"""
The plugins.zip and the requirements.txt of an MWAA environment, and the Airflow versions that they are tested on.

MWAA unpacks plugins.zip and then runs ``pip install -r requirements.txt``. Its images have everything that this package
needs, so its wheel is all that is added.

https://docs.aws.amazon.com/mwaa/latest/userguide/best-practices-dependencies.html
https://docs.aws.amazon.com/mwaa/latest/userguide/connections-packages.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip
from airflow_bda.mwaa.wheel import DISTRIBUTION

if TYPE_CHECKING:
    from airflow_bda.mwaa.wheel import Wheel


# Where MWAA unpacks plugins.zip.
PLUGINS_FOLDER = "/usr/local/airflow/plugins"

CONSTRAINTS = "bda-constraints.txt"

# Nothing but what is in plugins.zip can be installed, so what the image has stays as it is. The constraint is there to
# refuse an environment of another Airflow. It names nothing else: MWAA renews its images, and where a pin no longer
# fits there would be no index to satisfy it from, and the package would be missing after a restart.
_PRIVATE = """\
# {distribution} {version} for Amazon MWAA with Airflow {airflow}. No package index is asked.
--constraint {folder}/{constraints}
--find-links {folder}
--no-index
{distribution}=={version}
"""

# MWAA looks for a constraints option in every line, comments included, and applies its own list, which fits its image,
# where there is none. So these lines must not have one. By its path, the wheel cannot be mistaken for anything that an
# index has.
_PUBLIC = """\
# {distribution} {version} for Amazon MWAA with Airflow {airflow}. Add what else your DAGs need below.
# MWAA applies its own list of versions to all of it.
apache-airflow=={airflow}
{folder}/{wheel}
"""

# By how the environment's web server is reached. The private form works behind a public one too.
_REQUIREMENTS = {"private": _PRIVATE, "public": _PUBLIC}
WEB_SERVERS = tuple(_REQUIREMENTS)


@dataclass(frozen=True)
class MwaaFiles:
    """
    What is uploaded.

    :param plugins: the bytes of plugins.zip.
    :param requirements: the text of requirements.txt.
    """

    plugins: bytes
    requirements: str


def build_files(wheel: Wheel, airflow: str, web_server: str) -> MwaaFiles:
    """
    Make the files of an environment.

    :param wheel: this package's.
    :param airflow: the environment's Airflow, one of :data:`airflow_bda.mwaa.files.SUPPORTED`.
    :param web_server: one of :data:`WEB_SERVERS`.
    :raises UnsupportedAirflowError: for another Airflow.
    """
    check_release(airflow)
    requirements = _REQUIREMENTS[web_server].format(
        airflow=airflow,
        constraints=CONSTRAINTS,
        distribution=DISTRIBUTION,
        folder=PLUGINS_FOLDER,
        version=wheel.version,
        wheel=wheel.name,
    )
    constraints = f"apache-airflow=={airflow}\n".encode()
    return MwaaFiles(build_zip({wheel.name: wheel.content, CONSTRAINTS: constraints}), requirements)


# Each with the versions that its image has: https://github.com/aws/amazon-mwaa-docker-images
SUPPORTED = ("2.11.2", "3.0.6", "3.2.1", "3.3.1")

_UNFIT = {
    "2.11.0": (
        "its boto3 1.37.3 knows only the preview of BDA's API and this package needs 1.37.4; "
        "update the environment to 2.11.2"
    )
}


class UnsupportedAirflowError(ValueError):
    """An Airflow version of MWAA that this package has no files for."""


def check_release(airflow: str) -> None:
    """
    Check that there can be files for a version of Airflow.

    :param airflow: as MWAA writes it, such as 3.0.6.
    :raises UnsupportedAirflowError: if not; says why and what there is.
    """
    if airflow in _UNFIT:
        raise UnsupportedAirflowError(f"Airflow {airflow} on MWAA does not work: {_UNFIT[airflow]}")
    if airflow not in SUPPORTED:
        raise UnsupportedAirflowError(f"Airflow {airflow} on MWAA is not tested; known: {', '.join(SUPPORTED)}")
