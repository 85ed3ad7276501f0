"""A queue of the emulator's with events in it, for tests of those who watch it."""

from __future__ import annotations

import asyncio
import json
import time

DETAIL_TYPES = {
    "Created": "Created",
    "Success": "Succeeded",
    "ClientError": "Failed With Client Error",
    "ServiceError": "Failed With Service Error",
}


class Queue:
    """A queue at the emulator, with a dead-letter queue behind it."""

    def __init__(self, emulator, *, visibility_seconds=30, receives=10):
        self.sqs = emulator.client("sqs")
        self.dead_url = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": str(receives)}
        attributes = {"VisibilityTimeout": str(visibility_seconds), "RedrivePolicy": json.dumps(redrive)}
        self.url = self.sqs.create_queue(QueueName="bda-events", Attributes=attributes)["QueueUrl"]

    def send(self, job_id, status="Success", *, prefix="p"):
        self.send_text(json.dumps(event(job_id, status, prefix)))

    def send_text(self, text):
        self.sqs.send_message(QueueUrl=self.url, MessageBody=text)

    def count(self, url=None):
        """Count what is there, be it visible or just handed out."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


def event(job_id, status="Success", prefix="p"):
    return {
        "version": "0",
        "id": "e-1",
        "detail-type": f"Bedrock Data Automation Job {DETAIL_TYPES[status]}",
        "source": "aws.bedrock",
        "account": "123456789012",
        "time": "2026-01-05T14:42:14Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "job_id": job_id,
            "job_status": "SUCCESS",
            "semantic_modality": "Document",
            "input_s3_object": {"s3_bucket": "in", "name": "a.pdf"},
            "output_s3_location": {"s3_bucket": "out", "name": f"{prefix}/{job_id}/0"},
            "error_message": "words of the service",
            "job_duration_in_seconds": 16,
        },
    }


async def until(look):
    """Wait for what happens on the same loop."""
    give_up = time.monotonic() + 60
    while not look():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
