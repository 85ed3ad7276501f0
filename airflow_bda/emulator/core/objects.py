"""Objects in moto's S3, read and written in the process, as the caller's account sees them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from moto.s3.models import s3_backends
from moto.s3.notifications import S3NotificationEvent, send_event
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.s3.models import S3Backend

    from airflow_bda.service.s3 import S3Uri

logger = logging.getLogger(__name__)


class StorageError(Exception):
    """An object or a bucket is not there, or not the caller's to use."""


class Storage:
    """
    The S3 that one account sees.

    :param partition: ``aws``, ``aws-us-gov``, ...: buckets are unique in it.
    """

    def __init__(self, account: str, partition: str) -> None:
        self._account = account
        self._partition = partition

    def read(self, uri: S3Uri) -> bytes:
        """
        Read one object.

        :raises StorageError: when it cannot be read.
        """
        try:
            stored = self._backend.get_object(uri.bucket, uri.key)
        # moto's errors of S3 are the one or the other, by its release.
        except (HTTPException, ServiceException) as error:
            raise StorageError(f"{uri} cannot be read: {error}") from error
        if stored is None:
            raise StorageError(f"{uri} does not exist")
        return bytes(stored.value)

    def check_bucket(self, bucket: str) -> None:
        """
        Make sure that a bucket is there to be written to.

        :raises StorageError: when it is not.
        """
        try:
            self._backend.get_bucket(bucket)
        except (HTTPException, ServiceException) as error:
            raise StorageError(f"s3://{bucket} cannot be written to: {error}") from error

    def write(self, uri: S3Uri, content: bytes, content_type: str = "application/json") -> None:
        """
        Write one object; :meth:`announce` sends its notifications.

        :raises StorageError: when its bucket was deleted.
        """
        try:
            stored = self._backend.put_object(uri.bucket, uri.key, content, disable_notification=True)
            stored.set_metadata({"Content-Type": content_type})
        except (HTTPException, ServiceException) as error:
            raise StorageError(f"{uri} cannot be written: {error}") from error

    def announce(self, uri: S3Uri) -> None:
        """
        Send the notifications of a new object: to queues, to EventBridge, to functions.

        A function may run for long and call this server meanwhile: hold no lock here.
        """
        try:
            bucket = self._backend.get_bucket(uri.bucket)
            stored = self._backend.get_object(uri.bucket, uri.key)
            if stored is not None:
                send_event(self._account, S3NotificationEvent.OBJECT_CREATED_PUT_EVENT, bucket, stored)
        except Exception:
            # The object is stored; a receiver that fails must not make its writer fail.
            logger.exception("The notifications of %s failed", uri)

    def create_bucket(self, bucket: str, region: str) -> None:
        """
        Make a bucket unless it is there.

        :raises StorageError: when it cannot be, because of its name for one.
        """
        if bucket in self._backend.buckets:
            return
        try:
            self._backend.create_bucket(bucket, region)
        except (HTTPException, ServiceException) as error:
            raise StorageError(f"The bucket {bucket!r} cannot be made: {error}") from error

    def keys(self, prefix: S3Uri) -> Iterator[str]:
        """Return the keys under a prefix, in their order; none where the bucket was deleted."""
        bucket = self._backend.buckets.get(prefix.bucket)
        return iter(sorted(key for key in (bucket.keys if bucket else ()) if key.startswith(prefix.key)))

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[self._account][self._partition]
