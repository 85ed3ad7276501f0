"""Whole files from and to S3, with errors that name them: for the operators that read and write tables and reports."""

from __future__ import annotations

from typing import IO, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from airflow_bda.service.aws_errors import call_error
from airflow_bda.service.s3 import S3Uri

_READ_REMEDY = "Check the URI, and that the connection may s3:GetObject there (and kms:Decrypt, where there is a key)."
_WRITE_REMEDY = "Check output_s3_uri, and that the connection may s3:PutObject there (and kms:GenerateDataKey)."
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


def download_file(s3: Any, uri: str, file: IO[bytes], *, may_be_absent: bool = False) -> bool:
    """
    Copy an object into a file, and go back to the file's beginning.

    :param s3: a boto3 client of S3.
    :param may_be_absent: whether an object that is not there is no error, and leaves the file empty.
    :return: whether the object is there.
    :raises BdaError: when it cannot be read; it names the URI.
    """
    place = S3Uri.parse(uri)
    try:
        s3.download_fileobj(place.bucket, place.key, file)
    except (ClientError, BotoCoreError, Boto3Error) as error:
        if may_be_absent and isinstance(error, ClientError) and error.response["Error"]["Code"] in _ABSENT:
            return False
        raise call_error(error, operation=f"Reading {uri}", remedy=_READ_REMEDY) from error
    file.seek(0)
    return True


def upload_file(s3: Any, file: IO[bytes], uri: str, *, content_type: str | None = None) -> None:
    """
    Write a whole file to an object.

    :param s3: a boto3 client of S3.
    :raises BdaError: when it cannot be written; it names the URI.
    """
    place = S3Uri.parse(uri)
    file.seek(0)
    try:
        s3.upload_fileobj(
            file, place.bucket, place.key, ExtraArgs={"ContentType": content_type} if content_type else None
        )
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise call_error(error, operation=f"Writing {uri}", remedy=_WRITE_REMEDY) from error


def read_object(s3: Any, uri: str, *, most_bytes: int = 500 * 1024 * 1024) -> bytes:
    """
    Return an object's bytes.

    :param s3: a boto3 client of S3.
    :raises ValueError: when it has more than *most_bytes*; 500 MB are BDA's own limit for a document.
    :raises Exception: what botocore raises.
    """
    place = S3Uri.parse(uri)
    answer = s3.get_object(Bucket=place.bucket, Key=place.key)
    if answer["ContentLength"] > most_bytes:
        raise ValueError(f"{uri} is too large: {answer['ContentLength']:,} bytes")
    content: bytes = answer["Body"].read()
    return content
