"""Clients of S3 and BDA for a batch, from an Airflow connection."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_bda.engine.batch.documents import Document
from airflow_bda.engine.batch.store import ConflictError
from airflow_bda.engine.tasks import call_in_thread
from airflow_bda.hooks.task_arguments import wait_limits
from airflow_bda.service.aws_errors import Failure, classify, error_code, reading_answers
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import INVOKE
from airflow_bda.service.request.request import build_request
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from airflow_bda.engine.waiting import WaitLimits
    from airflow_bda.hooks.bda import BdaHook
    from airflow_bda.service.errors import BdaError
    from airflow_bda.service.request.request import InvocationRequest

_ABSENT_CODES = frozenset({"404", "NoSuchKey", "NotFound"})
# 412: the condition does not hold. 409: it cannot be told yet, because another write is under way.
_CONDITION_FAILED, _CONDITION_UNDECIDED = "PreconditionFailed", "ConditionalRequestConflict"


class _Client:
    """
    One async client that is opened when it is needed, and anew when its credentials have expired.

    :param hook: where the connection comes from; a client that is opened again looks it up again.
    :param repeats_calls: whether botocore repeats throttled calls.
    """

    def __init__(self, hook: BdaHook, service: str, *, repeats_calls: bool = True) -> None:
        self._hooks = chain([hook], iter(hook.anew, None))
        self._service = service
        self._repeats_calls = repeats_calls
        self._resources = AsyncExitStack()
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Make a call; raises what botocore raises."""
        client = await self._open()
        try:
            with reading_answers():
                return await getattr(client, operation)(**arguments)
        except (ClientError, BotoCoreError) as error:
            if classify(error) is Failure.EXPIRED and self._client is client:
                await self.close()
            raise

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                resources = AsyncExitStack()
                hook = next(self._hooks)
                opened = await hook.async_client(self._service, repeats_calls=self._repeats_calls)
                self._client, self._resources = await resources.enter_async_context(opened), resources
            return self._client

    async def close(self) -> None:
        """Close the client, if there is one."""
        resources, self._client, self._resources = self._resources, None, AsyncExitStack()
        await resources.aclose()


class HookStore:
    """S3 through a hook's connection; see :class:`airflow_bda.engine.batch.store.Store`."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._has_versions: dict[str, bool] = {}

    async def get(self, uri: str, *, most_bytes: int | None = None) -> tuple[bytes, str] | None:
        """Return an object, or its first bytes, and its ETag; None where there is none."""
        place = S3Uri.parse(uri)
        some = {"Range": f"bytes=0-{most_bytes - 1}"} if most_bytes else {}
        try:
            response = await self._client.call("get_object", Bucket=place.bucket, Key=place.key, **some)
        except ClientError as error:
            if error_code(error) in _ABSENT_CODES:
                return None
            raise
        async with response["Body"] as stream:
            return await stream.read(), response["ETag"]

    async def put(
        self, uri: str, body: bytes | IO[bytes], *, if_absent: bool = False, if_etag: str | None = None
    ) -> str:
        """Write an object and return its ETag."""
        place = S3Uri.parse(uri)
        if not isinstance(body, bytes):
            body.seek(0)
        with _conflicts(uri, if_etag):
            response = await self._client.call(
                "put_object",
                Bucket=place.bucket,
                Key=place.key,
                Body=body,
                ContentType="application/json",
                **_condition(if_absent=if_absent, if_etag=if_etag),
            )
        return str(response["ETag"])

    async def head(self, uri: str) -> Document | None:
        """Look an object up; None where there is none."""
        place = S3Uri.parse(uri)
        try:
            response = await self._client.call("head_object", Bucket=place.bucket, Key=place.key)
        except ClientError as error:
            if error_code(error) in _ABSENT_CODES:
                return None
            raise
        version = _version(response.get("VersionId"))
        return Document(uri, response["ETag"].strip('"'), version, response.get("ContentLength"))

    async def names(self, uri: str, *, after: str) -> tuple[list[str], str | None]:
        """List one page of what lies under a prefix."""
        place = S3Uri.parse(uri)
        start = {"StartAfter": f"{place.key}{after}"} if after else {}
        page = await self._client.call("list_objects_v2", Bucket=place.bucket, Prefix=place.key, **start)
        names = [item["Key"][len(place.key) :] for item in page.get("Contents", ())]
        return names, names[-1] if page.get("IsTruncated") and names else None

    async def documents(self, uri: str, *, after: str) -> tuple[list[Document], str | None]:
        """List one page of the objects under a prefix."""
        place = S3Uri.parse(uri)
        if await self._is_versioned(place.bucket):
            return await self._versions(place, after)
        start = {"StartAfter": after} if after else {}
        page = await self._client.call("list_objects_v2", Bucket=place.bucket, Prefix=place.key, **start)
        found = [_document(place.bucket, item, None) for item in page.get("Contents", ())]
        following = page["Contents"][-1]["Key"] if page.get("IsTruncated") else None
        return found, following

    async def _versions(self, place: S3Uri, after: str) -> tuple[list[Document], str | None]:
        start = {"KeyMarker": after} if after else {}
        page = await self._client.call("list_object_versions", Bucket=place.bucket, Prefix=place.key, **start)
        # A key's latest version comes first, so starting behind the last key that was seen misses only older ones.
        latest = [item for item in page.get("Versions", ()) if item["IsLatest"]]
        keys = [item["Key"] for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))]
        following = max(keys) if page.get("IsTruncated") and keys else None
        return [_document(place.bucket, item, _version(item["VersionId"])) for item in latest], following

    async def _is_versioned(self, bucket: str) -> bool:
        if bucket not in self._has_versions:
            try:
                answer = await self._client.call("get_bucket_versioning", Bucket=bucket)
                self._has_versions[bucket] = bool(answer.get("Status"))
            except ClientError as error:
                if classify(error).is_passing:
                    raise
                # Without the permission to ask, ETags tell objects apart.
                self._has_versions[bucket] = False
        return self._has_versions[bucket]

    async def delete(self, uris: list[str]) -> None:
        """Delete objects, at most 1,000, of one bucket."""
        places = [S3Uri.parse(uri) for uri in uris]
        if places:
            objects = {"Objects": [{"Key": place.key} for place in places], "Quiet": True}
            await self._client.call("delete_objects", Bucket=places[0].bucket, Delete=objects)

    async def check_region(self, uri: str, region: str | None) -> None:
        """
        Refuse a bucket of another region than the jobs': BDA reads and writes in its own.

        :raises BdaRequestError: names both regions.
        """
        bucket = S3Uri.parse(uri).bucket
        try:
            answer = await self._client.call("head_bucket", Bucket=bucket)
        except (ClientError, BotoCoreError):
            # Listing it says what is wrong with it.
            return
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        found = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
        if found and region and found != region:
            raise BdaRequestError(
                "A bucket is in another region than the jobs.",
                problems=[f"{uri}: the bucket {bucket!r} is in {found}, and the jobs run in {region}."],
                remedy=f"Use a bucket in {region}, or pass region_name={found!r}.",
            )


class HookJobs:
    """BDA through a hook's connection; see :class:`airflow_bda.engine.batch.starting.Jobs`."""

    def __init__(self, hook: BdaHook, client: _Client, identity: str) -> None:
        self._hook = hook
        self._client = client
        self.connection = hook.status_connection(identity)
        self.limits: WaitLimits = wait_limits()

    def request(self, job: dict[str, Any], input_s3_uri: str) -> InvocationRequest:
        """Return the request for one document."""
        return build_request(input_s3_uri=input_s3_uri, **job)

    async def invoke(self, request: InvocationRequest) -> str:
        """Start a job, or find the one that the request's token started."""
        response = await self._client.call("invoke_data_automation_async", **request.to_api())
        if "invocationArn" not in response:
            raise UnexpectedAnswerError(f"{INVOKE} was answered without an invocationArn")
        return str(response["invocationArn"])

    async def explain(self, error: Exception, request: InvocationRequest) -> BdaError:
        """Return the error of a refused call; a denial is looked into."""
        if classify(error) is not Failure.PERMISSION:
            return self._hook.invoke_error(error, request)
        return await call_in_thread(self._hook.invoke_error, error, request)


@asynccontextmanager
async def batch_clients(hook: BdaHook, identity: str) -> AsyncIterator[tuple[HookStore, HookJobs]]:
    """
    Open what a batch needs, on one connection, and close it at the end.

    :param identity: the identity of the hook's connection.
    """
    # The pace of starts must see each refusal at once; the engine repeats calls itself.
    s3, bda = _Client(hook, "s3"), _Client(hook, hook.client_type, repeats_calls=False)
    try:
        yield HookStore(s3), HookJobs(hook, bda, identity)
    finally:
        await s3.close()
        await bda.close()


def _condition(*, if_absent: bool, if_etag: str | None) -> dict[str, str]:
    if if_absent:
        return {"IfNoneMatch": "*"}
    # As S3 sends it: other stores compare the quotes as well.
    return {"IfMatch": f'"{if_etag.strip(chr(34))}"'} if if_etag else {}


@contextmanager
def _conflicts(uri: str, if_etag: str | None) -> Iterator[None]:
    """Convert S3's refusal of a conditional write into a conflict, or an error to retry."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code == _CONDITION_FAILED or (if_etag and code in _ABSENT_CODES):
            raise ConflictError(uri) from error
        if code == _CONDITION_UNDECIDED:
            raise TimeoutError(uri) from error
        raise


def _document(bucket: str, item: dict[str, Any], version: str | None) -> Document:
    return Document(f"s3://{bucket}/{item['Key']}", item["ETag"].strip('"'), version, item.get("Size"))


def _version(version: str | None) -> str | None:
    """Objects from before a bucket had versions have the version ``null``."""
    return None if version in {None, "null"} else version
