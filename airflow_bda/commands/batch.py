"""The command ``airflow-bda batch``: run jobs for all documents under a prefix, in one go that can be interrupted."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import signal
import sys
import uuid
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_bda.commands import options
from airflow_bda.commands.jobs import JOB_ARGUMENTS, add_request_arguments, request_members
from airflow_bda.service.errors import BdaError
from airflow_bda.service.s3 import S3Uri
from airflow_bda.service.safe_values import safe_text

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections import Counter
    from collections.abc import Callable, Iterator

    from airflow_bda.engine.batch.runner import Runner
    from airflow_bda.hooks import BdaHook

_REFRESH_SECONDS = 0.5
_RUN_AGAIN = (
    "Correct the documents that BDA cannot take, and run the same command again: what is unfinished is resumed, and "
    "what failed gets a new job."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    batch = parser.add_argument_group("the batch")
    source = batch.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input",
        dest="prefix",
        type=options.s3_uri_like("s3://bucket/folder/"),
        metavar="URI",
        help="every document under s3://bucket/prefix",
    )
    source.add_argument(
        "--list",
        type=_documents,
        metavar="FILE",
        help="a file with one s3://bucket/key a line; - reads standard input",
    )
    options.add_output(batch)
    batch.add_argument("--pattern", metavar="GLOB", help="which of them: a glob of what follows the prefix")
    batch.add_argument("--max-in-flight", type=_count, default=100, metavar="N", help="jobs open at once (100)")
    batch.add_argument(
        "--max-failures", type=_share, default=0, metavar="N", help="failures allowed: a number or share"
    )
    batch.add_argument("--all", action="store_true", help="run what an earlier batch finished, too")
    batch.add_argument("--force", action="store_true", help="start over, even if a batch was interrupted")
    batch.add_argument("--batch-id", metavar="NAME", help="the batch's name (default: made of what is asked for)")
    options.add_max_wait(batch, timedelta(days=1), "how long at most (a day)")
    request = parser.add_argument_group("the request of each document")
    add_request_arguments(request)
    parser.add_argument("--json", action="store_true", help="print the whole manifest as JSON")
    options.add_arguments(parser)


def run(args: Namespace) -> int:
    """
    Run the batch, or resume it, and print where its rows are.

    :raises BdaError: where something concerns the whole batch, or more documents failed than allowed.
    """
    from airflow_bda.engine.batch.session import FOLDER

    source = _source(args)
    with options.hook_of(args) as hook:
        # Not before: the hook's context sets how much Airflow logs, and Airflow reads that when it is imported.
        from airflow_bda.operators.bda_batch import check_manifest, job_arguments

        job = job_arguments(hook, request_members(args, JOB_ARGUMENTS))
        asked = json.dumps([source.to_json(), job], sort_keys=True)
        batch_id = args.batch_id or f"command-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
        try:
            manifest = asyncio.run(_stop_when_asked(lambda: _run(args, hook, source, job, batch_id)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            folder = f"{job['output_s3_uri']}/{FOLDER}/{batch_id}"
            sys.stderr.write(
                f"\nInterrupted. Jobs that were started keep running and are billed; what was done is in {folder}. "
                "Run the same command again to resume; no document gets a second job.\n"
            )
            return 1
    _print(manifest, as_json=args.json)
    try:
        check_manifest(manifest, args.max_failures)
    except BdaError as error:
        raise error.about(remedy=_RUN_AGAIN) from None
    return 0


async def _run(args: Namespace, hook: BdaHook, source: Any, job: dict[str, Any], batch_id: str) -> dict[str, Any]:
    from airflow_bda.engine.batch.session import Order, World, begin, run_round
    from airflow_bda.hooks.batch import batch_clients

    async with batch_clients(hook, hook.identity) as (store, jobs):
        for uri in filter(None, (source.prefix, job["output_s3_uri"])):
            await store.check_region(uri, hook.conn_region_name)
        with _progress() as shown:
            world = World(store, lambda: datetime.now(timezone.utc), shown.tell, shown.tell)
            deadline = world.now() + args.max_wait
            order = Order(batch_id, job, source, deadline, only_changed=not args.all, force=args.force)
            ledger = await begin(order, await _attempt(order, world), world)
            try:
                return await run_round(ledger, jobs, world, max_in_flight=args.max_in_flight, on_start=shown.follow)
            finally:
                await ledger.close()


async def _attempt(order: Any, world: Any) -> Any:
    """Continue a batch that was interrupted; begin a new one after one that ended."""
    from airflow_bda.engine.batch.ledger import Ledger
    from airflow_bda.engine.batch.session import Attempt, batch_folder

    found = Ledger(batch_folder(world.store, order.job["output_s3_uri"], order.batch_id), world.now)
    await found.read()
    last = found.state.round
    key = uuid.uuid4().hex
    is_interrupted = last is not None and not last.is_finished
    run = last.run_started if last is not None and is_interrupted and not order.force else world.now().isoformat()
    return Attempt(owner="command", life=str(run), key=key, run_started=run, run_clears=0)


async def _stop_when_asked(make: Callable[[], Any]) -> Any:
    """Cancel on SIGTERM as on Ctrl-C, so that the state is written first."""
    task = asyncio.ensure_future(make())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


class _Shown:
    """What is seen while a batch runs: a bar where there is a terminal and rich, lines elsewhere."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._watching: asyncio.Task[None] | None = None

    def tell(self, line: str) -> None:
        """Show a line."""
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False)
        else:
            sys.stderr.write(f"{line}\n")

    def follow(self, runner: Runner) -> None:
        """Show how far a round has come."""
        if self._progress is not None:
            self._watching = asyncio.ensure_future(self._watch(runner))

    async def _watch(self, runner: Runner) -> None:
        bar = self._progress.add_task("documents", total=runner.total, about="")
        while True:
            counts: Counter[str] = runner.counts
            about = f"{counts['failed']} failed, {counts['skipped']} skipped, {runner.in_flight} in flight"
            self._progress.update(bar, completed=sum(counts.values()), about=about)
            await asyncio.sleep(_REFRESH_SECONDS)

    def end(self) -> None:
        """Stop showing progress."""
        if self._watching is not None:
            self._watching.cancel()


@contextmanager
def _progress() -> Iterator[_Shown]:
    progress = _rich_progress() if sys.stderr.isatty() else None
    shown = _Shown(progress)
    if progress is None:
        yield shown
        return
    with progress:
        yield shown
        shown.end()


def _rich_progress() -> Any | None:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[about]}"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _source(args: Namespace) -> Any:
    from airflow_bda.engine.batch.planning import Source

    if args.list is None:
        return Source(prefix=args.prefix, pattern=args.pattern)
    return Source(uris=args.list)


def _documents(name: str) -> tuple[str, ...]:
    """Return the URIs that a file lists, sorted, each once."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from None
    uris = {line.strip(): number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    for uri, number in uris.items():
        try:
            is_object = bool(S3Uri.parse(uri).key)
        except ValueError:
            is_object = False
        if not is_object:
            raise argparse.ArgumentTypeError(f"line {number} of {name} is {uri!r}; write s3://bucket/key")
    if not uris:
        raise argparse.ArgumentTypeError(f"{name} lists no document; write one s3://bucket/key a line")
    return tuple(sorted(uris))


def _print(manifest: dict[str, Any], *, as_json: bool) -> None:
    for error in manifest["errors"]:
        cause, example = error["cause"].rstrip("."), safe_text(error["example"]["input"])
        sys.stderr.write(f"{error['count']} failed: {cause}. For example {example}\n")
    counts = ", ".join(f"{count} {status}" for status, count in manifest["counts"].items() if count)
    sys.stderr.write(f"{counts or 'There is no document to process.'}\n")
    sys.stdout.write(f"{json.dumps(manifest) if as_json else manifest['results_uri']}\n")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs")
    return int(text)


def _share(text: str) -> float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of documents nor a share") from None
