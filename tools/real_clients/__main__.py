"""
Run public client code of BDA against the emulator: python tools/real_clients --help.

None of it is part of the project: fetch it first, and pass where it is. Each client runs in a process
of its own, led to an emulator on this machine by the environment variables that AWS's SDKs read. What is not named is
not run, and the table says so; what ran and failed makes the exit status 1.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import boto3
from pypdfium2 import PdfDocument

from airflow_bda.emulator import EMULATOR, EmulatorServer, EmulatorSettings
from airflow_bda.emulator.server.server import ACCESS_KEY, SAMPLES, SECRET_KEY, SeedBucket, client_environment

HERE = Path(__file__).parent
REGION = "us-east-1"
SECONDS = 600


@dataclass(frozen=True)
class Client:
    """
    A client.

    :param option: the command's option that says where it is.
    :param script: what runs it, with that place as its first argument.
    :param runs_on: the option that names the program for *script*; None for the client's own.
    """

    name: str
    option: str
    script: str
    runs_on: str
    help: str


CLIENTS = (
    Client("AWS CLI", "cli", "cli.py", "python", "the command `aws`"),
    Client("SDK for JavaScript", "sdk", "sdk.mjs", "node", "a folder whose node_modules has both clients of BDA"),
    Client("accelerator", "accelerator", "accelerator.py", "python", "a checkout of the IDP accelerator"),
    Client("guidance", "guidance", "guidance.py", "python", "a checkout of the multimodal guidance"),
    Client("CDK constructs", "constructs", "constructs.py", "python", "a checkout of the generative AI constructs"),
    Client("workshop", "workshop", "workshop.py", "python", "a checkout of the Bedrock samples"),
)


def main() -> int:
    """
    Run the clients that are named.

    :return: 0 where all checks of all of them passed.
    """
    arguments = _parser().parse_args()
    EMULATOR.configure(EmulatorSettings(created_seconds=0, in_progress_seconds=0))
    buckets = (SeedBucket("bda-input", SAMPLES), SeedBucket("bda-output"))
    rows: list[tuple[str, str, str]] = []
    with EmulatorServer(seed_buckets=buckets) as server:
        for client in CLIENTS:
            place = getattr(arguments, client.option)
            if place is None:
                rows.append((client.name, "", f"not run: --{client.option} names {client.help}"))
                continue
            server.reset()
            _upload_pages(server)
            rows += _run(client, place, getattr(arguments, client.runs_on), server)
    return _print(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tools/real_clients", description=__doc__)
    for client in CLIENTS:
        parser.add_argument(f"--{client.option}", type=Path, help=client.help)
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="the Python that they run on, with boto3, requests, pydantic and aws-lambda-powertools[tracer]",
    )
    parser.add_argument("--node", default="node", help="the Node.js that the SDK for JavaScript runs on")
    return parser


def _upload_pages(server: EmulatorServer) -> None:
    """Put a document of five pages beside the samples: the workshop looks at a third page."""
    pages, invoice, content = PdfDocument.new(), PdfDocument(SAMPLES / "invoice.pdf"), io.BytesIO()
    for _ in range(5):
        pages.import_pages(invoice)
    pages.save(content)
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    s3 = boto3.client("s3", endpoint_url=server.endpoint_url, region_name=REGION, **keys)
    s3.put_object(Bucket="bda-input", Key="pages.pdf", Body=content.getvalue())


def _run(client: Client, place: Path, program: str, server: EmulatorServer) -> list[tuple[str, str, str]]:
    # Not this process's own variables: AWS_PROFILE or a proxy would lead elsewhere.
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [program, str(HERE / client.script), str(place.resolve())],
            env={**kept, **client_environment(server.endpoint_url, REGION), "REPORT": f"{folder}/report"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        report = Path(folder, "report")
        lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    rows = [(client.name, *json.loads(line)) for line in lines]
    if ended.returncode or not rows:
        said = (ended.stderr or ended.stdout).strip().splitlines()[-3:]
        rows.append((client.name, "the run itself", f"FAILED: exit status {ended.returncode}: {' / '.join(said)}"))
    return rows


def _print(rows: list[tuple[str, str, str]]) -> int:
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for client, check, outcome in rows:
        print(f"{client:{widths[0]}}  {check:{widths[1]}}  {outcome}")
    ran = [outcome for _, check, outcome in rows if check]
    failed = [outcome for outcome in ran if outcome.startswith("FAILED")]
    print(f"{len(ran)} checks ran, {len(failed)} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
