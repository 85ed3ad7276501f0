"""The service model is read without a client, once, and only when it is asked for."""

import subprocess
import sys

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

from airflow_bda.service import model
from airflow_bda.service.errors import BdaRequestError


def test_knows_the_operations_that_are_used():
    assert {"InvokeDataAutomationAsync", "GetDataAutomationStatus"} <= set(model.service_model().operation_names)


def test_is_read_once():
    assert model.service_model() is model.service_model()


def test_an_unknown_operation_is_named_with_botocores_version():
    with pytest.raises(LookupError, match=rf"botocore {model.botocore_version()} has no operation 'StopIt'.*Upgrade"):
        model.input_shape("StopIt")


def test_a_botocore_older_than_the_service_says_so(monkeypatch):
    def knows_nothing(self, service_name, type_name, api_version=None):
        raise UnknownServiceError(service_name=service_name, known_service_names="s3")

    monkeypatch.setattr(Loader, "load_service_model", knows_nothing)
    model.load_model.cache_clear()
    try:
        with pytest.raises(
            BdaRequestError, match=r"does not know the service bedrock-data-automation-runtime\.\nUpgrade"
        ):
            model.service_model()
    finally:
        model.load_model.cache_clear()


def test_importing_the_request_reads_no_model_and_no_botocore_client():
    """A DAG file that names an operator pays for neither."""
    code = (
        "import sys; import airflow_bda.service.request.request; "
        "import airflow_bda.service.results.job_result; "
        "print([name for name in sys.modules if name in ('botocore.loaders', 'botocore.model', 'botocore.client')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
