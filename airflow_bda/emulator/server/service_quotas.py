"""
BDA's quotas in moto's Service Quotas, which has those of VPC only: `airflow-bda doctor` reads them.

The values are the emulator's own limits, which its settings decide. An operation without a rate limit has no quota.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from airflow_bda.emulator.core.emulator import EmulatorSettings

_SERVICE = "bedrock"
# https://docs.aws.amazon.com/general/latest/gr/bedrock.html
_CONCURRENT_JOBS = {
    "L-9E3C255A": Modality.DOCUMENT,
    "L-BDD176EF": Modality.IMAGE,
    "L-3E961CAB": Modality.AUDIO,
    "L-895C7A6C": Modality.VIDEO,
}
_OPEN_JOBS = "L-A596AFC0"
_RATES = {"L-0DF688AB": "InvokeDataAutomationAsync", "L-FC4A46BE": "GetDataAutomationStatus"}


def quota_of(settings: EmulatorSettings, code: str) -> dict[str, Any] | None:
    """Return a quota as Service Quotas has it; None for one that the emulator does not have."""
    if code in _CONCURRENT_JOBS:
        modality = _CONCURRENT_JOBS[code]
        name, value = f"(Data Automation) Max number of concurrent {modality} jobs", settings.concurrency[modality]
    elif code == _OPEN_JOBS:
        name, value = "(Data Automation) Max number of open jobs", settings.open_jobs
    elif _RATES.get(code) in settings.requests_per_second:
        name = f"(Data Automation) {_RATES[code]} requests per second"
        value = settings.requests_per_second[_RATES[code]]  # type: ignore[assignment]  # a rate may be a fraction
    else:
        return None
    return {"ServiceCode": _SERVICE, "QuotaCode": code, "QuotaName": name, "Value": float(value), "Adjustable": True}


def install_quotas(settings: Any) -> None:
    """
    Add the quotas to moto; calling it again changes nothing.

    :param settings: returns the emulator's settings as they are when it is asked.
    """
    if "airflow_bda" in vars(ServiceQuotasBackend):
        return
    of_moto = ServiceQuotasBackend.get_service_quota

    def get_service_quota(self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != _SERVICE:
            return of_moto(self, service_code, quota_code)
        quota = quota_of(settings(), quota_code)
        if quota is None:
            raise NoSuchResource
        return quota

    def get_aws_default_service_quota(self: Any) -> str:
        asked = json.loads(self.body)
        quota = self.backend.get_service_quota(str(asked.get("ServiceCode")), str(asked.get("QuotaCode")))
        return json.dumps({"Quota": quota})

    backend: Any = ServiceQuotasBackend
    backend.airflow_bda, backend.get_service_quota = True, get_service_quota
    answers: Any = ServiceQuotasResponse
    answers.get_aws_default_service_quota = get_aws_default_service_quota
