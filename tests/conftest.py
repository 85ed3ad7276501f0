"""Keep the tests away from everything that is the developer's: his Airflow, his AWS account, his home folder."""

from __future__ import annotations

import fcntl
import functools
import importlib
import importlib.metadata
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from airflow_processes.cheap_clients import make_clients_cheap
from hypothesis import HealthCheck, settings

# Airflow reads where its home is when it is imported. So this stands before any test module, and each process of
# pytest-xdist has a home of its own.
STATE = Path(tempfile.mkdtemp(prefix="airflow-bda-tests-"))
AIRFLOW_HOME = STATE / "airflow"
AIRFLOW_DATABASE = AIRFLOW_HOME / "airflow.db"

os.environ.update(
    {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        # The emulator's jobs take half a second; the tests need not be polite to it.
        "AIRFLOW__BDA__MIN_POLL_INTERVAL": "0.2",
        "AIRFLOW__CORE__DAGS_FOLDER": str(AIRFLOW_HOME / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_DATABASE}",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
)
(AIRFLOW_HOME / "dags").mkdir(parents=True)

# As attributes of their modules, because no supported Airflow has all of them.
DEPRECATIONS = (
    ("airflow.exceptions", "AirflowProviderDeprecationWarning"),
    ("airflow.exceptions", "RemovedInAirflow3Warning"),
    ("airflow.exceptions", "RemovedInAirflow4Warning"),
    ("airflow.utils.deprecation_tools", "DeprecatedImportWarning"),
)

# A busy machine is no fault of a test: Hypothesis must not judge how long an input takes.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MARKS = (
    "running_airflow: on the processes of a running Airflow, whose schedulers, heartbeats and kills go by the clock",
    "takes_long: a file that should not be the last one to start",
)


def pytest_configure(config: pytest.Config) -> None:
    """Turn the deprecations of Airflow into errors where the package or an example DAG is what uses them."""
    for module, name in DEPRECATIONS:
        if _has(module, name):
            for ours in ("airflow_bda", "unusual_prefix_"):  # Airflow's prefix for the modules of DAG files
                config.addinivalue_line("filterwarnings", f"error::{module}.{name}:{ours}")
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    make_clients_cheap()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have more processes than cores, since jobs on the emulator, and Airflow's processes, are mostly waited for."""
    return min((os.cpu_count() or 1) + 2, 6)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Begin with what takes long, so that no core waits at the end, and try what goes by the clock a second time.

    A second try is shown in the summary; whatever fails every time still fails.
    """
    for item in items:
        if item.get_closest_marker("running_airflow"):
            item.add_marker("takes_long")
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: not item.get_closest_marker("takes_long"))


def _has(module: str, name: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(importlib.import_module(module), name)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by the bytes of a file: some hold the time, and pytest-xdist wants the same names everywhere."""
    return argname if isinstance(val, bytes) else None


def pytest_sessionstart() -> None:
    """Refuse to test the source tree where the wheel is to be tested, as `make test-matrix` asks."""
    if not os.environ.get("AIRFLOW_BDA_TEST_INSTALLED"):
        return
    import airflow_bda

    if "site-packages" not in Path(airflow_bda.__file__).parts:
        raise pytest.UsageError(f"the wheel is to be tested, but airflow_bda comes from {airflow_bda.__file__}")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(STATE, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_state_of_the_developer(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return each test an empty home and an AWS setup that reaches no endpoint."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("AWS_", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": home,
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_CONFIG_FILE": home / ".aws" / "config",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SHARED_CREDENTIALS_FILE": home / ".aws" / "credentials",
    }.items():
        monkeypatch.setenv(name, str(value))


# No supported Airflow has all of them.
SECRETS_MASKERS = (
    "airflow._shared.secrets_masker.secrets_masker",
    "airflow.sdk._shared.secrets_masker.secrets_masker",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.utils.log.secrets_masker",
)


@pytest.fixture(autouse=True)
def _no_secrets_of_earlier_tests() -> None:
    """
    Let Airflow mask the secrets of this test alone.

    With each one it compiles a pattern of all that it has seen, a sixth of what tests with connections take.
    """
    for name in SECRETS_MASKERS:
        if name in sys.modules:
            masker = sys.modules[name]._secrets_masker()
            masker.patterns, masker.replacer = set(), None


@pytest.fixture(scope="session")
def migrated_database(pytestconfig: pytest.Config) -> Path:
    """
    Return a migrated metadata database without data, for copies.

    A migration takes seconds, so one is kept in pytest's cache for each Airflow.
    """
    kept = pytestconfig.cache.mkdir("airflow-db")
    migrated = kept / f"{importlib.metadata.version('apache-airflow')}.db"
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not migrated.exists():
            draft = STATE / "migrated.db"
            _migrate(draft)
            _copy(draft, migrated.with_suffix(".part"))
            migrated.with_suffix(".part").rename(migrated)
    return migrated


@pytest.fixture(scope="session")
def airflow_db(migrated_database: Path) -> Path:
    """Return this process a migrated metadata database, which its tests share, and return its file."""
    _copy(migrated_database, AIRFLOW_DATABASE)
    _share_the_api_of_dag_test()
    return AIRFLOW_DATABASE


def _share_the_api_of_dag_test() -> None:
    """Before 3.3, ``dag.test()`` builds Airflow's whole API again for each task, which takes seconds."""
    if importlib.metadata.version("apache-airflow").startswith("2."):
        return
    from airflow.sdk.execution_time import supervisor

    supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)


def _migrate(database: Path) -> None:
    """In a process of its own: a migration sets up logging again, which would take the tests' handlers away."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )


def _copy(source: Path, target: Path) -> None:
    """By SQLite itself: part of a database may be in a write-ahead log beside its file."""
    with sqlite3.connect(source) as reading, sqlite3.connect(target) as writing:
        reading.backup(writing)
    reading.close()
    writing.close()


@pytest.fixture(scope="session")
def sample_pdf() -> bytes:
    """Make a small invoice of one page: real input for tests whose subject is not the reading."""
    from io import BytesIO

    from reportlab.pdfgen.canvas import Canvas

    page = BytesIO()
    canvas = Canvas(page, invariant=1)
    for line, text in enumerate(("Invoice", "Invoice Number: A-17", "Invoice Date: 2026-01-05", "Total: $12.50")):
        canvas.drawString(72, 780 - 24 * line, text)
    canvas.save()
    return page.getvalue()
