"""
Queues of SQS, as they are named: by URL or by ARN.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_bda.service.arns import partition_of

_ARN = re.compile(r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):(?P<name>[A-Za-z0-9_.-]+)")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_HOST = re.compile(r"sqs\.(?P<region>[a-z0-9-]+)\..+")


@dataclass(frozen=True)
class Queue:
    """
    A queue of SQS.

    :param url: what SQS is called with.
    :param region: None where the URL is not one of AWS's, such as an emulator's.
    :param account: None where the URL has none.
    """

    url: str
    name: str
    region: str | None
    account: str | None

    @classmethod
    def parse(cls, text: str) -> Queue:
        """
        Read a queue's URL or ARN.

        :raises ValueError: when it is neither.
        """
        if arn := _ARN.fullmatch(text):
            region, account, name = arn["region"], arn["account"], arn["name"]
            domain = "amazonaws.com.cn" if partition_of(region) == "aws-cn" else "amazonaws.com"
            return cls(f"https://sqs.{region}.{domain}/{account}/{name}", name, region, account)
        url = urlsplit(text)
        path = url.path.strip("/").split("/")
        if url.scheme not in {"http", "https"} or not url.hostname or not _NAME.fullmatch(path[-1]):
            raise ValueError(f"{text!r} is not a queue: pass its URL or its ARN.")
        host = _HOST.fullmatch(url.hostname)
        account = path[0] if _ACCOUNT.fullmatch(path[0]) else None
        return cls(text, path[-1], host["region"] if host else None, account)

    def arn_in(self, region: str, account: str) -> str:
        """Return the queue's ARN; a region and an account that its URL does not tell are these."""
        region, account = self.region or region, self.account or account
        return f"arn:{partition_of(region)}:sqs:{region}:{account}:{self.name}"
