"""Where the control plane's requests arrive, in the form that moto reads."""

from __future__ import annotations

from airflow_bda.emulator.control_plane.responses import BdaControlResponse
from airflow_bda.emulator.core.registration import CONTROL_URL_BASES

url_bases = list(CONTROL_URL_BASES)
url_paths = {"{0}/(?P<path>.+)$": BdaControlResponse.dispatch}
