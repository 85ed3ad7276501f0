"""The runtime API as the installed botocore knows it: its service model, read once, when first asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from airflow_bda.service.errors import BdaRequestError

if TYPE_CHECKING:
    from botocore.model import ServiceModel, StructureShape

SERVICE = "bedrock-data-automation-runtime"
INVOKE = "InvokeDataAutomationAsync"
GET_STATUS = "GetDataAutomationStatus"
UPGRADE = "Upgrade boto3 and botocore."


@cache
def service_model() -> ServiceModel:
    """
    Read the service model, without a client, credentials or a region.

    :raises BdaRequestError: when the installed botocore is older than the service.
    """
    # botocore is imported late here and below: a DAG file that names an operator should not pay for it.
    from botocore.exceptions import UnknownServiceError
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    try:
        description = Loader().load_service_model(SERVICE, "service-2")
    except UnknownServiceError:
        raise BdaRequestError(
            f"botocore {botocore_version()} does not know the service {SERVICE}.", remedy=UPGRADE
        ) from None
    return ServiceModel(description, SERVICE)


def botocore_version() -> str:
    """Give the version of the installed botocore, whose model decides what is valid."""
    from botocore import __version__

    return str(__version__)


def input_shape(operation: str) -> StructureShape:
    """
    Give the shape of an operation's input.

    :param operation: as the API names it: ``InvokeDataAutomationAsync``.
    :raises LookupError: when the installed botocore does not know the operation.
    """
    model = service_model()
    if operation not in model.operation_names:
        raise LookupError(f"botocore {botocore_version()} knows no operation {operation!r} of {SERVICE}. {UPGRADE}")
    return model.operation_model(operation).input_shape
