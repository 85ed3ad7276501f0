"""
S3 and BDA as far as a batch calls them, from a process of its own and as cheaply as possible.

Prints its port, serves until its standard input closes. The bucket ``inputs`` has *documents* objects; jobs run so many
at once, first come, first served. It is for numbers of documents that the emulator would take too long for.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import heapq
import json
import time
from collections import Counter
from xml.sax.saxutils import escape

from aiohttp import web
from status_server import ARN, serve

PAGE = 1000


class Aws:
    """The objects and the jobs."""

    def __init__(self, documents: int, seconds: float, at_once: int) -> None:
        self.objects: dict[str, bytes] = {f"/inputs/{number:06d}.pdf": b"document" for number in range(documents)}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.seconds = seconds
        self.ends: list[float] = []
        self.free_at = [0.0] * at_once
        self.tokens: dict[str, int] = {}
        self.calls: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if target:
            return self._bda(target, json.loads(await request.read()))
        self.calls[f"s3 {request.method}"] += 1
        return self._s3(request, await request.read())

    def _bda(self, operation: str, members: dict) -> web.Response:
        self.calls[operation] += 1
        now = time.monotonic()
        if operation == "InvokeDataAutomationAsync":
            number = self.tokens.setdefault(members["clientToken"], len(self.ends))
            if number == len(self.ends):
                begins = max(now, heapq.heappop(self.free_at))
                self.ends.append(begins + self.seconds)
                heapq.heappush(self.free_at, self.ends[-1])
            answer = {"invocationArn": ARN.format(number)}
        else:
            has_ended = now >= self.ends[int(members["invocationArn"][-12:])]
            answer = {"status": "Success" if has_ended else "InProgress"}
            answer |= {"outputConfiguration": {"s3Uri": "s3://outputs/job_metadata.json"}} if has_ended else {}
        return web.Response(body=json.dumps(answer), content_type="application/x-amz-json-1.1")

    def _s3(self, request: web.Request, body: bytes) -> web.Response:
        query, key = request.query, request.path
        if query.get("list-type") == "2":
            return self._list(key, query)
        if "versioning" in query:
            return _xml("<VersioningConfiguration/>")
        if "uploads" in query:
            self.uploads[key] = {}
            return _xml(
                f"<InitiateMultipartUploadResult><UploadId>{len(self.uploads)}</UploadId></InitiateMultipartUploadResult>"
            )
        if "partNumber" in query:
            self.uploads[key][int(query["partNumber"])] = body
            return web.Response(headers={"ETag": '"part"'})
        if "uploadId" in query:
            self.objects[key] = b"".join(part for _, part in sorted(self.uploads.pop(key).items()))
            return _xml('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>')
        return self._object(request, key, body)

    def _object(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if request.method == "PUT":
            if request.headers.get("If-None-Match") == "*" and key in self.objects:
                return _xml("<Error><Code>PreconditionFailed</Code></Error>", status=412)
            self.objects[key] = body
        elif key.count("/") == 1:
            return web.Response(headers={"x-amz-bucket-region": "us-east-1"})
        elif key not in self.objects:
            return _xml("<Error><Code>NoSuchKey</Code></Error>", status=404)
        etag = f'"{hashlib.md5(self.objects[key]).hexdigest()}"'  # noqa: S324  as S3 does
        return web.Response(body=b"" if request.method == "PUT" else self.objects[key], headers={"ETag": etag})

    def _list(self, bucket: str, query: web.BaseRequest) -> web.Response:
        start = f"{bucket}/{query.get('prefix', '')}"
        after = f"{bucket}/{query.get('start-after', '')}"
        keys = sorted(key for key in self.objects if key.startswith(start) and key > after)
        contents = "".join(
            f"<Contents><Key>{escape(key[len(bucket) + 1 :])}</Key><ETag>&quot;e&quot;</ETag>"
            f"<Size>{len(self.objects[key])}</Size></Contents>"
            for key in keys[:PAGE]
        )
        more = "true" if len(keys) > PAGE else "false"
        return _xml(f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}</ListBucketResult>")


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(text=f'<?xml version="1.0"?>{text}', status=status, content_type="application/xml")


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    arguments = parser.parse_args()
    aws = Aws(arguments.documents, arguments.seconds, arguments.at_once)
    application = web.Application(client_max_size=2**30)
    application.router.add_get("/_calls", lambda _: asyncio.sleep(0, web.json_response(aws.calls)))
    application.router.add_route("*", "/{any:.*}", aws.answer)
    asyncio.run(serve(application))


if __name__ == "__main__":
    main()
