"""
### Results when they are there, without waiting

`bda_submit_with_events` starts a job and is done. When the job has ended, BDA sends an event to EventBridge, a rule
passes it on to a queue of SQS, and `bda_on_event` runs: nothing polls BDA and no slot is held meanwhile. It reads the
results and writes the fields of each job to one file, `collected/<job id>.json` beside the job's folder.

Events may come twice, so the second DAG is **idempotent**: it collects each job of its triggering events once, and a
job that was collected before is written to the same file again, with the same contents.

The queue and its rule, as CloudFormation; `BDA_EVENTS_QUEUE_URL` in the environment of Airflow is the queue's URL,
unless it is the default, `https://sqs.us-east-1.amazonaws.com/123456789012/bda-events`. Events that cannot be used stay
in the queue, and then go to the dead-letter queue.

```yaml
Resources:
  DeadLetters:
    Type: AWS::SQS::Queue
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: bda-events
      RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.bedrock]
        detail-type:
          - Bedrock Data Automation Job Succeeded
          - Bedrock Data Automation Job Failed With Client Error
          - Bedrock Data Automation Job Failed With Service Error
      Targets: [{Id: queue, Arn: !GetAtt Queue.Arn}]
  MayPassOn:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Queue.Arn
            Condition: {ArnEquals: {aws:SourceArn: !GetAtt Rule.Arn}}
```

Airflow 3.0 or later; on Airflow 2 this file has only the first DAG, and `bda_document` shows how to wait there.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook

try:  # Airflow 3
    from airflow.sdk import Asset, AssetWatcher, Param, dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param

    AssetWatcher = None

from airflow_bda.hooks import BdaHook
from airflow_bda.operators import BdaInvokeOperator
from airflow_bda.triggers import BdaJobEventTrigger

QUEUE_URL = os.environ.get("BDA_EVENTS_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/bda-events")
MANAGED = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-"
# What is logged stands in the task's log as it happens; Airflow folds away what is printed.
log = logging.getLogger(__name__)
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30)}


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="Start a job that sends an event when it ends; bda_on_event runs then",
    tags=["bda"],
    doc_md=__doc__,
    default_args=RETRIES,
    # Params that are lists reach the operator as lists, not as their text.
    render_template_as_native_obj=True,
    params={
        "input_s3_uri": Param(
            "s3://bda-input/invoice.pdf",
            type="string",
            title="Document",
            description="The file to process, one object: s3://bucket/key",
        ),
        "output_s3_uri": Param(
            "s3://bda-output/results",
            type="string",
            title="Results",
            description="The prefix under which the service writes the job's folder: s3://bucket/prefix",
        ),
        "blueprints": Param(
            [f"{MANAGED}invoice", f"{MANAGED}receipt"],
            type="array",
            title="Blueprints",
            description="The ARNs of the blueprints to try; the one that fits the document says what to extract",
        ),
    },
)
def bda_submit_with_events() -> None:
    """Start a job that sends an event when it ends."""
    BdaInvokeOperator(
        task_id="invoke",
        input_s3_uri="{{ params.input_s3_uri }}",
        output_s3_uri="{{ params.output_s3_uri }}",
        blueprints="{{ params.blueprints }}",
        event_bridge_enabled=True,
    )


bda_submit_with_events()

if AssetWatcher is not None:
    ended_jobs = Asset(
        "bda_ended_jobs",
        watchers=[AssetWatcher("bda_events", trigger=BdaJobEventTrigger(sqs_queue_url=QUEUE_URL))],
    )

    @dag(
        schedule=[ended_jobs],
        start_date=datetime(2026, 1, 1),
        catchup=False,
        description="Collect the fields of jobs that ended. Needs an SQS queue and an EventBridge rule: see its docs",
        tags=["bda", "needs a queue and a rule"],
        doc_md=__doc__,
        default_args=RETRIES,
    )
    def bda_on_event() -> None:
        """Collect what the jobs found whose ends started this run."""

        @task
        def jobs_that_ended(triggering_asset_events: Any = None) -> list[dict]:
            """One run may have many events, and several of one job."""
            payloads = [event.extra["payload"] for event in triggering_asset_events[ended_jobs]]
            return list({payload["key"]: payload for payload in payloads}.values())

        # In place of "0", "1", ...
        @task(map_index_template="{{ task.op_kwargs['job']['input_s3_uri'] }}")
        def collect(job: dict) -> str | None:
            """Write one job's results where a second time would write them again."""
            log.info("%s: %s", job["input_s3_uri"], job["status"])
            if job["status"] != "Success":
                state = BdaHook().get_status(job["invocation_arn"])
                log.warning("%s: %s, %s: %s", job["input_s3_uri"], state.status, state.error_type, state.error_message)
                return None
            segments = BdaHook().get_results(job["output_metadata_uri"]).segments
            fields = [
                [field.path, field.value] for found in segments if found.custom for field in found.custom.fields()
            ]
            target = f"{job['output_s3_uri'].partition(job['job_id'])[0]}collected/{job['job_id']}.json"
            S3Hook().load_string(json.dumps({"document": job["input_s3_uri"], "fields": fields}), target, replace=True)
            return target

        collect.expand(job=jobs_that_ended())

    bda_on_event()
