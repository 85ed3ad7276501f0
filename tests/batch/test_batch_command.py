"""airflow-bda batch: what it prints, and that it resumes where it was interrupted."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import INBOX, OUTPUT

from airflow_bda.cli import main

NAMES = [f"{number}.pdf" for number in range(3)]


def command(batch, *options):
    return [
        "batch",
        f"--input={INBOX}",
        f"--output={OUTPUT}",
        f"--endpoint-url={batch.emulator.endpoint_url}",
        *options,
    ]


def test_it_runs_all_documents_and_prints_where_the_rows_are(batch, upload, capsys):
    upload(*NAMES)

    assert main(command(batch)) == 0

    printed = capsys.readouterr()
    assert printed.out.startswith(f"{OUTPUT}/_batch/command-")
    assert printed.out.endswith("/results.jsonl\n")
    assert "3 succeeded" in printed.err
    assert batch.jobs == dict.fromkeys(NAMES, 1)


def test_the_second_time_it_runs_what_is_new(batch, upload, capsys):
    upload(*NAMES)
    main(command(batch))
    upload("new.pdf")
    capsys.readouterr()

    assert main(command(batch, "--json")) == 0

    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["skipped"], counts["succeeded"]) == (3, 1)
    assert batch.jobs == dict.fromkeys([*NAMES, "new.pdf"], 1)


def test_failures_are_told_by_cause(batch, upload, capsys):
    upload(*NAMES)
    batch.emulator.faults.add("failed_job", key="*1.pdf", status="ClientError", error_message="Bad page")

    assert main(command(batch)) == 1
    assert "1 failed: " in (told := capsys.readouterr().err)
    assert "Bad page" in told
    assert main(command(batch, "--max-failures", "0.5")) == 0


def test_interrupted_it_says_how_to_go_on_and_does(batch, upload, tmp_path):
    upload(*NAMES)
    batch.emulator.faults.add("slow_job", key="*1.pdf", seconds=5)
    environment = {**os.environ, **batch.emulator.environment, "HOME": str(tmp_path)}
    arguments = [sys.executable, "-m", "airflow_bda.cli", *command(batch)]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as interrupted:
        give_up_at = time.monotonic() + 60
        while len(batch.emulator.jobs) < len(NAMES) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        interrupted.send_signal(signal.SIGINT)
        _, told = interrupted.communicate(timeout=60)

    assert interrupted.returncode == 1
    assert "Run the same command again to resume" in told

    assert main(command(batch)) == 0
    assert batch.jobs == dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file"),
        ("", "lists no document"),
        (f"{INBOX}0.pdf\n\nhttp://elsewhere/1.pdf\n", "line 3 of"),
        ("s3://bucket/\n", "write s3://bucket/key"),
    ],
)
def test_a_list_that_makes_no_sense_ends_with_the_reason(tmp_path, capsys, content, told):
    listed = tmp_path / "documents"
    if content is not None:
        listed.write_text(content)

    with pytest.raises(SystemExit) as ended:
        main(["batch", f"--list={listed}", f"--output={OUTPUT}"])

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_list_from_standard_input(batch, upload, monkeypatch):
    upload(*NAMES)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{INBOX}0.pdf\n{INBOX}2.pdf\n{INBOX}0.pdf\n"))

    assert main(["batch", "--list=-", f"--output={OUTPUT}", f"--endpoint-url={batch.emulator.endpoint_url}"]) == 0
    assert batch.jobs == {"0.pdf": 1, "2.pdf": 1}
