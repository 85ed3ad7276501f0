"""
The plugins.zip and the requirements.txt of an MWAA environment.

MWAA unpacks the one and then runs ``pip install -r`` with the other. Its images have everything that this package
needs, so its wheel is all that is brought.

https://docs.aws.amazon.com/mwaa/latest/userguide/best-practices-dependencies.html
https://docs.aws.amazon.com/mwaa/latest/userguide/connections-packages.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip
from airflow_bda.mwaa.releases import check_release
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
    :param airflow: the environment's Airflow, one of :data:`airflow_bda.mwaa.releases.SUPPORTED`.
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
