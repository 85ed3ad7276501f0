"""
Who a connection is to AWS: a digest of all that decides how a call is signed and where it goes.

Two waits may share a client only when these agree. The connection's id decides nothing: it may be edited, and two ids
may hold the same keys. The digest is kept in memory only; it is made of secrets.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    from botocore.config import Config

# What the default credential chain of this process starts from.
_AMBIENT_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK_DATA_AUTOMATION_RUNTIME",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def identity_digest(connection: AwsConnectionWrapper, *, service_name: str, config: Config) -> str:
    """
    Digest a resolved connection.

    :param connection: the connection's wrapper, as the hook resolved it.
    :param config: botocore's configuration that its clients get.
    """
    parts: dict[str, Any] = {
        "session": connection.session_kwargs,
        "role": [connection.role_arn, connection.assume_role_method, connection.assume_role_kwargs],
        # Federation and STS settings are read from here when the session is made.
        "extra": connection.extra_config,
        "region": connection.region_name,
        "endpoint": connection.get_service_endpoint_url(service_name),
        "verify": connection.verify,
        "config": getattr(config, "_user_provided_options", {}),
        "ambient": {name: os.environ[name] for name in _AMBIENT_VARIABLES if name in os.environ},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()
