"""The account that the tests run on: what they may use of it, what they left there, and how that goes away again."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from airflow_bda.service.arns import derive_profile_arn
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Callable

HOW_TO_NAME = 'set BDA_SYSTEM_TESTS="s3://bucket/prefix project-arn" to run them on a real AWS account'
SECONDS_FOR_A_JOB = 1800
ENDED = ("Success", "ClientError", "ServiceError")
_MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Place:
    """
    What the tests may use.

    :param folder: the bucket and the prefix in it under which they write.
    """

    folder: S3Uri
    project_arn: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """
        Read ``s3://bucket/prefix project-arn``.

        :raises ValueError: says what is missing.
        """
        uri, _, project_arn = " ".join(text.split()).partition(" ")
        if not project_arn.startswith("arn:"):
            raise ValueError(f"{text!r} names no project; {HOW_TO_NAME}")
        folder = S3Uri.parse(uri)
        return cls(S3Uri(folder.bucket, folder.key.strip("/")), project_arn)


@dataclass
class Account:
    """
    An AWS account, by the credentials that the AWS SDKs find themselves.

    :param started: the invocations that the tests know of.
    """

    place: Place
    # AWS_REGION is for most AWS SDKs what AWS_DEFAULT_REGION is for boto3.
    session: boto3.Session = field(default_factory=lambda: boto3.Session(region_name=os.environ.get("AWS_REGION")))
    name: str = field(
        default_factory=lambda: f"bda-system-tests-{datetime.now(timezone.utc):%Y%m%d}-{uuid.uuid4().hex[:8]}"
    )
    started: set[str] = field(default_factory=set)
    _leaving: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        # Last of all: what the stack is made from lies there.
        self.on_leaving(lambda: delete_under(self.client("s3"), self.folder))

    @property
    def region(self) -> str:
        """Where everything happens."""
        region = self.session.region_name
        if not region:
            raise ValueError("no region is set: set AWS_REGION")
        return region

    @cached_property
    def account_id(self) -> str:
        return self.client("sts").get_caller_identity()["Account"]

    @cached_property
    def folder(self) -> S3Uri:
        """All that this run reads and writes."""
        return S3Uri(self.place.folder.bucket, "/".join(filter(None, (self.place.folder.key, self.name))))

    @cached_property
    def bda(self) -> Any:
        """A client that tries each call once, so that every answer is seen."""
        return self.client("bedrock-data-automation-runtime", config=Config(retries={"total_max_attempts": 1}))

    def client(self, service: str, **options: Any) -> Any:
        return self.session.client(service, region_name=self.region, **options)

    def uri(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def upload(self, name: str, content: bytes) -> str:
        """Put an object into the run's folder, and give its URI."""
        return self.put(S3Uri.parse(self.uri(name)), content)

    def put(self, place: S3Uri, content: bytes) -> str:
        self.client("s3").put_object(Bucket=place.bucket, Key=place.key, Body=content)
        return str(place)

    def request(self, input_s3_uri: str, **members: Any) -> dict[str, Any]:
        """Return a request for the API: the project's, unless *members* say otherwise."""
        profile = derive_profile_arn(
            region=self.region, account=self.account_id, partition=self.session.get_partition_for_region(self.region)
        )
        return {
            "inputConfiguration": {"s3Uri": input_s3_uri},
            "outputConfiguration": {"s3Uri": self.uri("out")},
            "dataAutomationProfileArn": profile,
            "dataAutomationConfiguration": {"dataAutomationProjectArn": self.place.project_arn},
            **members,
        }

    def invoke(self, request: dict[str, Any]) -> str:
        """Start a job; it will be waited for before anything is deleted."""
        arn: str = self.bda.invoke_data_automation_async(**request)["invocationArn"]
        self.started.add(arn)
        return arn

    def wait(self, invocation_arn: str) -> dict[str, Any]:
        """Return the service's answer for a job that has ended."""
        give_up = time.monotonic() + SECONDS_FOR_A_JOB
        pause = 0.5
        while (answer := self._status(invocation_arn)).get("status") not in ENDED:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{invocation_arn} had not ended after {SECONDS_FOR_A_JOB} seconds: {answer}")
            time.sleep(pause)
            pause = min(pause * 1.5, 15)
        return answer

    def _status(self, invocation_arn: str) -> dict[str, Any]:
        # Calls that fail are what other tests are about; here they are tried again.
        with contextlib.suppress(self.bda.exceptions.ClientError):
            return self.bda.get_data_automation_status(invocationArn=invocation_arn)
        return {}

    # -- leaving nothing behind

    def on_leaving(self, clean: Callable[..., object], *arguments: Any) -> None:
        """Call *clean* at the end, what came last first."""
        self._leaving.callback(clean, *arguments)

    def leave(self) -> None:
        """
        Delete all that was made, and go on with the rest where one thing cannot be deleted.

        :raises Exception: what went wrong, in the end.
        """
        # Jobs that go on would write again what was deleted.
        for invocation_arn in sorted(self.started):
            self.on_leaving(self.wait, invocation_arn)
        self._leaving.close()


def delete_under(s3: Any, folder: S3Uri) -> None:
    """Delete every object under a folder; in a bucket with versioning, every version of it."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=folder.bucket, Prefix=f"{folder.key}/")
    found = [
        {"Key": version["Key"], "VersionId": version["VersionId"]}
        for page in pages
        for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
    ]
    for start in range(0, len(found), _MOST_AT_ONCE):
        deleted = s3.delete_objects(
            Bucket=folder.bucket, Delete={"Objects": found[start : start + _MOST_AT_ONCE], "Quiet": True}
        )
        if deleted.get("Errors"):
            raise OSError(f"objects under {folder} could not be deleted: {deleted['Errors'][:3]}")
