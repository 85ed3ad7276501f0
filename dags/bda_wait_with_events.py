"""
### A wait that an event ends

One task starts a job and waits for it in the triggerer. The job's event tells the triggerer to look at the job now, so
that the task continues a moment after the end, and BDA is asked about once. What the event says is not believed, and an
event that is lost costs time only: `poll_interval` says when the task looks by itself.

The queue and its rule, as CloudFormation. Waits need a queue of their own, other than that of `bda_on_event`: a message
is for one reader. Name it to the triggerers by `AIRFLOW__BDA__JOB_EVENTS_QUEUE`, as its URL or its ARN.

```yaml
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: bda-hints
      # A hint that nobody took within minutes is of no use.
      MessageRetentionPeriod: 900
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
"""

from __future__ import annotations

from datetime import datetime, timedelta

try:  # Airflow 3
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_bda.operators import BdaInvokeOperator

with DAG(
    "bda_wait_with_events",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    description="One document, whose event ends the wait. Needs an SQS queue and an EventBridge rule: see its docs",
    tags=["bda", "needs a queue and a rule"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
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
    },
):
    BdaInvokeOperator(
        task_id="process",
        input_s3_uri="{{ params.input_s3_uri }}",
        output_s3_uri="{{ params.output_s3_uri }}",
        project_arn="arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default",
        event_bridge_enabled=True,
        wait_for_completion=True,
        deferrable=True,
        # For the event that is lost. Left out, the task looks as often as without events until they are seen to flow.
        poll_interval=timedelta(minutes=10),
    )
