"""Check the machine that jobs are started from: its libraries and its clock."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from airflow_bda.access.preflight.findings import fault, hint, ok
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import INVOKE, UPGRADE, botocore_version, service_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.access.preflight.findings import Check

_DISTRIBUTION = "airflow-provider-bda"
# Without these the API of today cannot be called at all; the preview had neither.
_NEEDED_MEMBERS = ("dataAutomationProfileArn", "dataAutomationConfiguration", "blueprints")
# AWS refuses signatures that are older or newer than this.
_REFUSED_SKEW = timedelta(minutes=5)
_WORRYING_SKEW = timedelta(minutes=1)


def check_versions() -> Iterator[Check]:
    """Compare what is installed to what this package asks for: an installer's override, or another tool, may differ."""
    try:
        wanted = [Requirement(line) for line in metadata.requires(_DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        # It is imported from a folder, such as MWAA's plugins; nothing says what it asks for.
        return
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    installed: dict[str, str | None] = dict.fromkeys(each.name for each in needed)
    for name in installed:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    lacking = [
        each
        for each in needed
        if not ((version := installed[each.name]) and each.specifier.contains(version, prereleases=True))
    ]
    for requirement in lacking:
        yield fault(
            "versions",
            f"{requirement.name} is {installed[requirement.name] or 'not installed'}, and {requirement.specifier} is "
            "asked for.",
            f"pip install '{requirement}'",
        )
    if not lacking:
        yield ok("versions", ", ".join(f"{name} {version}" for name, version in installed.items()))


def check_libraries() -> Iterator[Check]:
    """Look at the versions that decide what can be sent, and how jobs are waited for."""
    try:
        model = service_model()
    except BdaRequestError as error:
        yield fault("botocore", error.message, UPGRADE)
        return
    members = model.operation_model(INVOKE).input_shape.members
    missing = [name for name in _NEEDED_MEMBERS if name not in members]
    if missing:
        yield fault("botocore", f"{botocore_version()} does not know {', '.join(missing)} of {INVOKE}.", UPGRADE)
    elif "tags" not in members:
        yield hint("botocore", f"{botocore_version()} does not know the tags of {INVOKE}.", UPGRADE)
    else:
        yield ok("botocore", f"{botocore_version()} knows the API")
    if find_spec("aiobotocore") is None:
        yield fault(
            "aiobotocore",
            "it is not installed, and jobs are waited for with it.",
            "pip install 'apache-airflow-providers-amazon[aiobotocore]'",
        )
    else:
        yield ok("aiobotocore", "is installed")


def check_clock(answer: Mapping[str, Any]) -> Iterator[Check]:
    """
    Compare this machine's clock with AWS's.

    :param answer: any answer of AWS, with its headers.
    """
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return
    skew = abs(datetime.now(timezone.utc) - parsedate_to_datetime(date))
    text = f"{skew.total_seconds():.0f} s from AWS's"
    remedy = "Let the machine take its time from a time server (chrony, ntpd)."
    if skew > _REFUSED_SKEW:
        yield fault("clock", f"{text}; AWS refuses signatures of such a time.", remedy)
    elif skew > _WORRYING_SKEW:
        yield hint("clock", f"{text}; from five minutes on AWS refuses signatures.", remedy)
    else:
        yield ok("clock", text)
