"""The KMS keys that encrypt a document and a bucket, where S3 tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from airflow_bda.service.s3 import S3Uri


def key_of_object(s3: Any, uri: S3Uri) -> str | None:
    """Give the ARN of the key that an object is encrypted with; None where it has none, or may not be looked at."""
    try:
        key: str | None = s3.head_object(Bucket=uri.bucket, Key=uri.key).get("SSEKMSKeyId")
    except (ClientError, BotoCoreError):
        return None
    return key if key and key.startswith("arn:") else None


def key_of_bucket(s3: Any, bucket: str) -> str | None:
    """Give the ARN of the key that a bucket encrypts with; None where it has none, or may not be looked at."""
    try:
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    except (ClientError, BotoCoreError):
        return None
    keys = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules]
    # A key may be named by its id alone, which says too little to ask IAM about it.
    return next((key for key in keys if key and key.startswith("arn:")), None)
