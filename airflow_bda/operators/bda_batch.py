"""Run a whole batch of documents in one task."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from datetime import datetime, timezone
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import AirflowSkipException, AwsBaseOperator, conf
from airflow_bda.engine.tasks import run_to_the_end
from airflow_bda.exceptions import task_errors
from airflow_bda.hooks import telemetry
from airflow_bda.hooks.bda import DEFAULT_MAX_WAIT, BdaHook
from airflow_bda.hooks.task_arguments import deadline_after, flag, list_of, number, optional_text, s3_uri
from airflow_bda.operators.bda import BdaRequestOperator
from airflow_bda.operators.one_job import task_identity
from airflow_bda.service.arguments import MEMBER_OF_ARGUMENT, holds_template
from airflow_bda.service.errors import BdaClientError, BdaRequestError, BdaServiceError, BdaTimeoutError
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.statuses import JobOutcome
from airflow_bda.triggers.bda import belongs_to_an_earlier_try, check_storable
from airflow_bda.triggers.bda_batch import JOBS_STILL_RUNNING, BdaBatchTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_bda.engine.batch.planning import Source
    from airflow_bda.engine.batch.session import Attempt, Order

MANIFEST = "manifest"
_BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHARD = re.compile(r"(\d+)/(\d+)")


def _check_uris(value: Any) -> list[str] | None:
    return None if value is None else list_of(value, partial(s3_uri, of_object=True))


def _check_prefix(value: Any) -> str | None:
    return None if value is None else s3_uri(value)


def _check_pattern(value: Any) -> str | None:
    """Distinguish a glob that begins with a set, as ``[ab]*.pdf``, from a list that a template rendered to text."""
    if not isinstance(value, str) or not value.startswith("[") or holds_template(value):
        return optional_text(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    return optional_text(value)


def _check_batch_id(value: Any) -> str | None:
    text = optional_text(value)
    if text is not None and not _BATCH_ID.fullmatch(text):
        raise ValueError("use letters, digits and ._-, 128 at most")
    return text


def _check_shard(value: Any) -> str | None:
    text = optional_text(value)
    shard = _SHARD.fullmatch(text) if text is not None else None
    if text is not None and (shard is None or int(shard[1]) >= int(shard[2])):
        raise ValueError("write '0/8' to '7/8' for eight shards")
    return text


def _check_in_flight(value: Any) -> int:
    return int(number(value, "a whole number, at least one", fits=lambda jobs: isinstance(jobs, int) and jobs > 0))


def _check_failures(value: Any) -> float:
    """Refuse floats from 1: 1.0 could be meant as all documents, or as one."""
    wanted = "a whole number of documents, 0 or more, or a share below 1"
    failures: float = number(value, wanted, fits=lambda it: it >= 0 if isinstance(it, int) else 0 <= it < 1)
    return failures


class BdaBatchOperator(BdaRequestOperator, AwsBaseOperator[BdaHook]):
    """
    Run data automation jobs for many documents, thousands as well, in one task.

    Every document has one job and one bill, whatever is killed and however often the task is tried: what the batch has
    done is in a ledger on S3, below *output_s3_uri*. A retry takes up what is unfinished and what the service failed;
    a clear takes up every document that failed. Whether a document was finished already, in this batch or an earlier
    one with the same request on the same output, is told by its key and ETag (or version).

    The request's arguments, *output_s3_uri* among them, are those of
    :class:`~airflow_bda.operators.bda.BdaRequestOperator`; the batch's own files go below *output_s3_uri* too.

    .. seealso::
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomationAsync.html

    :param input_s3_uris: the documents, ``s3://bucket/key`` each. Either this or *input_s3_prefix*. (templated)
    :param input_s3_prefix: ``s3://bucket/prefix``; every document under it. (templated)
    :param pattern: a glob of what follows the prefix in a document's URI, as ``*.pdf``; ``*`` matches slashes too. None
        (default) takes every object whose extension is of a format that the service lists. (templated)
    :param max_in_flight: how many jobs may be open at once, 100 by default. More than the account's concurrent jobs
        does not hurt: the service queues them.
    :param max_failures: how many documents may fail before the task does: a number (0 by default), or a share of all
        documents as a float below 1.
    :param only_changed: whether to skip documents that an earlier batch on this output finished with the same request
        (True, default).
    :param batch_id: names the batch's folder, with letters, digits and ``._-``; None makes a name of the DAG, the task
        and the run. (templated)
    :param shard: ``"2/8"`` takes the documents of the third of eight shards only, counted from 0; for tasks that are
        mapped over shards. (templated)
    :param force: whether clearing the task starts the batch over: it lists anew, and runs finished documents again.
    :param max_wait: how long one try may take, as a timedelta or in seconds; the default is one day. Jobs that are open
        by then keep running, and the next try takes them up.
    :param deferrable: whether to run in the triggerer instead of in a worker slot; the default is Airflow's
        ``[operators] default_deferrable``. Documents are listed in the worker in either case.
    :param aws_conn_id: the Airflow connection with AWS credentials, ``aws_default`` by default. (templated)
    :param region_name: the AWS region; None takes the connection's. (templated)
    :param verify: whether, or with which bundle, TLS certificates are verified; None takes the connection's.
        (templated)
    :param botocore_config: botocore's client configuration, as a dictionary.
    :return: the manifest, of constant size: counts, causes of failures, and the URI of ``results.jsonl``, which has one
        row a document. The XCom ``manifest`` has it as well, and is there even when the task fails.
    :raises AirflowSkipException: there is no object under the prefix.
    :raises BdaRequestError: nothing was sent; names every problem. Not retried.
    :raises BdaPermissionError: the service refused; says which of the known causes it is.
    :raises BdaClientError: more documents failed than allowed, and a retry would change none of them. Not retried.
    :raises BdaServiceError: more documents failed than allowed; a retry starts new jobs where that can help.
    :raises BdaTimeoutError: *max_wait* passed; a retry resumes the batch.
    """

    aws_hook_class = BdaHook
    template_fields: Sequence[str] = (
        "input_s3_uris",
        "input_s3_prefix",
        "pattern",
        *BdaRequestOperator.template_fields,
        "batch_id",
        "shard",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "input_s3_uris": "json",
        **BdaRequestOperator.template_fields_renderers,
    }
    argument_checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
        {
            "input_s3_uris": _check_uris,
            "input_s3_prefix": _check_prefix,
            "pattern": _check_pattern,
            "max_in_flight": _check_in_flight,
            "max_failures": _check_failures,
            "only_changed": flag,
            "batch_id": _check_batch_id,
            "shard": _check_shard,
            "force": flag,
        }
    )

    def __init__(  # noqa: PLR0913  what makes a batch
        self,
        *,
        input_s3_uris: Sequence[str] | None = None,
        input_s3_prefix: str | None = None,
        pattern: str | None = None,
        max_in_flight: int = 100,
        max_failures: float = 0,
        only_changed: bool = True,
        batch_id: str | None = None,
        shard: str | None = None,
        force: bool = False,
        max_wait: float | timedelta = DEFAULT_MAX_WAIT,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_s3_uris = input_s3_uris
        self.input_s3_prefix = input_s3_prefix
        self.pattern = pattern
        self.max_in_flight = max_in_flight
        self.max_failures = max_failures
        self.only_changed = only_changed
        self.batch_id = batch_id
        self.shard = shard
        self.force = force
        self.max_wait = max_wait
        self.deferrable = deferrable
        self._folder_uri: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """List the documents, or take up what an earlier try listed; then run the batch here or in the triggerer."""
        with task_errors(), telemetry.failures():
            self.check_arguments()
            documents = self.input_s3_prefix or "those of input_s3_uris"
            self.log.info("Documents: %s, output: %s", documents, self.output_s3_uri)
            if self.deferrable:
                check_storable(self.botocore_config)
            attempt = _attempt(context)
            order = self._order(attempt)
            # Here, in the task's own thread, which is where Airflow is asked for connections.
            identity = self.hook.identity
            manifest = run_to_the_end(lambda: self._begin(order, attempt, identity))
            if manifest is None:
                self._defer(context, attempt)
                raise AssertionError  # defer always raises
            return self._conclude(context, manifest)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, deferred_in_try: int | None = None
    ) -> dict[str, Any]:
        """Resume with the trigger's event."""
        if belongs_to_an_earlier_try(context, deferred_in_try):
            # Airflow guards `execute` against calls from other code; this is the function that it guards.
            return self.execute.__wrapped__(self, context)  # type: ignore[no-any-return,attr-defined]
        with task_errors(), telemetry.failures():
            if (event or {}).get("status") != "success":
                JobOutcome.from_event(event).metadata_uri()
            place = S3Uri.parse(str((event or {})["manifest_uri"]))
            body = self.hook.s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
            return self._conclude(context, json.loads(body))

    def lineage_inputs(self) -> list[Any]:
        """Return the prefix, or the documents."""
        return [self.input_s3_prefix] if self.input_s3_prefix else list(self.input_s3_uris or ())

    def on_kill(self) -> None:
        """Log that the jobs keep running: BDA cannot cancel."""
        if self._folder_uri:
            self.log.warning(JOBS_STILL_RUNNING, self._folder_uri)

    async def _begin(self, order: Order, attempt: Attempt, identity: str) -> dict[str, Any] | None:
        """Begin the round; unless the triggerer is to run it, run it to its end and return its manifest."""
        from airflow_bda.engine.batch.session import World, batch_folder, begin, run_round
        from airflow_bda.hooks.batch import batch_clients

        async with batch_clients(self.hook, identity) as (store, jobs):
            region = self.hook.conn_region_name
            for uri in filter(None, (order.source.prefix, order.job["output_s3_uri"])):
                await store.check_region(uri, region)
            world = World(store, lambda: datetime.now(timezone.utc), self.log.info, self.log.warning)
            self._folder_uri = batch_folder(store, order.job["output_s3_uri"], order.batch_id).uri
            self.log.info("Batch: %s", self._folder_uri)
            ledger = await begin(order, attempt, world)
            try:
                if self.deferrable and ledger.state.documents:
                    return None
                return await run_round(ledger, jobs, world, max_in_flight=self.max_in_flight)
            finally:
                await ledger.close()

    def _order(self, attempt: Attempt) -> Order:
        """Check the arguments, all at once, and return what they ask for."""
        from airflow_bda.engine.batch.session import Order

        return Order(
            batch_id=self.batch_id or _default_batch_id(self.dag_id, self.task_id, attempt.owner),
            job=job_arguments(self.hook, self.request_arguments()),
            source=_source(self.input_s3_uris, self.input_s3_prefix, self.pattern, self.shard),
            deadline=deadline_after("max_wait", self.max_wait),
            only_changed=self.only_changed,
            force=self.force,
        )

    def _defer(self, context: Context, attempt: Attempt) -> None:
        self.defer(
            trigger=BdaBatchTrigger(
                folder_uri=str(self._folder_uri),
                round_key=attempt.key,
                max_in_flight=self.max_in_flight,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
            kwargs={"deferred_in_try": context["ti"].try_number},
            # Airflow 3 does not hold a deferred task to its execution_timeout.
            timeout=self.execution_timeout,
        )

    def _conclude(self, context: Context, manifest: dict[str, Any]) -> dict[str, Any]:
        """Push the manifest, and fail where it has more failures than allowed."""
        context["ti"].xcom_push(key=MANIFEST, value=manifest)
        telemetry.batch_ended(manifest["counts"])
        self.note_end(
            context,
            output_s3_uri=self.output_s3_uri,
            results_uri=manifest["results_uri"],
            **{f"documents_{name}": number for name, number in manifest["counts"].items()},
        )
        self.log.info("Results: %s. Documents: %s", manifest["results_uri"], manifest["counts"])
        for error in manifest["errors"]:
            self.log.warning("%s failed: %s. For example %s", error["count"], error["cause"], error["example"])
        if not manifest["counts"]["total"]:
            raise AirflowSkipException("There is no document to process.")
        check_manifest(manifest, self.max_failures)
        return manifest


def job_arguments(hook: BdaHook, arguments: dict[str, Any]) -> dict[str, Any]:
    """
    Check what the requests of all documents have in common, and return it as plain data with the profile filled in.

    :raises BdaRequestError: with every problem found.
    """
    output = arguments["output_s3_uri"]
    try:
        bucket = S3Uri.parse(output).bucket
    except (ValueError, AttributeError, TypeError):  # build_request says what is wrong with it
        bucket = "bucket"
    request = hook.build_request(input_s3_uri=f"s3://{bucket}/document.pdf", **arguments)
    # As the API takes them: what users may write, a timedelta or the output of a mapped task, is not always JSON.
    common = {name: request.argument(name) for name in MEMBER_OF_ARGUMENT if name != "input_s3_uri"}
    return {name: value for name, value in common.items() if value is not None}


def check_manifest(manifest: dict[str, Any], max_failures: float) -> None:
    """
    Raise where a batch has more failures than allowed, or is unfinished.

    :param max_failures: a number of documents, or a share below 1.
    """
    counts = manifest["counts"]
    unfinished = counts["running"] + counts["not_started"]
    if unfinished:
        raise BdaTimeoutError(
            f"Timed out; the batch has not ended: of {counts['total']} documents, "
            f"{counts['running']} are running and {counts['not_started']} were not started.",
            remedy=f"A retry or a clear resumes the batch. The rows so far: {manifest['results_uri']}.",
        )
    allowed = max_failures * counts["total"] if 0 < max_failures < 1 else max_failures
    if counts["failed"] <= allowed:
        return
    causes = "; ".join(f"{error['count']} x {error['cause'].rstrip('.')}" for error in manifest["errors"][:5])
    message = (
        f"{counts['failed']} of {counts['total']} documents failed, {allowed:g} are allowed. Causes: {causes}. "
        f"The first: {', '.join(manifest['failed'])}."
    )
    rows = f"All rows: {manifest['results_uri']}."
    if manifest["again"]["retry"]:
        raise BdaServiceError(message, remedy=f"A retry of the task starts new jobs where that can help. {rows}")
    raise BdaClientError(message, remedy=f"Correct the documents or the request, then clear the task. {rows}")


def _source(uris: Sequence[str] | None, prefix: str | None, pattern: str | None, shard: str | None) -> Source:
    """Return where the documents are, from arguments of which each is valid by itself."""
    from airflow_bda.engine.batch.planning import Source

    problems = []
    if (uris is None) == (prefix is None):
        problems.append("input_s3_uris, input_s3_prefix: pass exactly one of them.")
    if pattern is not None and prefix is None:
        problems.append("pattern: it is for input_s3_prefix.")
    if problems:
        raise BdaRequestError("The batch was not begun.", problems=problems)
    number_and_count = _SHARD.fullmatch(shard) if shard else None
    place = (int(number_and_count[1]), int(number_and_count[2])) if number_and_count else None
    return Source(uris=tuple(sorted(set(uris or ()))), prefix=prefix, pattern=pattern, shard=place)


def _attempt(context: Mapping[str, Any]) -> Attempt:
    """Return who takes the batch up: this try of this life of this task."""
    from airflow_bda.engine.batch.session import Attempt

    identity, ti, run = task_identity(context), context["ti"], context.get("dag_run")
    names = [identity.dag_id, identity.run_id, identity.task_id, identity.map_index, identity.loop]
    started = getattr(run, "start_date", None)
    return Attempt(
        owner=hashlib.sha256(json.dumps(names).encode()).hexdigest(),
        life=identity.digest(),
        key=f"{identity.digest()[:32]}-{ti.try_number}",
        run_started=str(getattr(run, "id", None) or (started and started.isoformat())),
        run_clears=getattr(run, "clear_number", None),
        try_number=ti.try_number,
    )


def _default_batch_id(dag_id: str, task_id: str, owner: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{dag_id}-{task_id}").strip("-")[:60]
    return f"{readable or 'batch'}-{owner[:12]}"
