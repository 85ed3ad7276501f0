"""Where BDA's requests arrive, in the form that moto reads."""

from __future__ import annotations

from airflow_bda.emulator.core.registration import URL_BASES
from airflow_bda.emulator.runtime.responses import BdaRuntimeResponse

url_bases = list(URL_BASES)
url_paths = {"{0}/$": BdaRuntimeResponse.dispatch}
