"""What the stores of one account in one region share: ARNs, client tokens, tags, pages of a listing."""

from __future__ import annotations

import re
import secrets
from threading import Event, RLock
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.api_errors import access_denied, not_found, quota_exceeded, validation_error
from airflow_bda.emulator.core.objects import Storage, StorageError
from airflow_bda.service.arns import Arn
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_bda.emulator.core.emulator import Emulator

AWS_ACCOUNT = "aws"
MOST_TAGS = 200
_PAGE_TOKEN = re.compile(r"[0-9]{1,9}")


class Resources:
    """
    The things that one account has in one region.

    :param emulator: the settings, the faults and the processing.
    """

    def __init__(self, partition: str, region: str, account: str, emulator: Emulator) -> None:
        self.partition, self.region, self.account = partition, region, account
        self.emulator = emulator
        self.lock = RLock()
        # Set when the emulator is reset: what still runs for this state must not write into the next one.
        self.cancelled = Event()
        self.storage = Storage(account, partition)
        self._tags: dict[str, dict[str, str]] = {}
        self._arn_of_token: dict[tuple[str, str], str] = {}

    def arn(self, resource_type: str, resource_id: str, *, account: str | None = None) -> str:
        """
        Return the ARN of something in this region.

        :param account: None for the caller's own.
        """
        return str(Arn(self.partition, self.region, account or self.account, resource_type, resource_id))

    def add(self, resource_type: str, params: Mapping[str, Any]) -> str:
        """
        Return the ARN of something new, and keep its tags and the client token that made it.

        :param params: the request that makes it.
        """
        # Twelve hexadecimal digits, as in the ARNs that the service gives.
        arn = self.arn(resource_type, secrets.token_hex(6))
        self._tags[arn] = {tag["key"]: tag["value"] for tag in params.get("tags") or ()}
        self.remember(resource_type, params, arn)
        return arn

    def remove(self, arn: str) -> None:
        """Forget something, and the client tokens that made it or its versions."""
        self._tags.pop(arn, None)
        for key, made in tuple(self._arn_of_token.items()):
            if made == arn or arn in key[0]:
                del self._arn_of_token[key]

    def remember(self, kind: str, params: Mapping[str, Any], made: str) -> None:
        """Keep the ARN, or version, that a client token made."""
        if token := params.get("clientToken"):
            self._arn_of_token[kind, token] = made

    def made_before(self, kind: str, params: Mapping[str, Any]) -> str | None:
        """Return the ARN, or version, that a client token made; None where it is new."""
        return self._arn_of_token.get((kind, params.get("clientToken", "")))

    # -- operations

    def tag_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Add tags."""
        with self.lock:
            tags = self._tags_of(params["resourceARN"])
            merged = tags | {tag["key"]: tag["value"] for tag in params["tags"]}
            if len(merged) > MOST_TAGS:
                raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(what="tags", limit=MOST_TAGS))
            tags.update(merged)
            return {}

    def untag_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Remove tags."""
        with self.lock:
            tags = self._tags_of(params["resourceARN"])
            for key in params["tagKeys"]:
                tags.pop(key, None)
            return {}

    def list_tags_for_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List tags."""
        tags = self._tags_of(params["resourceARN"])
        return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}

    def _tags_of(self, arn: str) -> dict[str, str]:
        if arn not in self._tags:
            raise not_found(arn)
        return self._tags[arn]

    # -- what requests name in S3

    def read_object(self, place: Mapping[str, Any]) -> bytes:
        """
        Read what an ``S3Object`` names.

        :raises ApiError: AccessDeniedException, as for a missing input of a job.
        """
        try:
            return self.storage.read(self.parse_uri(place["s3Uri"]))
        except StorageError as error:
            raise access_denied() from error

    def check_output(self, uri: str) -> S3Uri:
        """
        Return where to write to.

        :raises ApiError: AccessDeniedException where its bucket is missing.
        """
        parsed = self.parse_uri(uri)
        try:
            self.storage.check_bucket(parsed.bucket)
        except StorageError as error:
            raise access_denied() from error
        return parsed

    @staticmethod
    def parse_uri(uri: str) -> S3Uri:
        """
        Parse a URI.

        :raises ApiError: ValidationException where it is none.
        """
        try:
            return S3Uri.parse(uri)
        except ValueError as error:
            raise validation_error(str(error)) from error


def page(name: str, items: Iterable[dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a page of a listing; the token is where the next one begins.

    :raises ApiError: for a token that no answer ever had.
    """
    listed = list(items)
    token = params.get("nextToken", "0")
    if not _PAGE_TOKEN.fullmatch(token):
        raise validation_error(f"The nextToken {token!r} is not one of this service.")
    start = int(token)
    end = start + int(params.get("maxResults", len(listed) or 1))
    return {name: listed[start:end], **({"nextToken": str(end)} if end < len(listed) else {})}
