"""The demo as a user runs it: a process of its own, a real Airflow, the emulator, the example DAG."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_bda.demo.airflow_process import Workplace, WorkplaceError

if TYPE_CHECKING:
    from pathlib import Path

DEMO = (sys.executable, "-m", "airflow_bda.cli", "demo")


@pytest.fixture
def workplace(tmp_path, airflow_db, monkeypatch, pytestconfig) -> Workplace:
    """Return the folder of a demo that ran before: its database is made, Airflow's bytecode is kept."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(pytestconfig.cache.mkdir("demo-bytecode")))
    place = Workplace(tmp_path / "state")
    place.airflow_home.mkdir(parents=True)
    shutil.copyfile(airflow_db, place.database)
    place.remember_migration()
    return place


@pytest.fixture
def documents(tmp_path, sample_pdf) -> list[Path]:
    good, broken = tmp_path / "Rechnung März #1.pdf", tmp_path / "broken.pdf"
    good.write_bytes(sample_pdf)
    broken.write_bytes(sample_pdf[:300])
    return [broken, good]


def test_a_failure_is_told_and_does_not_stop_the_others(workplace, documents, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(workplace.root / "users"))
    monkeypatch.setenv("AWS_PROFILE", "one-that-does-not-exist")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    ended = subprocess.run(
        [*DEMO, "--state", str(workplace.root), *map(str, documents)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["InvoiceNumber", "A-17", "1.00"] in lines
    (broken,) = (line for line in lines if line[:1] == ["broken.pdf"])
    assert broken[1:3] == ["DOCUMENT", "failed"]
    assert broken[4] == "ClientError:"
    (good,) = (line for line in lines if line[:3] == ["Rechnung", "März", "#1.pdf"] and "success" in line)
    assert good[3:6] == ["DOCUMENT", "1", "success"]
    assert "Invoice" in good
    assert ended.stdout.splitlines()[-1] == "demo: 2 documents, 1 succeeded, 1 failed"
    assert "Traceback" not in ended.stderr
    results = workplace.results / "Rechnung März _1.pdf"
    assert f"{results}/" in ended.stdout
    assert (results / "job_metadata.json").exists()
    assert list(results.glob("0/custom_output/0/result.json"))
    assert f"Report, to open in a browser: {workplace.report}" in ended.stdout
    assert "A-17" in workplace.report.read_text(encoding="utf-8")
    assert "Marking run" in workplace.log.read_text()
    assert not (workplace.root / "users").exists()


@pytest.fixture
def _interruptible():
    """Let interrupts through: a process that was started in the background ignores them, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_ends_it_with_all_its_processes(workplace, documents):
    with subprocess.Popen(
        [*DEMO, "--state", str(workplace.root), *map(str, documents)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr
        said = next(line for line in demo.stderr if "Starting Airflow" in line)
        children = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        _, rest = demo.communicate(timeout=60)

    assert said
    assert children
    assert demo.returncode == 1
    assert rest.splitlines()[-1] == "airflow-bda demo: interrupted"
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_files_that_are_not_there_are_wrong_usage(tmp_path):
    state = tmp_path / "state"

    ended = subprocess.run(
        [*DEMO, "--state", str(state), str(tmp_path / "none.pdf")], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr == (f"airflow-bda demo: {tmp_path / 'none.pdf'} cannot be read: No such file or directory\n")
    assert not state.exists()


def test_one_demo_at_a_time_works_in_a_folder(tmp_path):
    refused = pytest.raises(WorkplaceError, match="Another demo is running")
    with Workplace(tmp_path / "state").occupied(), refused, Workplace(tmp_path / "state").occupied():
        pass
    with Workplace(tmp_path / "state").occupied():
        pass


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(WorkplaceError, match="--state"), Workplace(tmp_path / "file").occupied():
        pass


def test_airflow_sees_nothing_of_the_users_setup(tmp_path, monkeypatch):
    for name in ("AIRFLOW__CORE__EXECUTOR", "AIRFLOW_CONN_MINE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "the user's")

    environment = Workplace(tmp_path).environment()

    assert "the user's" not in environment.values()
    assert environment["PATH"] == os.environ["PATH"]


def test_an_interrupted_migration_is_begun_anew(tmp_path):
    workplace = Workplace(tmp_path)
    workplace.airflow_home.mkdir()
    for file in (workplace.database, workplace.airflow_home / "airflow.db-journal"):
        file.write_text("half")

    assert not workplace.is_migrated
    workplace.forget_database()

    assert list(workplace.airflow_home.iterdir()) == []
