"""The Airflow versions of MWAA on which this package is tested, and what keeps it from running on another."""

from __future__ import annotations

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
