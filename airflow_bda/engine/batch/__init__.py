"""
Run a batch of documents in one asyncio loop: plan it, run it, resume it after a crash, report it. No Airflow.

The whole state of a batch is in S3, under ``<output>/_batch/<batch_id>/``:

``manifest.json``
    A summary of constant size, which is also the task's XCom. It is written at the end of every round (a try of the
    task that ran the batch)::

        {
          "format": 1,
          "batch_id": "inbox-process-1f0c9a7be210",
          "manifest_uri": "s3://out/results/_batch/inbox-process-1f0c9a7be210/manifest.json",
          "results_uri": "s3://out/results/_batch/inbox-process-1f0c9a7be210/results.jsonl",
          "output_s3_uri": "s3://out/results",
          "request_digest": "9f86d081884c7d65...",
          "round": 1,
          "counts": {"total": 3, "succeeded": 1, "failed": 1, "skipped": 1, "running": 0, "not_started": 0},
          "left_out": {"pattern": 0, "format": 2, "empty": 1},
          "errors": [{"cause": "ClientError: Unsupported file", "count": 1,
                      "example": {"input": "s3://in/b.pdf", "arn": "arn:aws:bedrock:...", "error": "..."}}],
          "failed": ["s3://in/b.pdf"],
          "started_at": "2026-03-01T12:00:00+00:00",
          "ended_at": "2026-03-01T12:10:00+00:00"
        }

    ``errors`` holds the 20 most frequent causes, ``failed`` the first ten documents that failed.

``results.jsonl``
    One JSON object a line and exactly one line a document, in the order of the documents' URIs. Members that are not
    known are null:

    ============== ====================================================================================
    ``input``      the document's URI
    ``etag``       the object's ETag without quotes, as it was when its job was started (or listed)
    ``version``    the object's version id, in a bucket that has versions
    ``status``     ``succeeded``, ``failed``, ``skipped`` (an earlier batch finished it), ``running`` (its job
                   continues, though the round ended at its deadline) or ``not_started``
    ``arn``        the invocation's ARN; for a skipped document, that of the earlier batch
    ``error_type`` the service's type of the error, or ours: ``Vanished``, ``InvalidRequest``
    ``error``      the failure's message
    ``output``     the URI of ``job_metadata.json``
    ``seconds``    how long the job took, in seconds
    ``pages``      how many pages the document has, where its standard output says so
    ``jobs``       how many jobs the document has had in this batch; 0 for one that was never submitted
    ``round``      in which round of the batch it ended
    ``again``      what retries a failed document: ``retry`` (any later round) or ``clear`` (a cleared task)
    ============== ====================================================================================

``plan-<n>/<part>.jsonl``
    The documents, 500 a part, as they were listed.

``ledger/<number>.jsonl``
    What happened, in numbered parts that are only ever added, each with ``If-None-Match: *``. That keeps two runners
    from owning one batch: a runner that takes a batch over adds a part, and the next part of the former runner is
    refused. See :mod:`airflow_bda.engine.batch.ledger`.

``rows/<part>-<number>.jsonl``
    The rows of a part all of whose documents have ended.

``<output>/_batch/_finished/<digest>/`` records which objects were finished with which request, in all batches on that
output. ``only_changed`` reads it.
"""
