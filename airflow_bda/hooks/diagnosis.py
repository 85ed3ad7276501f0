"""
Why BDA refused a request for want of access.

The service gives one code for many causes, the input that does not exist among them. Looking at the two buckets with
the same credentials tells most of them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from airflow_bda.service.request import InvocationRequest

_NOT_FOUND = 404


def explain_denial(s3: Any, request: InvocationRequest) -> str:
    """
    Say which of the known causes a refused invoke has, and the remedy.

    :param s3: a boto3 client of S3 with the credentials that the invoke was signed with.
    """
    return _input_fault(s3, request.input_s3_uri) or _output_fault(s3, request.output_s3_uri) or _OTHER_CAUSES


_OTHER_CAUSES = (
    "The input can be read and the output bucket is there, so what is missing is one of: s3:PutObject on the output "
    "prefix; bedrock:InvokeDataAutomationAsync on the project, on each blueprint and on the profile in every region "
    "that it routes to; or the use of a KMS key (the bucket's or the request's)."
)


def _input_fault(s3: Any, uri: str) -> str | None:
    location = S3Uri.parse(uri)
    status = _refusal(lambda: s3.head_object(Bucket=location.bucket, Key=location.key))
    if status is None:
        return None
    if status == _NOT_FOUND:
        if _refusal(lambda: s3.head_bucket(Bucket=location.bucket)) == _NOT_FOUND:
            return f"The input bucket {location.bucket!r} does not exist: correct input_s3_uri."
        return f"The input object {uri} does not exist: correct input_s3_uri (mind the extension) or upload it first."
    return (
        f"The input object {uri} cannot be read with these credentials (or does not exist, which S3 tells only those "
        "who may list the bucket): allow s3:GetObject on it and kms:Decrypt on its bucket's key."
    )


def _output_fault(s3: Any, uri: str) -> str | None:
    bucket = S3Uri.parse(uri).bucket
    if _refusal(lambda: s3.head_bucket(Bucket=bucket)) == _NOT_FOUND:
        return f"The output bucket {bucket!r} does not exist: correct output_s3_uri or create the bucket."
    return None


def _refusal(look: Any) -> int | None:
    """Give the HTTP status with which S3 refused; None where it did not, or where nothing can be said."""
    try:
        look()
    except ClientError as error:
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) or None
    except BotoCoreError:
        return None
    return None
