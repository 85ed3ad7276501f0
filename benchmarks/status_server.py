"""
A server that answers GetDataAutomationStatus and nothing else, from a process of its own.

Prints its port, serves until its standard input closes. Jobs start at the first request; job *k* of *n* ends at an even
share of the time between *first* and *last*: a queue that drains, which is what many jobs under a quota are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass

from aiohttp import web

ARN = "arn:aws:bedrock:us-east-1:111122223333:data-automation-invocation/00000000-0000-0000-0000-{:012d}"
# A job that ended long ago, which is not counted.
WARM_UP_ARN = ARN.format(999_999_999_999)


@dataclass
class Jobs:
    """When jobs end, and how often they were asked for."""

    number: int
    first: float
    last: float
    began_at: float | None = None
    calls: int = 0

    def length(self, index: int) -> float:
        """Return the seconds that a job takes."""
        return self.first + (self.last - self.first) * index / max(1, self.number - 1)

    def has_ended(self, index: int) -> bool:
        """Tell whether a job has ended, and count the question."""
        self.calls += 1
        now = time.monotonic()
        self.began_at = now if self.began_at is None else self.began_at
        return now - self.began_at >= self.length(index)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a status request."""
        arn = json.loads(await request.read())["invocationArn"]
        ended = arn == WARM_UP_ARN or self.has_ended(int(arn[-12:]))
        status = {"status": "Success" if ended else "InProgress", "outputConfiguration": {"s3Uri": "s3://b/o.json"}}
        return web.Response(body=json.dumps(status), content_type="application/x-amz-json-1.1")

    async def count(self, _: web.Request) -> web.Response:
        """Return how often it was asked."""
        return web.json_response({"calls": self.calls})


async def serve(application: web.Application) -> None:
    """Serve on a free port, print the port, and stop when standard input closes."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--first", type=float, required=True)
    parser.add_argument("--last", type=float, required=True)
    arguments = parser.parse_args()
    jobs = Jobs(arguments.number, arguments.first, arguments.last)
    application = web.Application()
    application.router.add_post("/", jobs.answer)
    application.router.add_get("/calls", jobs.count)
    asyncio.run(serve(application))


if __name__ == "__main__":
    main()
