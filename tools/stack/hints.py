"""
Print the URL of the queue of job events that waits read, `[bda] job_events_queue`; nothing where this stack has none.

The stack's profile `events` has one. Its container makes the queue at about the time when this is asked.
"""

from __future__ import annotations

import os
import socket
import sys
import time

import boto3

QUEUE = "bda-hints"
CONTAINER = "events"
# The container may begin a moment after this one.
GRACE_SECONDS = 5.0
LONGEST_SECONDS = 60.0


def main() -> int:
    """Look for the queue while there is, or may soon be, a container that makes it."""
    if named := os.environ.get("BDA_HINTS_QUEUE_URL"):
        print(named)
        return 0
    if not os.environ.get("AWS_ENDPOINT_URL"):  # a real account, whose queues only its owner knows
        return 0
    sqs = boto3.client("sqs")
    began = time.monotonic()
    give_up = began + GRACE_SECONDS
    while time.monotonic() < min(give_up, began + LONGEST_SECONDS):
        if urls := sqs.list_queues(QueueNamePrefix=QUEUE).get("QueueUrls"):
            print(urls[0])
            break
        if _is_up(CONTAINER):
            give_up = time.monotonic() + GRACE_SECONDS
        time.sleep(0.5)
    return 0


def _is_up(container: str) -> bool:
    try:
        socket.gethostbyname(container)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
