"""
Count the modules that one request, one wait and one result cross: those of the package in which a function runs.

Run it with the development environment: ``.venv/bin/python tools/walks.py``. It starts the emulator, sends a sample
through an operator, waits for the job in both ways, and reads the result. The emulator's own modules do not count, nor
do the ``__init__`` of packages.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = f"{ROOT / 'airflow_bda'}/"
PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
JOB_SECONDS = 2.0


@contextmanager
def walk(name: str) -> Iterator[None]:
    """Print which modules are crossed within the block."""
    crossed: set[str] = set()

    def note(frame: Any, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE) and frame.f_code.co_name != "<module>":
            crossed.add(file.removeprefix(PACKAGE))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # None ends it, and is missing in the types
    own = sorted(each for each in crossed if not each.startswith("emulator/") and not each.endswith("__init__.py"))
    sys.stdout.write(f"{name} {len(own)}: {' '.join(own)}\n")


def cross_all(emulator: Any) -> None:
    """Send a document, wait for its job in both ways, and read its result."""
    # What is imported on the way is no step of it.
    import airflow_bda.engine.submitting
    import airflow_bda.engine.waiting
    import airflow_bda.hooks.results  # noqa: F401
    from airflow_bda.hooks import BdaHook
    from airflow_bda.operators import BdaInvokeOperator
    from airflow_bda.triggers import BdaStatusTrigger

    document = emulator.upload(ROOT / "airflow_bda" / "emulator" / "samples" / "invoice.pdf", "invoice.pdf")
    emulator.configure(in_progress_seconds=JOB_SECONDS)
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=0, start_date=None)
    ti.task, ti.xcom_push = SimpleNamespace(retries=0), lambda **_: None
    members = {"input_s3_uri": document, "output_s3_uri": "s3://bda-test/out", "project_arn": PROJECT}
    operator = BdaInvokeOperator(task_id="t", **members)
    with walk("request"):
        invocation_arn = operator.execute({"ti": ti})
    hook = BdaHook()
    with walk("wait_blocking"):
        metadata_uri = hook.wait(invocation_arn)
    # Without a client token each call starts a job.
    other = hook.invoke(hook.build_request(**members))
    trigger = BdaStatusTrigger(invocation_arn=other, deadline="2100-01-01T00:00:00+00:00")

    async def wait() -> None:
        async for _ in trigger.run():
            return

    with walk("wait_deferred"):
        asyncio.run(wait())
    with walk("result"):
        for segment in hook.get_results(metadata_uri).segments:
            sys.stderr.write(f"{len(segment.text or '')} characters, {len(list(segment.fields()))} fields\n")


def main() -> None:
    """Run everything in an Airflow home of its own."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        from airflow_bda.emulator import EmulatorServer
        from airflow_bda.emulator.testing import EmulatorForTests

        with EmulatorServer() as server:
            emulator = EmulatorForTests(server)
            emulator.reset()
            os.environ.update(emulator.environment)
            cross_all(emulator)


if __name__ == "__main__":
    main()
